"""Records of a topic as the checker takes them."""

from collections.abc import Iterator
from typing import NamedTuple, Self

from confluent_kafka import Message

from sentiment import wire
from sentiment.kafka.reader import TopicReader
from sentiment.settings import KafkaSettings


class Record(NamedTuple):
    """One record of a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, str | bytes | None], ...]
    timestamp_ms: int = 0

    @classmethod
    def of(cls, message: Message) -> Self:
        """What the client has read."""
        return cls(
            message.partition() or 0,
            message.offset() or 0,
            message.key(),
            message.value(),
            tuple(wire.headers_of(message)),
            message.timestamp()[1],
        )


def committed(
    settings: KafkaSettings, topic: str, *, read_committed: bool = True
) -> Iterator[Record]:
    """Every committed record of a topic, in order per partition."""
    with TopicReader(settings, topic, "beginning", read_committed=read_committed) as reader:
        yield from map(Record.of, reader.rest())


def uncommitted(settings: KafkaSettings, topic: str) -> Iterator[Record]:
    """Every record of a topic, those of aborted transactions too."""
    return committed(settings, topic, read_committed=False)


def open_transactions(settings: KafkaSettings, topic: str) -> list[str]:
    """Where a transaction hangs: readers of committed records can't get past it."""
    with (
        TopicReader(settings, topic, "end") as stable,
        TopicReader(settings, topic, "end", read_committed=False) as all_of_it,
    ):
        last, ends = stable.ends(), all_of_it.ends()
    return [
        f"{topic}-{number}: readable up to {last[number]}, written up to {end}"
        for number, end in ends.items()
        if last[number] != end
    ]
