"""A commit whose outcome is unknown, the known weak point of Kafka's protocol.

Whether the brokers have committed is decided by the request to end the transaction (EndTxn), and
whether the worker knows it by the answer. Each is lost here, in each way that a network can.
"""

from pathlib import Path
from typing import get_args

from tests.chaos import proxy, report, world
from tests.chaos.conftest import Ground
from tests.chaos.round import Round
from tests.processes import until

# Above the workers' WORKER_COMMIT_TIMEOUT_S of 2 s, and below what a transaction may last.
TOO_LATE_S = 2.5
PATIENCE_S = 30.0
# Those after which the worker can't know the outcome before its deadline.
UNKNOWN = {"drop_request", "drop_answer", "delay_request", "delay_answer"}


def test_a_commit_of_unknown_outcome_is_found_out(ground: Ground, tmp_path: Path) -> None:
    """A worker that can't know whether it has committed begins anew, and stays right."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=20_000)
    own.workers = 1

    def resets() -> float:
        """How often the worker had to begin with a new producer."""
        found = own.fleet.metric("sentiment_transaction_resets_total")
        assert found
        return sum(found.values())

    def lose(kind: proxy.Kind, clients: int) -> None:
        before = resets()
        harm = proxy.Harm(kind, frozenset({proxy.END_TXN}), seconds=TOO_LATE_S, times=1)
        own.proxy.harm = harm
        until(lambda: harm.done == 1, "a transaction ends", PATIENCE_S)
        if kind in UNKNOWN:
            # What it committed is readable before it gives up waiting for the answer.
            until(lambda: resets() > before, f"a producer begins after {kind}", PATIENCE_S)
            # The old one would try again to end its transaction, and be harmed in its place.
            gone = f"the old producer ends after {kind}"
            until(lambda: own.fleet.clients(0) == clients, gone, PATIENCE_S)
        done = own.done() or 0
        assert world.wait_for(own, done + 100, PATIENCE_S), f"nothing committed after {kind}"

    def meanwhile() -> None:
        own.traffic.rate = 100
        clients = own.fleet.clients(0)
        for kind in get_args(proxy.Kind):
            lose(kind, clients)
        own.traffic.count = own.traffic.sent

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.seen["aborted"] > 0, "no request was lost before the brokers had it"
    assert outcome.exits == {"stopped at the end: 0": 1, "trends stopped at the end: 0": 1}
