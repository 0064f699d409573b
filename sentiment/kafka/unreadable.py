"""Batches that Kafka's client can't read: where they end, and how that is reported.

Brokers check but roughly what producers have compressed, and librdkafka refuses some of what they
take: zstd that unpacks to more than `receive.message.max.bytes`, for one. It then asks for the same
batch forever, and reports an error each time; for a few kinds not even that.
"""

import time
from contextlib import closing
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from sentiment.kafka import clients
from sentiment.settings import KafkaSettings

# What librdkafka says of the content of a batch; such an error has the batch's first offset.
CODES = frozenset({
    KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - the only names of librdkafka's own errors
    KafkaError._BAD_MSG,  # noqa: SLF001 - same
    KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001 - same; a codec that it doesn't have
})  # fmt: skip
# A broker that answers sends a batch within milliseconds. One that is slower makes the batch look
# shorter than it is: then less is passed over, and the rest is reported as another one.
ANSWER_S = 5.0
POLL_S = 0.1


class Unreadable(NamedTuple):
    """A batch that can't be read, by its first and last offset, and what the client says of it."""

    topic: str
    partition: int
    first: int
    last: int | None  # None where no error says that it is this batch alone
    reason: str

    def __str__(self) -> str:
        """A sentence for people."""
        offsets = f"offset {self.first} on" if self.last is None else f"{self.first} to {self.last}"
        return (
            f"Partition {self.partition} of {self.topic!r} can't be read from {offsets}:"
            f" {self.reason}."
        )


def located(
    settings: KafkaSettings, error: Message, isolation_level: str = "read_committed"
) -> Unreadable:
    """The batch that an error of `CODES` is about, with its end, which another consumer finds.

    It has the isolation level of whoever met the error. A `KafkaException` says that the brokers
    don't answer now.
    """
    topic, partition, first = error.topic(), error.partition(), error.offset()
    said = error.error()
    # An error of a partition's content has all four.
    assert topic and said and partition is not None and first is not None  # noqa: S101, PT018
    consumer: Consumer = clients.new_consumer(
        settings,
        # librdkafka asks for a name; without commits it means nothing to the brokers.
        group_id="sentiment-reader",
        isolation_level=isolation_level,
        enable_partition_eof=True,
        auto_offset_reset="error",
    )
    with closing(consumer):
        part = TopicPartition(topic, partition)
        end = consumer.get_watermark_offsets(part, timeout=settings.connect_timeout_s)[1]
        # Known to be in it, and known to be behind it.
        last, behind, step = first, max(end, first + 1), 1
        while behind - last > 1:
            tried = min(last + step, (last + behind) // 2)
            if _is_within(consumer, TopicPartition(topic, partition, tried), first):
                last, step = tried, 2 * step
            else:
                behind = tried
    return Unreadable(topic, partition, first, last, said.str())


def _is_within(consumer: Consumer, place: TopicPartition, first: int) -> bool:
    """Whether an offset is one of the batch that begins at `first` and can't be read."""
    consumer.assign([place])
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        answer = consumer.poll(POLL_S)
        if answer is not None and answer.partition() == place.partition:
            said = answer.error()
            return said is not None and said.code() in CODES and answer.offset() == first
    return False
