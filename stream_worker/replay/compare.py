"""Compare a replay with the live results of the same events, in bounded memory.

Results keep the input's order per input partition, so each partition is two sorted rows that are
read side by side: neither is ever held.
"""

from collections.abc import Iterator

import msgspec
from confluent_kafka import OFFSET_BEGINNING, KafkaException

from sentiment import events, kafka, topics
from sentiment.errors import InputError, TopicError
from sentiment.event_errors import EventError
from sentiment.events import Input, SentimentResult
from sentiment.progress import Progress
from sentiment.reader import Start, TopicReader
from sentiment.settings import Settings
from stream_worker.replay.comparison import Comparison, paired
from stream_worker.replay.offsets import Offsets
from stream_worker.replay.output import topic_id
from stream_worker.replay.plan import Mark, plan_of

# Live results come after their events, by the clocks of two machines: reading begins this much
# earlier, and at the oldest result where that turns out to be too late.
SKEW_S = 60.0


def known(settings: Settings, output: str, offsets: Offsets) -> dict[int, Mark]:
    """The marks of the replay into a topic, by input partition.

    Raises:
        BrokerError: Kafka doesn't answer.
        InputError: There is no such replay.
        TopicError: A live topic is missing.
    """
    topics.require(settings, settings.topics.events, settings.topics.results)
    try:
        marks = offsets.load()
    except KafkaException as error:
        raise kafka.unreachable(settings.kafka, error) from None
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

    The live topic may have another number of partitions than the events topic, as long as it has
    had it all the time.

    Raises:
        SentimentError: Kafka doesn't give them.
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
        first = live.first(place, begin)
        # Rising offsets: if the first one seen is in the range already, earlier ones may be, too.
        if first is None or first > mark.start:
            begin = OFFSET_BEGINNING
        rows = (
            live.read(place, begin),
            replayed.read(partition % output_partitions, OFFSET_BEGINNING),
        )
        for left, right in paired(*rows):
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
                    return events.decode_event(record.value() or b"").text
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

    def first(self, place: int, start: int) -> int | None:
        """The input offset of the first result from an offset on; None where there is none."""
        return next((result.input.offset for result in self._results(place, start)), None)

    def read(self, place: int, start: int) -> Iterator[SentimentResult]:
        """Results within the range, in strictly rising order; others of them are counted."""
        last = self._mark.start - 1
        for result in self._results(place, start):
            offset = result.input.offset
            if offset >= self._mark.next:
                return
            if offset > last:
                last = offset
                yield result
            elif offset >= self._mark.start:
                self.repeated += 1

    def _results(self, place: int, start: int) -> Iterator[SentimentResult]:
        with TopicReader(self._settings.kafka, self._topic, {place: start}) as reader:
            for record in reader.rest():
                try:
                    result = events.decode_result(record.value() or b"")
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
                source = (result.input.topic, result.input.partition)
                if source == (self._settings.topics.events, self._partition):
                    yield result
