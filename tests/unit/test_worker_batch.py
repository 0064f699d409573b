"""Claims about one batch, without a broker."""

import json
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from numpy.typing import NDArray

from sentiment import metrics, wire
from sentiment.classify.assemble import Batch, Piece, assemble, classify
from sentiment.classify.decode import decode
from sentiment.classify.score import Models, answer
from sentiment.classify.tallies import MAX_ROWS, OTHER_SOURCE
from sentiment.kafka.transactions import Output
from sentiment.model.scorer import Scorer
from sentiment.registry.registry import LoadedModel
from sentiment.settings import TopicSettings
from sentiment.times import OLDEST_MS
from sentiment.wire import Tally, decode_tally
from stream_worker.metrics import count

NOW_MS = 1_700_000_000_000


class LengthScorer(Scorer):
    """Gives one over the text's length; fails on texts that say so."""

    kind = "sklearn"

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text."""
        if any("FAIL" in text for text in texts):
            raise RuntimeError("a model's own failure")
        return np.array([np.nan if "NAN" in t else 1 / len(t) for t in texts], dtype=np.float64)


MODEL = LoadedModel("sentiment", "7", LengthScorer(), 0.0)
TOPICS = TopicSettings()


def record(
    value: bytes | None,
    offset: int = 0,
    partition: int = 0,
    headers: wire.Headers | None = None,
    key: bytes | None = b"key",
    *,
    timestamp_ms: int | None = None,
) -> Message:
    """A record as the consumer returns it."""
    return Message(
        topic="text-events",
        partition=partition,
        offset=offset,
        key=key,
        value=value,
        headers=headers,
        timestamp=(
            TIMESTAMP_CREATE_TIME,
            NOW_MS + offset if timestamp_ms is None else timestamp_ms,
        ),
    )


def run(*records: Message, max_event_bytes: int = 1000) -> Batch:
    """Classify records with the test's model."""
    return classify(records, MODEL, TOPICS, max_event_bytes)


def outputs(batch: Batch, topic: str) -> list[Output]:
    """What a batch publishes on one topic."""
    return [output for output in batch.outputs if output.topic == topic]


def test_result_names_event_model_and_place() -> None:
    """A result has the event's id, key and source, its coordinates and the model's version."""
    value = json.dumps({"id": "e1", "text": "x", "source": "app", "later": [1]}).encode()
    [output] = outputs(run(record(value, offset=5, partition=2)), TOPICS.results)
    result = wire.decode_result(output.value or b"")
    assert (result.id, result.source, output.key, output.partition) == ("e1", "app", b"key", 2)
    assert result.input == wire.Input("text-events", 2, 5)
    assert result.model == wire.Model("sentiment", "7")
    assert (result.sentiment, result.score, result.confidence) == ("positive", 1.0, 1.0)
    assert result.received_at.timestamp() * 1000 == NOW_MS + 5


def test_event_without_id_is_named_by_its_place() -> None:
    """An event with no id gets topic-partition-offset."""
    [output] = outputs(run(record(b'{"text":"x"}', offset=9, partition=3)), TOPICS.results)
    assert wire.decode_result(output.value or b"").id == "text-events-3-9"


def test_trace_and_cloudevents_headers_travel() -> None:
    """`traceparent`, `tracestate` and `ce_*` pass to the result, others don't."""
    sent: wire.Headers = [
        ("traceparent", b"00-a"),
        ("x", b"1"),
        ("ce_type", b"t"),
        ("tracestate", b"s"),
    ]
    [output] = outputs(run(record(b'{"text":"x"}', headers=sent)), TOPICS.results)
    assert output.headers == [("traceparent", b"00-a"), ("ce_type", b"t"), ("tracestate", b"s")]


def test_bad_event_leaves_its_neighbours_alone() -> None:
    """A dead letter keeps bytes, key and headers; the good events around it have results."""
    bad = b'{"text": 3}'
    batch = run(
        record(b'{"text":"a"}', 0),
        record(bad, 1, headers=[("h", b"v"), (wire.ERROR_CODE, b"old")]),
        record(b'{"text":"bb"}', 2),
    )
    results = [wire.decode_result(o.value or b"") for o in outputs(batch, TOPICS.results)]
    assert [result.input.offset for result in results] == [0, 2]
    [letter] = outputs(batch, TOPICS.dead_letters)
    headers = dict(letter.headers)
    assert (letter.value, letter.key, headers["h"]) == (bad, b"key", b"v")
    assert headers[wire.ERROR_CODE] == b"text_not_string"
    assert headers[wire.ERROR_TOPIC] == b"text-events"
    assert (headers[wire.ERROR_PARTITION], headers[wire.ERROR_OFFSET]) == (b"0", b"1")
    assert headers[wire.ERROR_ATTEMPT] == b"1"
    assert headers[wire.ERROR_MODEL_VERSION] == b"7"
    assert len(letter.headers) == len(headers), "an old error header stayed beside the new one"


@pytest.mark.parametrize(
    ("earlier", "expected"), [(b"1", b"2"), (b"x", b"1"), (b"", b"1"), (b"9" * 400, b"1")]
)
def test_attempts_are_counted(earlier: bytes, expected: bytes) -> None:
    """The attempt count goes on from the record's header, and from one where that is nonsense."""
    [letter] = outputs(
        run(record(b"?", headers=[(wire.ERROR_ATTEMPT, earlier)])), TOPICS.dead_letters
    )
    assert dict(letter.headers)[wire.ERROR_ATTEMPT] == expected


def test_size_limit_counts_the_whole_value() -> None:
    """A value of exactly the limit is classified, one byte more is a dead letter."""
    value = b'{"text":"' + b"x" * 89 + b'"}'
    assert outputs(run(record(value), max_event_bytes=100), TOPICS.results)
    [letter] = outputs(run(record(value), max_event_bytes=99), TOPICS.dead_letters)
    assert dict(letter.headers)[wire.ERROR_CODE] == b"too_large"


@pytest.mark.parametrize("timestamp_ms", [-1, -(2**63), 2**63 - 1])
def test_an_absurd_timestamp_is_taken_as_now(timestamp_ms: int) -> None:
    """A timestamp that is no date costs nothing but itself: the event has its result."""
    [output] = outputs(run(record(b'{"text":"x"}', timestamp_ms=timestamp_ms)), TOPICS.results)
    result = wire.decode_result(output.value or b"")
    assert result.received_at == result.processed_at.replace(
        microsecond=result.processed_at.microsecond // 1000 * 1000
    )


def tallied(batch: Batch) -> Tally:
    """The tally of a batch of one partition."""
    [output] = outputs(batch, TOPICS.tallies)
    return decode_tally(output.value or b"")


def latency_sum() -> float:
    """The metric's sum, in seconds."""
    return metrics.REGISTRY.get_sample_value("sentiment_event_latency_seconds_sum") or 0.0


def old_events() -> float:
    """How many events were too old to be believed."""
    name = "sentiment_clock_skew_events_total"
    return metrics.REGISTRY.get_sample_value(name, {"kind": "old"}) or 0.0


def test_a_clock_that_is_ahead_takes_nothing_from_the_sums() -> None:
    """An event from the future has no delay, counts now, and is told; its time stays as it is."""
    now_ms = time.time_ns() // 1_000_000
    ahead_ms = now_ms + 3_000_000
    batch = run(
        record(b'{"text":"x"}', 0, timestamp_ms=now_ms - 60_000),
        record(b'{"text":"x"}', 1, timestamp_ms=ahead_ms),
        record(b"?", 2, timestamp_ms=ahead_ms),
    )
    counts = tallied(batch).counts
    assert sum(row.latency_ms_sum for row in counts) >= 60_000
    assert all(row.latency_ms_sum >= 0 for row in counts)
    assert all(row.interval <= time.time() for row in counts)
    assert batch.skews == {"ahead": 2}
    ahead = wire.decode_result(outputs(batch, TOPICS.results)[1].value or b"")
    assert round(ahead.received_at.timestamp() * 1000) == ahead_ms


def test_an_event_of_1970_adds_a_week_at_most() -> None:
    """It has the longest age that there is, in tally and metric, and an interval of its own."""
    batch = run(
        record(b'{"text":"x"}', 0, timestamp_ms=1),
        record(b'{"text":"x"}', 1, timestamp_ms=time.time_ns() // 1_000_000),
    )
    old, new = tallied(batch).counts
    assert (old.interval, old.latency_ms_sum) == (0, OLDEST_MS)
    assert 0 <= new.latency_ms_sum < OLDEST_MS
    before = latency_sum(), old_events()
    count(batch)
    assert latency_sum() - before[0] == pytest.approx(OLDEST_MS / 1000)
    assert old_events() - before[1] == 1


def test_a_batch_from_the_future_has_no_negative_latency() -> None:
    """The metric's sum never falls."""
    before = latency_sum()
    count(run(record(b'{"text":"x"}', timestamp_ms=time.time_ns() // 1_000_000 + 3_000_000)))
    assert latency_sum() >= before


def test_tombstones_are_skipped_and_counted() -> None:
    """A record without a value has no output but is covered by the tally."""
    batch = run(record(None, 4))
    [tally] = outputs(batch, TOPICS.tallies)
    decoded = decode_tally(tally.value or b"")
    assert [o.topic for o in batch.outputs] == [TOPICS.tallies]
    assert (decoded.tombstones, decoded.first_offset, decoded.next_offset) == (1, 4, 5)


def test_a_text_that_the_model_fails_on_is_one_dead_letter() -> None:
    """An exception or no number from the model costs only the text it is about."""
    texts = ["a", "FAIL", "bb", "NAN", "c"]
    batch = run(*(record(json.dumps({"text": t}).encode(), i) for i, t in enumerate(texts)))
    assert batch.errors == {"model_failed": 2}
    results = [wire.decode_result(o.value or b"") for o in outputs(batch, TOPICS.results)]
    assert [(result.input.offset, result.score) for result in results] == [(0, 1), (2, 0.5), (4, 1)]


def test_tallies_cover_each_partition_and_add_up() -> None:
    """Per partition: the offset range, and counts by source and ten seconds that sum up."""
    batch = run(
        record(b'{"text":"x","source":"s"}', 10, 0),
        record(b'{"text":"xxx","source":"s"}', 12, 0),
        record(b"?", 13, 0),
        record(b'{"text":"x"}', 7, 1),
    )
    first, second = (decode_tally(o.value or b"") for o in outputs(batch, TOPICS.tallies))
    assert (first.partition, first.first_offset, first.next_offset) == (0, 10, 14)
    assert (second.partition, second.first_offset, second.next_offset) == (1, 7, 8)
    [by_source, unread] = first.counts
    assert (by_source.source, by_source.positive, by_source.negative) == ("s", 1, 1)
    assert by_source.interval == NOW_MS // 10_000 * 10
    assert by_source.score_sum == pytest.approx(1 + 1 / 3)
    assert (unread.source, unread.dead_letters) == ("", 1)
    assert batch.errors.total() + batch.results.total() == batch.events == 4
    assert batch.results == {("positive", "7"): 2, ("negative", "7"): 1}


def test_a_tally_is_bounded_and_still_adds_up() -> None:
    """Sources beyond the limit share one row: the record stays small and no event is left out."""
    many = MAX_ROWS + 500
    batch = run(
        *(record(json.dumps({"text": "x", "source": f"s{i}"}).encode(), i) for i in range(many))
    )
    [output] = outputs(batch, TOPICS.tallies)
    counts = decode_tally(output.value or b"").counts
    assert len(counts) == MAX_ROWS + 1
    assert sum(row.positive for row in counts) == many
    assert counts[-1].source == OTHER_SOURCE


def test_rows_beyond_the_limit_are_not_counted_in_1970() -> None:
    """One old event before all others doesn't take theirs to an interval that has no window."""
    now_ms = time.time_ns() // 1_000_000
    values = [json.dumps({"text": "x", "source": f"s{n}"}).encode() for n in range(MAX_ROWS + 500)]
    batch = run(
        record(b'{"text":"x"}', 0, timestamp_ms=1),
        *(record(value, n, timestamp_ms=now_ms) for n, value in enumerate(values, 1)),
    )
    events_of = Counter[int]()
    for row in tallied(batch).counts:
        events_of[row.interval] += row.positive
    assert events_of == {0: 1, now_ms // 10_000 * 10: MAX_ROWS + 500}


def test_pieces_make_one_batch() -> None:
    """What was read and scored piece by piece is published as if it had come together."""
    records = [record(b'{"text": "a"}', n, n % 2) for n in range(4)] + [record(b"no", 4)]
    decoded = [decode(part, 1000) for part in (records[:3], records[3:])]
    pieces = [Piece(one, answer(one, Models(MODEL))) for one in decoded]
    batch = assemble(pieces, TOPICS)
    places = [wire.decode_result(o.value or b"").input for o in outputs(batch, TOPICS.results)]
    assert [(place.partition, place.offset) for place in places] == [(0, 0), (1, 1), (0, 2), (1, 3)]
    tallies = [decode_tally(o.value or b"") for o in outputs(batch, TOPICS.tallies)]
    assert [(t.partition, t.first_offset, t.next_offset) for t in tallies] == [(0, 0, 5), (1, 1, 4)]
    assert (batch.events, batch.errors) == (5, {"not_json": 1})
    assert sum(answers.texts["7"] for answers in batch.answers) == 4
