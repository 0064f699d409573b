"""How many events wait for a consumer group, by the brokers' own numbers.

A `KafkaException` says that the brokers don't tell it now.
"""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sentiment.kafka import clients
from sentiment.settings import KafkaSettings

# In place of a time: where a partition begins now, and where the next record goes.
EARLIEST, LATEST = -2, -1


def offsets_at(
    consumer: Consumer, topic: str, partitions: Iterable[int], when: int, timeout_s: float
) -> dict[int, int]:
    """The offset of each partition at `EARLIEST`, or `LATEST`: the end of what it may read."""
    parts = [TopicPartition(topic, number, when) for number in partitions]
    return _offsets(consumer.offsets_for_times(parts, timeout=timeout_s) if parts else [])


def committed_offsets(
    consumer: Consumer, topic: str, partitions: Iterable[int], timeout_s: float
) -> dict[int, int]:
    """The offset that the consumer's group goes on from in each partition; 0 where it has none."""
    parts = [TopicPartition(topic, number) for number in partitions]
    offsets = _offsets(consumer.committed(parts, timeout_s) if parts else [])
    return {number: max(offset, 0) for number, offset in offsets.items()}


def checked(parts: list[TopicPartition]) -> list[TopicPartition]:
    """What brokers answered; raises `KafkaException` where one of them has an error instead."""
    for part in parts:
        if part.error is not None:
            raise KafkaException(part.error)
    return parts


def _offsets(parts: list[TopicPartition]) -> dict[int, int]:
    return {part.partition: part.offset for part in checked(parts)}


class Lag:
    """Asks for it, again and again; no member of the group, with the right to describe both.

    A consumer asks, though an admin client could: librdkafka 2.16 aborts the process when a broker
    goes while an admin client has asked it for offsets.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._consumer: Consumer | None = None

    def of(self, topic: str, partitions: Iterable[int], timeout_s: float) -> int | None:
        """Events of these partitions that the group has not committed, and that have not expired.

        Marks of transactions count as events: only who reads them can tell them apart. None where
        the brokers don't tell it now; each of three questions may take `timeout_s`.
        """
        numbers = list(partitions)
        if self._consumer is None:
            self._consumer = clients.new_consumer(self._settings, group_id=self._group)
        try:
            done = committed_offsets(self._consumer, topic, numbers, timeout_s)
            begins = offsets_at(self._consumer, topic, numbers, EARLIEST, timeout_s)
            ends = offsets_at(self._consumer, topic, numbers, LATEST, timeout_s)
        except KafkaException:
            # The next one knows nothing of a cluster that isn't there any more.
            self.close()
            return None
        return sum(max(ends[n] - max(done[n], begins[n]), 0) for n in numbers)

    def close(self) -> None:
        """Let go of the connections."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
