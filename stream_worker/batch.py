"""One batch of records in, the records to publish out. Knows nothing of brokers."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from sentiment import events
from sentiment.events import EventError, Headers, Input, Model, SentimentResult, TextEvent
from sentiment.registry import LoadedModel, Scorer
from sentiment.settings import TopicSettings
from stream_worker.dead_letters import error_headers
from stream_worker.tallies import PartitionTally

# The last millisecond that a date can tell: 9999-12-31T23:59:59.999Z.
LATEST_MS = 253_402_300_799_999

# An event with P(positive), or why there is none. A tombstone has neither.
Outcome = tuple[TextEvent, float] | EventError


class Output(NamedTuple):
    """A record to publish. `partition` is the input's: its results keep its order."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass
class Batch:
    """What became of a batch of input records.

    Attributes:
        outputs: Results, dead letters and tallies, in the input's order per partition.
        tallies: Counts by input partition; their `next_offset` is what is committed.
        events: Input records, tombstones among them.
        oldest_ms: Timestamp of the oldest input record, in milliseconds since 1970.
        model: The model that classified all of them.
        sentiments: Number of results by sentiment.
        errors: Number of dead letters by error code.
    """

    model: Model
    events: int
    oldest_ms: int
    outputs: list[Output] = field(default_factory=list)
    tallies: dict[int, PartitionTally] = field(default_factory=dict)
    sentiments: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


def classify(
    messages: Sequence[Message], model: LoadedModel, topics: TopicSettings, max_event_bytes: int
) -> Batch:
    """Classify a batch.

    Args:
        messages: Records of the events topic, without errors, at least one; in order per partition.
        model: The model to use for all of them.
        topics: Where the outputs go.
        max_event_bytes: A larger value is a dead letter.

    Returns:
        The outputs and counts; each record has exactly one result, one dead letter, or is a
        tombstone.
    """
    outcomes = _outcomes(messages, model.scorer, max_event_bytes)
    now = datetime.now(UTC)
    now_ms = now.timestamp() * 1000
    batch = Batch(Model(model.name, model.version), len(messages), int(now_ms))
    for message, outcome in zip(messages, outcomes, strict=True):
        kind, timestamp_ms = message.timestamp()
        # Producers may write any number there, and it must not stop the stream.
        if kind == TIMESTAMP_NOT_AVAILABLE or not 0 <= timestamp_ms <= LATEST_MS:
            timestamp_ms = int(now_ms)
        batch.oldest_ms = min(batch.oldest_ms, timestamp_ms)
        tally = _tally(batch, message)
        match outcome:
            case None:
                tally.tombstones += 1
                continue
            case EventError():
                batch.errors[outcome.code] += 1
                tally.add_dead_letter(timestamp_ms)
                topic, value = topics.dead_letters, message.value()
                headers = error_headers(message, outcome, model.version)
            case event, score:
                result = _result(message, event, score, batch.model, timestamp_ms, now)
                batch.sentiments[result.sentiment] += 1
                tally.add_result(event.source, timestamp_ms, score, now_ms - timestamp_ms)
                topic, value = topics.results, events.encode(result)
                headers = events.passed_on(events.headers_of(message))
        batch.outputs.append(Output(topic, tally.partition, message.key(), value, headers))
    for tally in batch.tallies.values():
        key = f"{tally.topic}-{tally.partition}".encode()
        record = events.encode(tally.record(batch.model))
        batch.outputs.append(Output(topics.tallies, tally.partition, key, record, []))
    return batch


def _outcomes(
    messages: Sequence[Message], scorer: Scorer, max_event_bytes: int
) -> list[Outcome | None]:
    """What is said of each record, by scoring all its batch's texts in one call."""
    decoded = [_decode(message.value(), max_event_bytes) for message in messages]
    scores = iter(_score(scorer, [e.text for e in decoded if isinstance(e, TextEvent)]))
    outcomes: list[Outcome | None] = []
    for event in decoded:
        if isinstance(event, TextEvent):
            score = next(scores)
            outcomes.append(score if isinstance(score, EventError) else (event, score))
        else:
            outcomes.append(event)
    return outcomes


def _decode(value: bytes | None, max_event_bytes: int) -> TextEvent | EventError | None:
    """The event, why it is none, or None for a tombstone."""
    if value is None:
        return None
    if len(value) > max_event_bytes:
        return EventError("too_large", f"{len(value)} bytes, more than {max_event_bytes}")
    try:
        return events.decode_event(value)
    except EventError as error:
        return error


def _score(scorer: Scorer, texts: list[str]) -> list[float | EventError]:
    """Score texts; where the model fails on one, that one alone is a dead letter."""
    if not texts:
        return []
    try:
        scores: list[float | EventError] = scorer.score(texts).tolist()
    except Exception as error:  # noqa: BLE001 - whatever a model raises must not stop the stream
        if len(texts) == 1:
            return [EventError("model_failed", f"the model raised {type(error).__name__}")]
        middle = len(texts) // 2
        return _score(scorer, texts[:middle]) + _score(scorer, texts[middle:])
    for index, score in enumerate(scores):
        if not isinstance(score, float) or not math.isfinite(score):
            scores[index] = EventError("model_failed", "the model gave no number")
    return scores


def _tally(batch: Batch, message: Message) -> PartitionTally:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    # A consumed record has all three; the types allow for records that are yet to be sent.
    assert topic is not None and partition is not None and offset is not None  # noqa: S101, PT018
    tally = batch.tallies.get(partition)
    if tally is None:
        tally = batch.tallies[partition] = PartitionTally(topic, partition, offset, offset)
    tally.next_offset = offset + 1
    tally.events += 1
    return tally


def _result(  # noqa: PLR0913, PLR0917 - the parts of one record
    message: Message,
    event: TextEvent,
    score: float,
    model: Model,
    timestamp_ms: int,
    now: datetime,
) -> SentimentResult:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    positive = score >= 0.5  # noqa: PLR2004 - the decision rule of a probability
    return SentimentResult(
        id=event.id or f"{topic}-{partition}-{offset}",
        sentiment="positive" if positive else "negative",
        score=score,
        confidence=score if positive else 1 - score,
        model=model,
        input=Input(topic, partition, offset),  # type: ignore[arg-type]  # see _tally
        received_at=datetime.fromtimestamp(timestamp_ms / 1000, UTC),
        processed_at=now,
        source=event.source,
        created_at=event.created_at,
    )
