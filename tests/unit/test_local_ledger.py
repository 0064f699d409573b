"""Claims about the demo's ledger, on which its exit code rests."""

from confluent_kafka import Message

from local.traffic import Ledger, Outcome, quantile_ms
from sentiment import wire
from sentiment.wire import Input, Model, SentimentResult


def result(key: str) -> Message:
    """A result as its reader sees it."""
    moment = wire.decode_event(b'{"text":"x","created_at":"2026-01-01T00:00:00Z"}').created_at
    assert moment is not None
    value = SentimentResult(
        key, "positive", 0.9, 0.9, Model("m", "3"), Input("t", 0, 0), moment, moment
    )
    return Message(topic="r", key=key.encode(), value=wire.encode(value))


def test_each_event_is_open_until_its_first_outcome() -> None:
    """A result and a dead letter close their events; what is left is missing."""
    ledger = Ledger()
    keys = [ledger.sending()[0] for _ in range(3)]
    ledger.saw_result(result(keys[0]))
    ledger.saw_dead_letter(Message(topic="d", key=keys[1].encode(), value=b"?"))
    assert (ledger.results, ledger.dead_letters, ledger.open) == (1, 1, 1)
    assert (ledger.duplicates, ledger.model) == (0, "m/3")


def test_a_second_outcome_is_a_double() -> None:
    """A second result, or a dead letter beside a result, is counted as doubled."""
    ledger = Ledger()
    key, _ = ledger.sending()
    ledger.saw_result(result(key))
    ledger.saw_result(result(key))
    ledger.saw_dead_letter(Message(topic="d", key=key.encode(), value=b"?"))
    assert (ledger.results, ledger.dead_letters, ledger.duplicates) == (1, 0, 2)


def test_records_of_others_are_left_out() -> None:
    """Keys of another run, without a key or of no form at all count nowhere."""
    ledger = Ledger()
    ledger.sending()
    for key in (b"other-0", b"", b"\xff-1", b"-"):
        ledger.saw_dead_letter(Message(topic="d", key=key, value=b"?"))
    assert (ledger.dead_letters, ledger.duplicates, ledger.open) == (0, 0, 1)


def test_what_was_never_sent_is_not_missing() -> None:
    """An event that the end of the run kept from being sent doesn't count."""
    ledger = Ledger()
    _, number = ledger.sending()
    ledger.not_sent(number)
    assert (ledger.produced, ledger.open) == (0, 0)


def test_quantiles() -> None:
    """The nearest-rank quantile, in milliseconds; none of nothing."""
    outcomes = [Outcome(0, ms / 1000, None) for ms in range(1, 101)]
    assert quantile_ms(outcomes, 0.5) == 50
    assert quantile_ms(outcomes, 0.99) == 99
    assert quantile_ms([], 0.5) is None
