"""A dead letter, read from its record."""

from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import Message
from msgspec import Struct

from sentiment import events
from sentiment.events import Headers, Input


class _Sourced(Struct):
    source: Any = None


@dataclass(frozen=True)
class DeadLetter:
    """A record of the dead-letter topic.

    Attributes:
        partition: Where it stands.
        offset: Where it stands.
        timestamp_ms: When it became a dead letter, in milliseconds since 1970.
        key: The event's key, byte for byte.
        value: The event's value, byte for byte.
        headers: The event's own headers; without those of the error.
        errors: Headers of the error, as text.
        input: Where the event stood; None where the headers don't tell.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: Headers
    errors: dict[str, str]
    input: Input | None

    @property
    def id(self) -> str:
        """Its name for the commands."""
        return f"{self.partition}-{self.offset}"

    @property
    def code(self) -> str:
        """What is wrong with the event; empty where the headers don't tell."""
        return self.errors.get(events.ERROR_CODE, "")

    @property
    def message(self) -> str:
        """The same for people."""
        return self.errors.get(events.ERROR_MESSAGE, "")

    @property
    def attempt(self) -> int:
        """How often the event has failed; 0 where the headers don't tell."""
        return _number(self.errors.get(events.ERROR_ATTEMPT, "")) or 0

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
    headers = events.headers_of(record)
    errors = {
        key: value.decode(errors="backslashreplace") if isinstance(value, bytes) else value or ""
        for key, value in headers
        if key in events.ERROR_HEADERS
    }
    topic = errors.get(events.ERROR_TOPIC)
    partition = _number(errors.get(events.ERROR_PARTITION, ""))
    offset = _number(errors.get(events.ERROR_OFFSET, ""))
    complete = topic and partition is not None and offset is not None
    return DeadLetter(
        partition=record.partition() or 0,
        offset=record.offset() or 0,
        timestamp_ms=record.timestamp()[1],
        key=record.key(),
        value=record.value() or b"",
        headers=[(key, value) for key, value in headers if key not in events.ERROR_HEADERS],
        errors=errors,
        input=Input(topic, partition, offset) if complete else None,  # type: ignore[arg-type]
    )


def _number(text: str) -> int | None:
    # Kafka's largest offset has 19 digits; int() takes other scripts' digits too, and we don't.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004 - see above
