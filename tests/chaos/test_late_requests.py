"""A request that the network holds back, while the client has repeated it and gone on.

A late EndTxn is the worst: the client speaks version 1 of the transaction protocol, in which it
ends whatever transaction of the producer is open by then. Each is held back until the next one is.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sentiment.dead_letters.dead_letter import Selection
from sentiment.dead_letters.redrive import BATCH, Redrive, Sender
from sentiment.dead_letters.scan import Scan
from sentiment.settings import Settings
from tests.chaos import proxy, report, world
from tests.chaos.conftest import Ground
from tests.chaos.faults import NAMES
from tests.chaos.proxy import Harm
from tests.chaos.round import Round
from tests.integration.commands import records, sentiment
from tests.integration.dead_letters import bury, event, sent
from tests.integration.workers import send
from tests.processes import until

PATIENCE_S = 60.0
# Of each kind, to a worker: enough for several moments of a transaction.
TIMES = 3


def _late(api: int, **more: int | None) -> Harm:
    return Harm("late_request", frozenset({api}), seconds=0.1, every=2, **more)  # type: ignore[arg-type]


def _see_it_through(own: world.World, harm: Harm) -> None:
    """Wait for all late requests, and until events are committed after them."""
    until(lambda: harm.arrived >= harm.times, f"{harm.times} requests come late", PATIENCE_S)
    done = own.done() or 0
    assert world.wait_for(own, done + 400, PATIENCE_S), "nothing is committed any more"


def test_a_late_request_of_a_worker_does_nothing(ground: Ground, tmp_path: Path) -> None:
    """Each kind of request arrives late again and again: no event is lost or doubled."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=20_000)
    own.workers = 1
    ends = _late(proxy.END_TXN, after=proxy.TXN_OFFSET_COMMIT, times=2 * TIMES)

    def meanwhile() -> None:
        own.traffic.rate = 400
        for harm in (ends, *(_late(api, times=TIMES) for api in NAMES if api != proxy.END_TXN)):
            own.proxy.harm = harm
            _see_it_through(own, harm)
            own.proxy.heal()
        own.traffic.count = own.traffic.sent

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert not ends.accepted, "the brokers ended a transaction that was not meant"
    assert outcome.exits == {"stopped at the end: 0": 1, "trends stopped at the end: 0": 1}


def test_a_late_start_of_a_producer_does_nothing(ground: Ground, tmp_path: Path) -> None:
    """A worker that is fenced by its own late request begins anew, whoever chose its id."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=20_000)

    def meanwhile() -> None:
        own.traffic.rate = 400
        for _ in range(TIMES):
            # Each producer needs a successor, and the request that starts it comes again later.
            own.proxy.harm = harm = Harm(
                "late_request", frozenset({proxy.INIT_PRODUCER_ID}), seconds=0.3, times=2
            )
            own.proxy.reset_all()
            _see_it_through(own, harm)
        own.proxy.heal()
        own.traffic.count = own.traffic.sent

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.exits == {"stopped at the end: 0": 2, "trends stopped at the end: 0": 1}


@pytest.fixture
def own(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[world.World]:
    """Topics of the test's own, and commands that go through the proxy."""
    made = world.make(tmp_path, *ground, protocol="consumer", events=1)
    for name, value in made.fleet.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    made.proxy.heal()
    made.close()


def test_a_late_end_of_a_replay_s_transaction_does_nothing(own: world.World) -> None:
    """Each event of the range has one result, and the command ends well."""
    topic = f"{own.group}-again"
    values = [event(number) for number in range(3000)]
    send(own.settings, values)
    own.proxy.harm = ends = _late(proxy.END_TXN, after=proxy.TXN_OFFSET_COMMIT)
    done = sentiment(
        "replay", "--from", "beginning", "--output-topic", topic, "--json", WORKER_MAX_BATCH=100
    )
    assert done.returncode == 0, done.stderr
    assert ends.arrived > TIMES
    assert not ends.accepted, "the brokers ended a transaction that was not meant"
    assert len(records(own.settings, topic)) == len(values)


def test_a_late_end_of_a_redrive_s_transaction_does_nothing(own: world.World) -> None:
    """Each dead letter goes back once, and the command ends well."""
    values = sorted(event(number) for number in range(8000))
    bury(own.settings, values)
    own.proxy.harm = ends = _late(proxy.END_TXN, after=proxy.PRODUCE)
    done = sentiment("dlq", "redrive", "--all")
    assert done.returncode == 0, done.stderr
    assert ends.arrived > TIMES
    assert not ends.accepted, "the brokers ended a transaction that was not meant"
    assert sent(own.settings) == values


def test_a_redrive_that_takes_over_reads_the_marks_again(own: world.World) -> None:
    """After its connections broke it has a new epoch: what another run did meanwhile it leaves."""
    values = sorted(event(number) for number in range(3 * BATCH))
    bury(own.settings, values)
    settings = Settings()
    taken = 0

    def mend(value: bytes) -> bytes:
        nonlocal taken
        taken += 1
        if taken == BATCH + BATCH // 2:
            own.proxy.reset_all()
            done = sentiment("dlq", "redrive", "--all")
            assert done.returncode == 0, done.stderr
        return value

    with Scan(settings, Selection(), lambda *_: None) as scan:
        run = Redrive(settings, scan, Sender(settings), mend, again=False, tell=lambda _: None)
        run.run()
    assert sent(own.settings) == values
    assert run.counts == {"redriven": BATCH, "redriven_before": 2 * BATCH}
