"""Partitions that are to be given away while a transaction's coordinator doesn't answer."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import proxy, report, world
from tests.chaos.conftest import Ground
from tests.chaos.round import Round
from tests.chaos.workers import HAS_WORK

PATIENCE_S = 180.0
# Nothing but the revoke's own deadline ends the wait before a test's patience does.
NEVER_S = "600"


def test_a_revoke_ends_though_the_coordinator_does_not_answer(
    ground: Ground, tmp_path: Path
) -> None:
    """Another worker gets its share while the commit hangs; when it ends, nothing is doubled."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=3000)
    long = {"WORKER_COMMIT_TIMEOUT_S": NEVER_S, "WORKER_TRANSACTION_TIMEOUT_S": NEVER_S}
    own.fleet.environment = {**own.fleet.environment, **long}
    own.workers = 1

    def log_of(worker: int) -> bytes:
        logs = own.fleet.logs()
        return logs[worker].read_bytes() if worker < len(logs) else b""

    def wait_until(true: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(otherwise)
            own.tend()
            time.sleep(0.05)

    def meanwhile() -> None:
        own.traffic.rate = 100
        harm = proxy.Harm("drop_request", frozenset({proxy.END_TXN}), times=1)
        own.proxy.harm = harm
        wait_until(lambda: harm.done == 1, "no transaction ended")
        own.fleet.scale(2)
        wait_until(lambda: HAS_WORK in log_of(1), "no partition was given away")
        assert b"partitions are given away" in log_of(0), "the commit had come back"
        own.proxy.heal()
        # What was dropped is sent again, on other connections.
        own.proxy.reset_all()
        own.traffic.count = own.traffic.sent

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.exits == {"stopped at the end: 0": 2, "trends stopped at the end: 0": 1}
