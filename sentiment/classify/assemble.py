"""One batch of records in, the records to publish out. Knows nothing of brokers."""

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from sentiment import metrics, times, wire
from sentiment.classify.decode import Decoded, Explain, decode
from sentiment.classify.score import Answers, Models, answer, decide
from sentiment.classify.tallies import INTERVAL_MS, Gap, PartitionTally, Row
from sentiment.errors import TooManyDeadLettersError
from sentiment.kafka.transactions import Output
from sentiment.kafka.unreadable import Unreadable
from sentiment.registry.registry import LoadedModel
from sentiment.settings import TopicSettings
from sentiment.times import Moment
from sentiment.wire import NO_HEADERS, EventError, Headers, Input, Model, SentimentResult


@dataclass
class Batch:
    """What became of a batch of input records."""

    answers: list[Answers]  # of one piece after the other
    events: int  # input records, tombstones among them
    # Timestamp of the oldest one, in milliseconds since 1970; not later than the batch.
    oldest_ms: int
    # By input partition; their `next_offset` is what is committed.
    tallies: dict[int, PartitionTally]
    errors: Counter[str]  # dead letters by error code
    skews: Counter[str]  # records whose timestamp is off, by how; see `sentiment.times`
    # Results, dead letters and tallies; on each topic in the input's order.
    outputs: list[Output] = field(default_factory=list)
    results: Counter[tuple[str, str]] = field(default_factory=Counter)  # by sentiment and version


def classify(
    messages: Sequence[Message],
    model: LoadedModel,
    topics: TopicSettings,
    max_event_bytes: int,
    explain: Explain = "asked",
) -> Batch:
    """Classify a batch with one model, in one go; the worker has its three steps side by side.

    The records are at least one, without errors, and in order per partition. Each has exactly one
    result, one dead letter, or is a tombstone.
    """
    decoded = decode(messages, max_event_bytes, explain)
    return assemble([Piece(decoded, answer(decoded, Models(model)))], topics)


def shortened(output: Output, topics: TopicSettings) -> Output:
    """What is published where a topic doesn't take an output as it is."""
    if output.topic == topics.dead_letters:
        return without_content(output)
    if output.topic != topics.results or output.value is None:
        return output
    # A result without explanation, headers and a long key.
    result = msgspec.structs.replace(wire.decode_result(output.value), explanation=None)
    return msgspec.structs.replace(
        output, key=short(output.key), value=wire.encode(result), headers=NO_HEADERS
    )


def skipped(batch: Unreadable, topics: TopicSettings, model_version: str) -> Output:
    """The dead letter in place of a batch that can't be read and is passed over."""
    error = EventError("unreadable_batch", str(batch))
    first = Message(topic=batch.topic, partition=batch.partition, offset=batch.first)
    headers = error_headers(first, error, model_version)
    return Output(topics.dead_letters, batch.partition, None, None, headers)


class Piece(NamedTuple):
    """Records that were read and scored together."""

    decoded: Decoded
    answers: Answers


def assemble(pieces: Sequence[Piece], topics: TopicSettings) -> Batch:
    """Make the records to publish from pieces in the order of the input, all by the same models."""
    assembly = _Assembly(pieces[0].answers.models, topics)
    for piece in pieces:
        assembly.add(piece)
    return assembly.batch()


class _Assembly:
    """Makes one batch's outputs; keeps what its records share, so that each costs little."""

    def __init__(self, models: Models, topics: TopicSettings) -> None:
        self._topics = topics
        champion, challenger = models.champion, models.challenger
        self._champion = Model(champion.name, champion.version)
        self._challenger = Model(challenger.name, challenger.version) if challenger else None
        self._answers: list[Answers] = []
        self._now = datetime.now(UTC)
        self._now_ms = int(self._now.timestamp() * 1000)
        # Thousands of records share a millisecond, and a row of a tally.
        self._moments: dict[int, Moment] = {}
        self._tallies: dict[int, PartitionTally] = {}
        self._rows: dict[tuple[int, str | None, int, str | None], Row] = {}
        self._dead_letters: list[Output] = []
        self._errors: Counter[str] = Counter()
        self._skews: Counter[str] = Counter()
        self._results: list[SentimentResult] = []
        # The partition, key and headers of each result.
        self._records: list[tuple[int, bytes | None, Headers]] = []

    def add(self, piece: Piece) -> None:
        """Add what became of each record, in one loop: a call costs as much as what it does."""
        decoded, answers = piece
        self._answers.append(answers)
        now, now_ms, moments, rows = self._now, self._now_ms, self._moments, self._rows
        results, records, tallies = self._results, self._records, self._tallies
        canaries, scores = answers.canaries, iter(enumerate(answers.scores))
        # In JSON already, and encoded as they are.
        explanations: dict[int, Any] = answers.explanations
        records_in = zip(decoded.messages, decoded.contents, decoded.headers, strict=True)
        for message, content, headers in records_in:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            # A consumed record has all three; the types allow for records that are yet to be sent.
            assert topic is not None and partition is not None and offset is not None  # noqa: S101, PT018
            tally = tallies.get(partition)
            if tally is None or tally.next_offset != offset:
                tally = self._tally(topic, partition, offset)
            tally.next_offset = offset + 1
            tally.events += 1
            kind, timestamp_ms = message.timestamp()
            timestamp_ms = -1 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms
            moment = moments.get(timestamp_ms)
            if moment is None:
                moment = moments[timestamp_ms] = times.moment(timestamp_ms, now_ms)
            if moment.skew:
                self._skews[moment.skew] += 1
            counted_ms = moment.counted_ms
            if content is None:
                tally.tombstones += 1
                continue
            if isinstance(content, EventError):
                self._add_dead_letter(message, partition, content, tally.row(None, counted_ms))
                continue
            number, score = next(scores)
            if isinstance(score, EventError):
                self._add_dead_letter(message, partition, score, tally.row(None, counted_ms))
                continue
            model, version, source = self._champion, None, content.source
            if canaries and self._challenger and number in canaries:
                model, version = self._challenger, self._challenger.version
            shared = partition, source, counted_ms // INTERVAL_MS, version
            row = rows.get(shared)
            if row is None:
                row = rows[shared] = tally.row(source, counted_ms, version)
            sentiment, confidence = decide(score)
            row.add(sentiment, score, moment.age_ms)
            place = Input(topic, partition, offset)
            results.append(
                SentimentResult(
                    id=content.id or wire.name_of(place),
                    sentiment=sentiment,
                    score=score,
                    confidence=confidence,
                    model=model,
                    input=place,
                    received_at=moment.at,
                    processed_at=now,
                    source=source,
                    created_at=content.created_at,
                    explanation=explanations.get(number) if explanations else None,
                    canary=version is not None,
                )
            )
            own = wire.passed_on(headers) if headers else NO_HEADERS
            records.append((partition, message.key(), own))

    def _tally(self, topic: str, partition: int, offset: int) -> PartitionTally:
        """The tally of a partition whose next record is not the one that was to be expected."""
        tally = self._tallies.get(partition)
        if tally is None:
            tally = self._tallies[partition] = PartitionTally(topic, partition, offset, offset)
        else:
            tally.gaps.append(Gap(tally.next_offset, offset))
        return tally

    def _add_dead_letter(
        self, message: Message, partition: int, error: EventError, row: Row
    ) -> None:
        """Add why a record could not be classified. What can't be read has no source."""
        headers = error_headers(message, error, self._champion.version)
        dead_letter = Output(
            self._topics.dead_letters, partition, message.key(), message.value(), headers
        )
        self._dead_letters.append(dead_letter)
        self._errors[error.code] += 1
        row.dead_letters += 1

    def batch(self) -> Batch:
        """The whole batch."""
        topics = self._topics
        batch = Batch(
            self._answers,
            sum(tally.events for tally in self._tallies.values()),
            min(moment.counted_ms for moment in self._moments.values()),
            self._tallies,
            self._errors,
            self._skews,
        )
        if any(answers.explanations for answers in self._answers):
            values = wire.encode_long(self._results)
        else:
            # One call for all of them takes a third of the time of one for each.
            values = wire.encode_all(self._results)
        for (partition, key, headers), value in zip(self._records, values, strict=True):
            batch.outputs.append(Output(topics.results, partition, key, value, headers))
        batch.outputs += self._dead_letters
        for tally in self._tallies.values():
            key = f"{tally.topic}-{tally.partition}".encode()
            value = wire.encode(tally.record(self._champion))
            batch.outputs.append(Output(topics.tallies, tally.partition, key, value, NO_HEADERS))
            for challenger, row in tally.rows():
                version = challenger or self._champion.version
                batch.results["positive", version] += row.positive
                batch.results["negative", version] += row.negative
        return batch


# Most bytes of a key that a shortened record still has: as much as an event's id.
SHORT_KEY_BYTES = 256


def error_headers(message: Message, error: EventError, model_version: str) -> Headers:
    """The headers of a dead letter: the record's, but for an earlier attempt's, and the error."""
    own = wire.headers_of(message)
    last = next((value for key, value in reversed(own) if key == wire.ERROR_ATTEMPT), None)
    # Anybody can write this header: a value that is no count starts the count anew.
    attempt = int(last) + 1 if last and last.isdigit() and len(last) < len("1000000") else 1
    return [
        *((key, value) for key, value in own if key not in wire.ERROR_HEADERS),
        (wire.ERROR_EXCEPTION, b"sentiment.events.EventError"),
        (wire.ERROR_MESSAGE, error.message.encode()),
        (wire.ERROR_TOPIC, (message.topic() or "").encode()),
        (wire.ERROR_PARTITION, str(message.partition()).encode()),
        (wire.ERROR_OFFSET, str(message.offset()).encode()),
        (wire.ERROR_CODE, error.code.encode()),
        (wire.ERROR_TIMESTAMP, datetime.now(UTC).isoformat().encode()),
        (wire.ERROR_ATTEMPT, str(attempt).encode()),
        (wire.ERROR_MODEL_VERSION, model_version.encode()),
    ]


def without_content(dead_letter: Output) -> Output:
    """A dead letter with nothing of the event but a short key, its coordinates, size and digest."""
    value = dead_letter.value or b""
    return msgspec.structs.replace(
        dead_letter,
        key=short(dead_letter.key),
        value=None,
        headers=[
            *(header for header in dead_letter.headers if header[0] in wire.ERROR_HEADERS),
            (wire.ERROR_VALUE_BYTES, str(len(value)).encode()),
            (wire.ERROR_VALUE_SHA256, hashlib.sha256(value).hexdigest().encode()),
        ],
    )


def short(key: bytes | None) -> bytes | None:
    """The key of a record that has to be short."""
    return key if key and len(key) <= SHORT_KEY_BYTES else None


class ShareLimit:
    """Watches the share of dead letters in a window of the latest events, once it is full."""

    def __init__(self, max_share: float, window: int) -> None:
        self._max_share = max_share
        self._window = window
        self._batches: deque[tuple[int, int]] = deque()
        self._events = self._bad = 0
        # The sums with the batch that was checked last, that batch, and how many leave for it.
        self._checked = (0, 0, (0, 0), 0)

    def check(self, events_count: int, bad_count: int) -> None:
        """Refuse a batch that takes the share above the limit; `keep` it once it is committed."""
        seen, bad, leaving = self._events + events_count, self._bad + bad_count, 0
        for old_events, old_bad in self._batches:
            if seen - old_events < self._window:
                break
            seen, bad, leaving = seen - old_events, bad - old_bad, leaving + 1
        self._checked = seen, bad, (events_count, bad_count), leaving
        metrics.DEAD_LETTER_SHARE.set(bad / seen)
        if seen >= self._window and bad > self._max_share * seen:
            raise TooManyDeadLettersError(
                f"{bad} of the last {seen} events could not be classified, more than"
                f" the share of {self._max_share:g} that WORKER_DEAD_LETTER_MAX_SHARE allows.",
                "Nothing of the last batch was committed. Look at what the producers send, then"
                " start the worker again, with a share of 1 to let everything through.",
            )

    def keep(self) -> None:
        """The batch that was checked last is committed: it counts from now on."""
        self._events, self._bad, batch, leaving = self._checked
        for _ in range(leaving):
            self._batches.popleft()
        self._batches.append(batch)
