"""What an operation may take, and which of its calls are made again."""

import time

import pytest
from confluent_kafka import KafkaError, KafkaException

from sentiment.kafka.retries import Deadline, backoff_s, retry
from tests.unit.clocks import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that `retry` sleeps by."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


def test_a_deadline_is_one_for_all_calls(clock: Clock) -> None:
    """What one call takes, the next one doesn't have; and nothing is ever below zero."""
    deadline = Deadline(8, clock)
    assert deadline.left() == 8
    clock.sleep(5)
    assert deadline.left() == 3
    clock.sleep(5)
    assert deadline.left() == 0


def test_a_call_is_made_again_until_it_succeeds(clock: Clock) -> None:
    """Each try is given what is left, and a pause is between two of them."""
    given: list[float] = []

    def call(seconds: float) -> str:
        given.append(seconds)
        if len(given) < 3:
            raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
        return "done"

    assert retry(call, Deadline(10, clock), 1, lambda _: True) == "done"
    assert given == [10, 9, 8]


def test_no_call_is_made_after_the_deadline(clock: Clock) -> None:
    """A call that always fails ends with its error, at the deadline."""

    def call(seconds: float) -> None:
        clock.sleep(seconds / 2)
        raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))

    with pytest.raises(KafkaException):
        retry(call, Deadline(10, clock), 1, lambda _: True)
    assert clock.now <= 1010


def test_an_error_that_stays_is_raised_at_once(clock: Clock) -> None:
    """No time passes where another try can't mend it."""

    def call(_: float) -> None:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    with pytest.raises(KafkaException):
        retry(call, Deadline(10, clock), 1, lambda error: error.retriable())
    assert clock.now == 1000


def test_pauses_grow_to_seconds_and_stay_there() -> None:
    """Brokers that are away for hours cost thousands of tries."""
    pauses = [backoff_s(tries) for tries in range(5000)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1 < pauses[-1] < 10
