"""Compare a replay with the live results of the same events, in bounded memory.

Results keep the input's order per input partition, so each partition is two sorted rows that are
read side by side: neither is ever held.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, repeat
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING

from sentiment import wire
from sentiment.cli import Progress
from sentiment.errors import InputError, TopicError
from sentiment.kafka import topics
from sentiment.kafka.reader import Start, TopicReader
from sentiment.settings import Settings
from sentiment.wire import EventError, Input, SentimentResult
from stream_worker.replay.plan import Mark, Offsets, plan_of, topic_id

# How the answers of two models to the same events differ. Knows nothing of brokers.

# Enough to see what kind of text it is about.
EXAMPLES = 5
# Bounds memory whatever names the events give; as the tallies do.
MAX_SOURCES = 1000
OTHER_SOURCE = "(other)"

Pair = tuple[SentimentResult | None, SentimentResult | None]


def paired(live: Iterator[SentimentResult], replayed: Iterator[SentimentResult]) -> Iterator[Pair]:
    """Results of one input partition side by side; input offsets rise strictly on either side."""

    def offset(one: tuple[SentimentResult, int]) -> int:
        return one[0].input.offset

    both = heapq.merge(zip(live, repeat(0)), zip(replayed, repeat(1)), key=offset)
    for _, found in groupby(both, offset):
        pair = {side: result for result, side in found}
        yield pair.get(0), pair.get(1)


@dataclass
class Comparison:
    """Counts over any number of events, in bounded memory; compared are those with both results.

    A live result of an event that has one, or is passed already, is `repeated`.
    """

    compared: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    only_live: int = 0
    only_replay: int = 0
    repeated: int = 0
    live_models: Counter[str] = field(default_factory=Counter)
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    difference_sum: float = 0.0
    difference_max: float = 0.0
    # Those with the largest differences, by these, and by numbers that order equal ones.
    _examples: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        """Take in one event."""
        live, replayed = pair
        if live is None:
            self.only_replay += 1
        elif replayed is None:
            self.only_live += 1
        else:
            self._compare(live, replayed)

    def _compare(self, live: SentimentResult, replayed: SentimentResult) -> None:
        difference = abs(live.score - replayed.score)
        self.compared += 1
        self.live_models[live.model.version] += 1
        self.difference_sum += difference
        self.difference_max = max(self.difference_max, difference)
        source = self._source(live.source or "")
        source["compared"] += 1
        if live.sentiment != replayed.sentiment:
            self.changed[f"{live.sentiment} to {replayed.sentiment}"] += 1
            source["changed"] += 1
            example = {
                "id": live.id, "live": live.score, "replay": replayed.score,
                "input": msgspec.structs.asdict(live.input),
            }  # fmt: skip
            keep = heapq.heappush if len(self._examples) < EXAMPLES else heapq.heappushpop
            keep(self._examples, (difference, self.compared, example))

    def _source(self, name: str) -> dict[str, int]:
        if name not in self.sources and len(self.sources) >= MAX_SOURCES:
            name = OTHER_SOURCE
        return self.sources.setdefault(name, {"compared": 0, "changed": 0})

    def as_dict(self) -> dict[str, Any]:
        """The figures for a program."""
        count = self.compared
        mean = self.difference_sum / count if count else None
        return {
            "compared": count,
            # None where nothing was compared.
            "agreement": 1 - self.changed.total() / count if count else None,
            "changed": dict(self.changed),
            "score_difference": {"mean": mean, "largest": self.difference_max},
            "only_live": self.only_live,
            "only_replay": self.only_replay,
            "repeated": self.repeated,
            "live_models": dict(self.live_models),
            "by_source": dict(sorted(self.sources.items(), key=lambda item: -item[1]["changed"])),
            "examples": [example for *_, example in sorted(self._examples, reverse=True)],
        }


# Results follow events by another clock: reading begins earlier by this, or at the oldest one.
SKEW_S = 60.0


def known(settings: Settings, output: str, offsets: Offsets) -> dict[int, Mark]:
    """The marks of a replay by input partition; an `InputError` if there is none such."""
    topics.require(settings, settings.topics.events, settings.topics.results)
    marks = offsets.told()
    ids = {mark.plan.topic_id for mark in marks.values()}
    if ids != {topic_id(settings, output)}:
        raise InputError(
            f"No replay into {output!r} is known.",
            "Name it as `sentiment replay` was told: --output-topic, and --group-id if one was"
            " given. Kafka forgets a group's offsets after offsets.retention.minutes.",
        )
    return marks


def compare(settings: Settings, output: str, marks: dict[int, Mark]) -> Comparison:
    """Read both topics, partition by partition, as far as the replay has come.

    The live topic may have another number of partitions, if it has had it all the time.
    """
    comparison = Comparison()
    progress = Progress(sum(mark.next - mark.start for mark in marks.values()))
    live_starts = _starts(settings, plan_of(marks).from_s)
    with TopicReader(settings.kafka, output, "end") as reader:
        output_partitions = len(reader.positions())
    before = 0
    for partition, mark in marks.items():
        if mark.next == mark.start:
            continue
        live = _Row(settings, settings.topics.results, partition, mark)
        replayed = _Row(settings, output, partition, mark)
        place = partition % len(live_starts)
        begin = live_starts[place]
        first = next(live.results(place, begin), None)
        # Rising offsets: if the first one seen is in the range already, earlier ones may be, too.
        if first is None or first.input.offset > mark.start:
            begin = OFFSET_BEGINNING
        theirs = replayed.read(partition % output_partitions, OFFSET_BEGINNING)
        for left, right in paired(live.read(place, begin), theirs):
            comparison.add((left, right))
            seen = left or right
            progress.update(before + (seen.input.offset - mark.start if seen else 0))
        before += mark.next - mark.start
        comparison.repeated += live.repeated
    progress.clear()
    return comparison


def text_of(settings: Settings, place: Input) -> str | None:
    """The text of an event; None where it is gone."""
    try:
        with TopicReader(settings.kafka, place.topic, {place.partition: place.offset}) as reader:
            for record in reader.poll(settings.kafka.connect_timeout_s, 1):
                if record.offset() == place.offset:
                    return wire.decode_event(record.value() or b"").text
    except (EventError, TopicError):
        pass
    return None


def _starts(settings: Settings, from_s: float | None) -> dict[int, int]:
    """Where the live results of the range begin at the earliest, by partition of their topic."""
    start: Start = "beginning" if from_s is None else max(0.0, from_s - SKEW_S)
    with TopicReader(settings.kafka, settings.topics.results, start) as reader:
        return reader.positions()


class _Row:
    """The results of one input partition on one topic."""

    def __init__(self, settings: Settings, topic: str, partition: int, mark: Mark) -> None:
        self._settings = settings
        self._topic = topic
        self._partition = partition
        self._mark = mark
        self.repeated = 0

    def read(self, place: int, start: int) -> Iterator[SentimentResult]:
        """Results within the range, in strictly rising order; others of them are counted."""
        last = self._mark.start - 1
        for result in self.results(place, start):
            offset = result.input.offset
            if offset >= self._mark.next:
                return
            if offset > last:
                last = offset
                yield result
            elif offset >= self._mark.start:
                self.repeated += 1

    def results(self, place: int, start: int) -> Iterator[SentimentResult]:
        with TopicReader(self._settings.kafka, self._topic, {place: start}) as reader:
            for record in reader.rest():
                try:
                    result = wire.decode_result(record.value() or b"")
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
                source = (result.input.topic, result.input.partition)
                if source == (self._settings.topics.events, self._partition):
                    yield result
