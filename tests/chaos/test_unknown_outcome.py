"""A commit whose outcome is unknown, the known weak point of Kafka's protocol.

Whether the brokers have committed is decided by the request to end the transaction (EndTxn), and
whether the worker knows it by the answer. Each is lost here, in each way that a network can.
"""

import json
import re
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

from tests.chaos import proxy, report, world
from tests.chaos.conftest import Ground
from tests.chaos.round import Round

# Above the workers' WORKER_COMMIT_TIMEOUT_S of 2 s, and below what a transaction may last.
TOO_LATE_S = 2.5
PATIENCE_S = 30.0
# Those after which the worker can't know the outcome before its deadline.
UNKNOWN = {"drop_request", "drop_answer", "delay_request", "delay_answer"}


def test_a_commit_of_unknown_outcome_is_found_out(ground: Ground, tmp_path: Path) -> None:
    """A worker that can't know whether it has committed begins anew, and stays right."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=3000)
    own.workers = 1

    def meanwhile() -> None:
        own.traffic.rate = 100
        clients = own.fleet.clients(0)
        for kind in get_args(proxy.Kind):
            before = _resets(own)
            own.proxy.harm = proxy.Harm(
                kind, frozenset({proxy.END_TXN}), seconds=TOO_LATE_S, times=1
            )
            _wait_until(
                lambda: own.proxy.harm is not None and own.proxy.harm.done == 1,
                "no transaction ended",
            )
            if kind in UNKNOWN:
                # What it committed is readable before it gives up waiting for the answer.
                _wait_until(partial(_has_reset, own, before), f"no new producer after {kind}")
                # It would try again to end its transaction, and be harmed in place of the new one.
                _wait_until(
                    lambda: own.fleet.clients(0) == clients, f"the producer stays after {kind}"
                )
            done = own.done() or 0
            assert world.wait_for(own, done + 100, PATIENCE_S), f"nothing committed after {kind}"

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.seen["aborted"] > 0, "no request was lost before the brokers had it"
    assert outcome.exits == {"stopped at the end: 0": 1, "trends stopped at the end: 0": 1}


def _resets(own: world.World) -> float:
    """How often the worker had to begin with a new producer, by its own metric."""
    log = own.fleet.logs()[0].read_text()
    port = next(json.loads(line)["port"] for line in log.splitlines() if '"port"' in line)
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        shown = answer.read()
    found = re.findall(rb"^sentiment_transaction_resets_total\{.*\} (\S+)$", shown, re.MULTILINE)
    assert found
    return sum(map(float, found))


def _has_reset(own: world.World, before: float) -> bool:
    return _resets(own) > before


def _wait_until(true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
