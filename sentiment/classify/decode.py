"""From records to the texts that a model is to score."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from confluent_kafka import Message

from sentiment import wire
from sentiment.wire import EventError, Headers, TextEvent

# Which events get an explanation: those that ask for it, all, or none.
Explain = Literal["asked", "always", "never"]


@dataclass(frozen=True)
class Decoded:
    """A batch of records, read; in order per partition."""

    messages: Sequence[Message]
    headers: Sequence[Headers]  # of each record
    size: int  # bytes of all keys, values and headers
    # For each record its event, why it is none, or None for a tombstone.
    contents: list[TextEvent | EventError | None]
    texts: list[str]  # those of the events
    asking: Collection[int] = ()  # numbers of the texts that get an explanation
    read_ns: int = field(default_factory=time.time_ns)  # since 1970

    def keys(self) -> list[bytes]:
        """For each text what its record is known by: its key, or else the event's id or offset."""
        return [
            message.key() or (content.id or "").encode() or str(message.offset()).encode()
            for message, content in zip(self.messages, self.contents, strict=True)
            if isinstance(content, TextEvent)
        ]


def decode(
    messages: Sequence[Message], max_event_bytes: int, explain: Explain = "asked"
) -> Decoded:
    """Read the events of records without errors, which are in order per partition.

    A value above `max_event_bytes` is an error; so is a key above `wire.MAX_KEY_BYTES`.
    """
    contents: list[TextEvent | EventError | None] = []
    all_headers: list[Headers] = []
    size = 0
    for message in messages:
        value, key, headers = message.value(), message.key() or b"", wire.headers_of(message)
        all_headers.append(headers)
        size += len(key) + len(value or b"")
        if headers:
            size += sum(len(name) + len(content or b"") for name, content in headers)
        if value is None:
            contents.append(None)
        elif len(value) > max_event_bytes or len(key) > wire.MAX_KEY_BYTES:
            reason = (
                f"{len(value)} bytes and a key of {len(key)}, more than {max_event_bytes}"
                f" or {wire.MAX_KEY_BYTES}"
            )
            contents.append(EventError("too_large", reason))
        else:
            try:
                event = wire.decode_event(value)
            except EventError as error:
                # A new one: what was raised has frames, and they have all records, for as long as
                # nobody searches for cycles, which the worker hardly ever does.
                contents.append(EventError(error.code, error.message))
            else:
                if event.attributes:
                    # Nobody reads them here, and they take up to 44 times the record's bytes.
                    event = msgspec.structs.replace(event, attributes=None)
                contents.append(event)
    return decoded(contents, explain, messages, all_headers, size)


def decoded(
    contents: list[TextEvent | EventError | None],
    explain: Explain,
    messages: Sequence[Message] = (),
    headers: Sequence[Headers] = (),
    size: int = 0,
) -> Decoded:
    """A batch whose events are read already, from a file or a request; see `Decoded`."""
    events = [content for content in contents if isinstance(content, TextEvent)]
    wanted: Collection[int] = range(len(events) if explain == "always" else 0)
    if explain == "asked":
        wanted = {number for number, event in enumerate(events) if event.explain}
    texts = [event.text for event in events]
    return Decoded(messages, headers, size, contents, texts, wanted)
