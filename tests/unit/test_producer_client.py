import pytest

from producer import EventProducer
from sentiment.errors import BrokerError, InputError
from sentiment.kafka import producer
from sentiment.settings import Settings

# No broker listens there: the port is reserved.
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> EventProducer:
    """A producer whose Kafka went away right after it had been there."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
    monkeypatch.setattr("sentiment.kafka.topics.require", lambda *_: None)
    monkeypatch.setattr(producer, "MAX_QUEUED", 3)
    return EventProducer(timeout_s=0.2)


def test_no_broker_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker there is no producer, but an error within the setting's time."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
    monkeypatch.setenv("KAFKA_CONNECT_TIMEOUT_S", "0.5")
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        EventProducer()


def test_lost_events_are_told_by_flush(gone: EventProducer) -> None:
    """What no broker took in time is an error with the count and the reason, told once."""
    for _ in range(2):
        gone.send("good")
    with pytest.raises(BrokerError, match=r"2 of 2 events were not delivered.*timed out"):
        gone.flush()
    assert (gone.sent, gone.delivered, gone.failed) == (2, 0, 2)
    gone.flush()


def test_lost_events_are_told_by_the_next_send(gone: EventProducer) -> None:
    """An upstream app that never flushes learns of a loss when it sends again."""
    gone.send("good")
    while not gone.failed:
        gone.wait(0.1)
    with pytest.raises(BrokerError, match="1 of 1 events"):
        gone.send("good")


def test_lost_events_are_told_by_the_end_of_the_block(gone: EventProducer) -> None:
    """Leaving the context waits for the acknowledgements and raises if there are none."""
    with pytest.raises(BrokerError, match="1 of 1 events"), gone:
        gone.send("good")


def test_the_block_keeps_its_own_error(gone: EventProducer) -> None:
    """What went wrong inside is not hidden by what it led to."""
    gone.send("good")
    with pytest.raises(ZeroDivisionError), gone:
        raise ZeroDivisionError
    assert gone.failed == 1


def test_flush_ends_in_time(gone: EventProducer) -> None:
    """A shorter wait than the delivery's ends with the number of events that are still out."""
    gone.send("good")
    with pytest.raises(BrokerError, match=r"1 of 1 events .* not acknowledged within 0\.1 s"):
        gone.flush(0.1)


def test_a_full_queue_holds_the_sender_up_and_not_for_ever(gone: EventProducer) -> None:
    """With a full queue `send` waits, and raises when nothing leaves it."""
    with pytest.raises(BrokerError):
        list(map(gone.send, ["good"] * 100))
    assert gone.sent == 3


@pytest.mark.parametrize("text", ["", " \n", "x" * 70_000, "half \ud83d"])
def test_bad_texts_are_refused_before_they_are_sent(gone: EventProducer, text: str) -> None:
    """What would become a dead letter is the caller's error, and nothing is sent."""
    with pytest.raises(InputError):
        gone.send(text)
    assert gone.sent == 0


def test_a_value_beyond_kafkas_limit_is_the_callers_error(gone: EventProducer) -> None:
    """Even raw bytes have a limit, and it is told at once."""
    with pytest.raises(InputError, match="larger than Kafka takes"):
        gone.send_raw(b"x" * 3_000_000)


def test_settings_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on the size is that of the settings that were given."""
    monkeypatch.setattr("sentiment.kafka.topics.require", lambda *_: None)
    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=NOWHERE)
    settings.worker = settings.worker.replace(max_event_bytes=100)
    with pytest.raises(InputError, match="more than 100"):
        EventProducer(settings).send("x" * 100)
