"""How many events wait for a consumer group, by the brokers' own numbers."""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sentiment import kafka
from sentiment.settings import KafkaSettings


class Lag:
    """Asks for it, again and again; it is no member of the group.

    A consumer asks, though an admin client could: librdkafka 2.16 aborts the process when a broker
    goes while an admin client has asked it for offsets.

    Args:
        settings: How to reach Kafka; needs the right to describe topic and group.
        group: The group.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._consumer: Consumer = kafka.new_consumer(settings, group_id=group)

    def of(self, topic: str, partitions: Iterable[int], timeout_s: float) -> int | None:
        """Events on a topic that the group has not committed.

        Args:
            topic: The topic.
            partitions: All of its partitions.
            timeout_s: How long each question may take, in seconds.

        Returns:
            The sum over all partitions; None where the brokers don't tell it now.
        """
        behind = 0
        try:
            parts = [TopicPartition(topic, number) for number in partitions]
            for part in self._consumer.committed(parts, timeout_s):
                if part.error is not None:
                    return None
                _, end = self._consumer.get_watermark_offsets(part, timeout_s)
                behind += max(end - max(part.offset, 0), 0)
        except KafkaException:
            return None
        return behind

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()
