"""One pass over the dead letters that stand on the topic now."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from sentiment.dead_letters.dead_letter import (
    DeadLetter,
    Marks,
    Selection,
    marks_of,
    read,
    read_marks,
)
from sentiment.errors import BrokerError, TopicError
from sentiment.kafka import topics
from sentiment.kafka.reader import POLL_S, Start, TopicReader
from sentiment.settings import Settings
from sentiment.wire import Redriven


class Scan:
    """Reads the committed dead letters that are selected, up to the end of the topic as it is now.

    At each record `tell` is called with how many were read, and their share of the whole. About
    `latest` are read at most, the latest of each partition.
    """

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        tell: Callable[[int, float], None] = lambda *_: None,
        *,
        latest: int | None = None,
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._tell = tell
        # How many offsets at the beginning are left out, because of `latest`.
        self.passed_over = 0
        # Ids of the selection that no dead letter was found for; complete at the end.
        self.missing = set(selection.ids)
        start: Start = "beginning" if selection.since is None else selection.since
        self._reader = TopicReader(settings.kafka, settings.topics.dead_letters, start)
        try:
            if latest is not None:
                self._skip(settings, latest)
            self._starts, self._ends = self._reader.positions(), self._reader.ends()
            self.redriven = Marks(self._starts, self._ends)
            self.topic_id = topics.identity(settings.kafka, settings.topics.dead_letters).id
            self.read_marks()
        except BaseException:
            self._reader.close()
            raise

    def read_marks(self) -> None:
        """Have `redriven` be all that have been redriven by now."""
        for mark in read_marks(self._settings, self.topic_id):
            self.redriven.add(mark)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """The selected dead letters, in order per partition; ends early when all ids are found."""
        selection = self._selection
        # An event's place may be that of several, if its topic was made anew: they all count.
        sought, first = set(selection.ids), sum(self._starts.values())
        whole = sum(self._ends.values()) - first
        for count, record in enumerate(self._reader.rest(), 1):
            done = sum(self._reader.positions().values()) - first
            self._tell(count, min(1.0, done / max(whole, 1)))
            dead_letter = read(record)
            if selection.ids:
                named = selection.named(dead_letter, self._reader.topic)
                if not named:
                    continue
                self.missing -= named
                sought -= {dead_letter.id, f"{self._reader.topic}-{dead_letter.id}"}
            if selection.matches(dead_letter):
                yield dead_letter
            if selection.ids and not sought:
                return

    def _skip(self, settings: Settings, latest: int) -> None:
        """Begin later where there are more than as many, with as many of each partition."""
        starts, ends = self._reader.positions(), self._reader.ends()
        if sum(ends.values()) - sum(starts.values()) <= latest:
            return
        each = max(1, latest // len(ends))
        later = {part: max(starts[part], end - each) for part, end in ends.items()}
        reader = TopicReader(settings.kafka, settings.topics.dead_letters, later)
        self._reader.close()
        self._reader = reader
        self.passed_over = sum(later.values()) - sum(starts.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()


class Found(NamedTuple):
    """A dead letter and when it was redriven; `marks` is empty where it wasn't."""

    dead_letter: DeadLetter
    marks: list[Redriven]


def find(settings: Settings, partition: int, offset: int) -> Found | None:
    """Read the dead letter at a place; None where it has expired, or never was."""
    name = settings.topics.dead_letters
    topics.require(settings, name, settings.topics.redriven)
    # From the beginning, so that a place that is gone is no error.
    with TopicReader(settings.kafka, name, "beginning") as reader:
        first, end = reader.positions().get(partition, 0), reader.ends().get(partition, 0)
    if not first <= offset < end or not (dead_letter := _read(settings, partition, offset)):
        return None
    topic_id = topics.identity(settings.kafka, name).id
    return Found(dead_letter, marks_of(settings, topic_id, dead_letter))


def _read(settings: Settings, partition: int, offset: int) -> DeadLetter | None:
    deadline = time.monotonic() + settings.kafka.connect_timeout_s
    with TopicReader(settings.kafka, settings.topics.dead_letters, {partition: offset}) as reader:
        while time.monotonic() < deadline:
            try:
                records = reader.poll(POLL_S, 1)
            except TopicError:
                # It expired between two questions.
                return None
            for record in records:
                return read(record) if record.offset() == offset else None
            if reader.positions()[partition] > offset:
                # The mark of a transaction, which is never returned.
                return None
    raise BrokerError(
        f"Reading {settings.topics.dead_letters!r} stopped: no broker sent anything for"
        f" {settings.kafka.connect_timeout_s:g} s.",
        "See whether the brokers are up, then look again.",
    )
