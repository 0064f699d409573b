"""Partitions that are to be given away while a transaction's coordinator doesn't answer."""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from stream_worker.intake import Intake
from tests.chaos import proxy, report, world
from tests.chaos.conftest import Ground
from tests.chaos.round import Round
from tests.integration.workers import changed

PATIENCE_S = 180.0
# Nothing but the revoke's own deadline ends the wait before a test's patience does.
NEVER_S = "600"
# The worker, with a deadline for its revoke of seconds: the product's own only takes longer.
IMPATIENT = changed("stream_worker.worker", REVOKE_S=4.0)


def test_a_revoke_ends_though_the_coordinator_does_not_answer(
    ground: Ground, tmp_path: Path
) -> None:
    """Another member gets its share while the commit hangs; when it ends, nothing is doubled."""
    engine = replace(world.WORKER, command=(sys.executable, *IMPATIENT))
    own = world.make(tmp_path, *ground, protocol="consumer", events=3000, engine=engine)
    own.settings.worker = own.settings.worker.replace(group_id=own.group)
    own.fleet.environment = {
        **own.fleet.environment,
        "WORKER_COMMIT_TIMEOUT_S": NEVER_S,
        "WORKER_TRANSACTION_TIMEOUT_S": NEVER_S,
        # A full batch would wait for the commit in place of the next poll.
        "WORKER_MAX_BATCH": "5000",
    }
    own.workers = 1

    def wait_until(true: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(otherwise)
            time.sleep(0.05)

    def meanwhile() -> None:
        own.traffic.rate = 100
        own.proxy.harm = harm = proxy.Harm("drop_request", frozenset({proxy.END_TXN}))
        wait_until(lambda: harm.done > 0, "no transaction ended")
        own.traffic.rate = 10
        with closing(Intake(own.settings, before_revoke=lambda: None)) as member:

            def has_a_share() -> bool:
                member.take(1, 0.1)
                return bool(member.assigned())

            wait_until(has_a_share, "no partition was given away")
        assert "partitions are given away" in own.fleet.logs()[0].read_text()
        own.proxy.heal()
        # What was dropped is sent again, on other connections.
        own.proxy.reset_all()
        own.traffic.count = own.traffic.sent

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.exits == {"stopped at the end: 0": 1, "trends stopped at the end: 0": 1}
