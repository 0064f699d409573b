"""What of transactions can be told without brokers: broken connections, deadlines."""

import logging
import threading
import time
import weakref
from functools import partial

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from sentiment.errors import UnreachableError
from sentiment.kafka import clients, transactions
from sentiment.kafka.retries import Deadline
from sentiment.kafka.transactions import PAUSE_S, AbortedError, Connections, Transactions
from sentiment.settings import KafkaSettings, Settings
from tests.unit.clocks import Clock

BROKEN = [
    "127.0.0.1:9092/1: Disconnected: connection reset by peer (after 1040ms in state UP)",
    "TxnCoordinator: 127.0.0.1:9092: Disconnected: closed by peer (after 2ms in state UP)",
    "GroupCoordinator: 127.0.0.1:9092: 1 request(s) timed out: disconnect (after 61ms in state UP)",
    "ssl://b-1.example:9096/1: Receive failed: Connection timed out (after 300ms in state REAUTH)",
]
WHOLE = [
    "127.0.0.1:9092/bootstrap: Decommissioning this broker (after 0ms in state UP)",
    "ssl://b-1.example:9096/bootstrap: Disconnected: closed by peer (after 51ms in state UP)",
    "127.0.0.1:9092/1: Connect to ipv4#127.0.0.1:9092 failed: refused (after 0ms in state CONNECT)",
    "127.0.0.1:9092/1: ApiVersionRequest failed: Timed out (after 9ms in state APIVERSION_QUERY)",
]


def _is_broken(kind: str, said: str) -> bool:
    connections = Connections(KafkaSettings())
    line = "%s [%s] %s"
    connections.log(logging.INFO, line, kind, "sentiment-stream#producer-1", said)
    return connections.broken > 0


@pytest.mark.parametrize("said", BROKEN)
def test_a_connection_that_carried_requests_is_broken(said: str) -> None:
    """Whoever ended it, and however: the next transaction has a new producer."""
    assert _is_broken("FAIL", said)


@pytest.mark.parametrize("said", WHOLE)
def test_a_connection_that_carried_none_is_not(said: str) -> None:
    """Bootstrap connections and those that never came up cost no new producer."""
    assert not _is_broken("FAIL", said)


def test_other_lines_say_nothing_of_connections() -> None:
    """Whatever their text has in it."""
    assert not _is_broken("STATE", BROKEN[0])


class SilentProducer:
    """A producer whose coordinator answers nothing: a call takes all of its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.answers_begin = True
        self.purged = False

    def _take(self, seconds: float) -> None:
        self._clock.sleep(seconds)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, retriable=True))  # noqa: SLF001 - its name

    def init_transactions(self, seconds: float) -> None:
        """Begin, where the brokers answer that alone."""
        if not self.answers_begin:
            self._take(seconds)

    def begin_transaction(self) -> None:
        """Ask nobody."""

    def poll(self, seconds: float) -> None:
        """Have nothing to say."""

    def send_offsets_to_transaction(self, _offsets: object, _group: object, seconds: float) -> None:
        """Answer, after half of the time: the group's coordinator does."""
        self._clock.sleep(seconds / 2)

    def commit_transaction(self, seconds: float) -> None:
        """Wait."""
        self._take(seconds)

    def abort_transaction(self, seconds: float) -> None:
        """Wait."""
        self._take(seconds)

    def purge(self, *, blocking: bool) -> None:
        """Take note of it."""
        assert not blocking, "nothing may wait for the client's own threads"
        self.purged = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that `retry` sleeps by."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


@pytest.fixture
def silent(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> SilentProducer:
    """What each producer is."""
    made = SilentProducer(clock)
    monkeypatch.setattr(clients, "new_producer", lambda *_, **__: made)
    monkeypatch.setattr(transactions, "Deadline", partial(Deadline, clock=clock))
    return made


OFFSETS = [TopicPartition("text-events", 0, 1)]


def test_a_commit_whose_brokers_hang_ends_at_its_deadline(
    clock: Clock, silent: SilentProducer
) -> None:
    """Offsets, commit and what follows share one; then a new producer is needed."""
    settings = Settings()
    publishing = Transactions(settings, {})
    assert publishing.prepare()
    publishing.publish([])
    began = clock.now
    with pytest.raises(AbortedError) as caught:
        publishing.commit(OFFSETS, None)
    assert caught.value.passing
    assert clock.now - began <= settings.worker.commit_timeout_s + PAUSE_S
    assert silent.purged
    assert publishing.prepare(), "the old producer goes on, though its outcome is unknown"


def test_an_abort_whose_brokers_hang_ends_at_the_same_deadline(
    clock: Clock, silent: SilentProducer
) -> None:
    """It has what the transaction has left, and a new producer is needed then."""
    settings = Settings()
    publishing = Transactions(settings, {})
    publishing.prepare()
    publishing.publish([])
    began = clock.now
    clock.sleep(settings.worker.commit_timeout_s - 1)
    publishing.abort()
    assert clock.now - began <= settings.worker.commit_timeout_s + PAUSE_S
    assert silent.purged


def test_a_new_producer_takes_what_the_operation_has_left(
    clock: Clock, silent: SilentProducer
) -> None:
    """As in a revoke, where a commit came before it."""
    silent.answers_begin = False
    deadline = Deadline(18, clock)
    clock.sleep(15)
    with pytest.raises(UnreachableError):
        Transactions(Settings(), {}).prepare(deadline)
    assert clock.now - 1000 <= 18 + PAUSE_S


def test_nobody_waits_for_the_end_of_a_producer(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last reference is dropped on a thread of its own, whoever holds the error of its end."""
    ended_on: list[str] = []

    def new_producer(*_: object, **__: object) -> SilentProducer:
        made = SilentProducer(clock)
        weakref.finalize(made, lambda: ended_on.append(threading.current_thread().name))
        return made

    monkeypatch.setattr(clients, "new_producer", new_producer)
    monkeypatch.setattr(transactions, "Deadline", partial(Deadline, clock=clock))
    publishing = Transactions(Settings(), {})
    publishing.prepare()
    publishing.publish([])
    with pytest.raises(AbortedError) as caught:
        publishing.commit(OFFSETS, None)
    for thread in threading.enumerate():
        if thread.name == "old-producer":
            thread.join()
    assert caught.value.passing
    assert ended_on == ["old-producer"]
