"""From records to the texts that a model is to score."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from confluent_kafka import Message

from sentiment import events
from sentiment.event_errors import EventError
from sentiment.events import TextEvent

# Which events get an explanation: those that ask for it, all, or none.
Explain = Literal["asked", "always", "never"]


@dataclass(frozen=True)
class Decoded:
    """A batch of records, read.

    Attributes:
        messages: The records; in order per partition.
        contents: For each record its event, why it is none, or None for a tombstone.
        texts: Those of the events, in their order.
        asking: Numbers of the texts that get an explanation.
        read_ns: When that was, in nanoseconds since 1970.
    """

    messages: Sequence[Message]
    contents: list[TextEvent | EventError | None]
    texts: list[str]
    asking: Collection[int] = ()
    read_ns: int = field(default_factory=time.time_ns)

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
    """Read the events of a batch.

    Args:
        messages: Records of the events topic, without errors; in order per partition.
        max_event_bytes: A larger value is an error.
        explain: Which events get an explanation.
    """
    contents: list[TextEvent | EventError | None] = []
    texts: list[str] = []
    asking: set[int] = set()
    for message in messages:
        value = message.value()
        if value is None:
            contents.append(None)
        elif len(value) > max_event_bytes:
            reason = f"{len(value)} bytes, more than {max_event_bytes}"
            contents.append(EventError("too_large", reason))
        else:
            try:
                event = events.decode_event(value)
            except EventError as error:
                contents.append(error)
            else:
                if event.explain:
                    asking.add(len(texts))
                contents.append(event)
                texts.append(event.text)
    if explain != "asked":
        return Decoded(messages, contents, texts, range(len(texts) if explain == "always" else 0))
    return Decoded(messages, contents, texts, asking)
