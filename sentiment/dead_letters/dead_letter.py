"""A dead letter, read from its record."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import Message
from msgspec import Struct

from sentiment import logs, wire
from sentiment.errors import InputError
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from sentiment.wire import Headers, Input, Redriven


class _Sourced(Struct):
    source: Any = None


@dataclass(frozen=True)
class DeadLetter:
    """A record of the dead-letter topic; key, value and `headers` are the event's own."""

    partition: int
    offset: int
    timestamp_ms: int  # when it became a dead letter, since 1970
    key: bytes | None
    value: bytes
    headers: Headers
    errors: dict[str, str]  # headers of the error, as text
    input: Input | None  # where the event stood; None where the headers don't tell

    @property
    def id(self) -> str:
        """Its name for the commands."""
        return f"{self.partition}-{self.offset}"

    @property
    def code(self) -> str:
        """What is wrong with the event; empty where the headers don't tell."""
        return self.errors.get(wire.ERROR_CODE, "")

    @property
    def message(self) -> str:
        """The same for people."""
        return self.errors.get(wire.ERROR_MESSAGE, "")

    @property
    def attempt(self) -> int:
        """How often the event has failed; 0 where the headers don't tell."""
        return number_of(self.errors.get(wire.ERROR_ATTEMPT, "")) or 0

    @property
    def source(self) -> str | None:
        """The event's `source`, where its value is JSON that has one."""
        try:
            source = msgspec.json.decode(self.value, type=_Sourced).source
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return source if isinstance(source, str) else None


def read(record: Message) -> DeadLetter:
    """Read a record of the dead-letter topic, which anybody may have written."""
    headers = wire.headers_of(record)
    errors = {
        key: value.decode(errors="backslashreplace") if isinstance(value, bytes) else value or ""
        for key, value in headers
        if key in wire.ERROR_HEADERS
    }
    topic = errors.get(wire.ERROR_TOPIC)
    partition = number_of(errors.get(wire.ERROR_PARTITION, ""))
    offset = number_of(errors.get(wire.ERROR_OFFSET, ""))
    complete = topic and partition is not None and offset is not None
    return DeadLetter(
        partition=record.partition() or 0,
        offset=record.offset() or 0,
        timestamp_ms=record.timestamp()[1],
        key=record.key(),
        value=record.value() or b"",
        headers=[(key, value) for key, value in headers if key not in wire.ERROR_HEADERS],
        errors=errors,
        input=Input(topic, partition, offset) if complete else None,  # type: ignore[arg-type]
    )


def number_of(text: str) -> int | None:
    """A partition, an offset or a count, as digits that anybody may have written; None: none."""
    # Kafka's largest offset has 19 digits; int() takes other scripts' digits too, and we don't.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004 - see above


_ID = re.compile(r"(.+-)?\d+-\d+")


@dataclass(frozen=True)
class Selection:
    """Which dead letters are meant: conditions that all have to hold; an empty one always does."""

    codes: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    since: float | None = None  # they became dead letters not before this; seconds since 1970
    until: float | None = None  # they became dead letters before this; seconds since 1970
    # `partition-offset` of the dead letter, or `topic-partition-offset` of either it or its event.
    ids: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in self.ids:
            if not _ID.fullmatch(name):
                raise InputError(
                    f"{name!r} is no id of a dead letter.",
                    "Give its partition and offset, as `sentiment dlq list` does (3-17), or its"
                    " event's topic, partition and offset (text-events-3-1042).",
                )

    @property
    def everything(self) -> bool:
        """Whether there is no condition."""
        return self == Selection()

    def named(self, dead_letter: DeadLetter, topic: str) -> frozenset[str]:
        """Those of the ids that mean this dead letter, which stands on this topic."""
        names = {dead_letter.id, f"{topic}-{dead_letter.id}"}
        if dead_letter.input:
            names.add(wire.name_of(dead_letter.input))
        return self.ids & names

    def matches(self, dead_letter: DeadLetter) -> bool:
        """Whether all conditions but the ids hold."""
        return (
            (not self.codes or dead_letter.code in self.codes)
            and (self.since is None or dead_letter.timestamp_ms >= round(self.since * 1000))
            and (self.until is None or dead_letter.timestamp_ms < round(self.until * 1000))
            # Last, as it reads the value.
            and (not self.sources or dead_letter.source in self.sources)
        )


# Which dead letters have been redriven: each has a mark on a topic of their own, by the transaction
# that put it back. Marks never expire, so that no dead letter is left without its mark.

log = logs.get(__name__)


def read_marks(settings: Settings, topic: str) -> Iterator[Redriven]:
    """All committed marks about a dead-letter topic, by its id."""
    with TopicReader(settings.kafka, settings.topics.redriven, "beginning") as reader:
        for record in reader.rest():
            try:
                mark = wire.decode_redriven(record.value() or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                log.warning(
                    "not a mark", topic=reader.topic, partition=record.partition(),
                    offset=record.offset(),
                )  # fmt: skip
                continue
            if mark.topic_id == topic:
                yield mark


def marks_of(settings: Settings, topic: str, dead_letter: DeadLetter) -> list[Redriven]:
    """Those about one of its dead letters; see `read_marks`."""
    place = dead_letter.partition, dead_letter.offset
    marks = read_marks(settings, topic)
    return [mark for mark in marks if (mark.partition, mark.offset) == place]


class Marks:
    """The marks of a range of dead letters, with a byte for each offset of each partition."""

    def __init__(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        self._starts = starts
        self._flags = {part: bytearray(max(0, end - starts[part])) for part, end in ends.items()}

    def add(self, mark: Redriven) -> None:
        """Take in a mark; one from outside of the range is passed over."""
        flags = self._flags.get(mark.partition, bytearray())
        index = mark.offset - self._starts.get(mark.partition, 0)
        if 0 <= index < len(flags):
            flags[index] = 1

    def __contains__(self, dead_letter: DeadLetter) -> bool:
        """Whether a dead letter of the range has been redriven."""
        flags = self._flags[dead_letter.partition]
        index = dead_letter.offset - self._starts[dead_letter.partition]
        return index < len(flags) and bool(flags[index])
