"""How many events wait for the workers, by the brokers' own numbers."""

from collections.abc import Iterable
from typing import cast

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

# Brokers that answer at all answer within milliseconds; the page's watch must not wait for others.
TIMEOUT_S = 2.0
# Its constructors are typed for nobody.
LATEST = cast("OffsetSpec", OffsetSpec.latest())  # type: ignore[no-untyped-call]


def of_group(admin: AdminClient, group: str, topic: str, partitions: Iterable[int]) -> int | None:
    """Events on a topic that a consumer group has not committed.

    Args:
        admin: Asks the brokers; needs the right to describe both.
        group: The group.
        topic: The topic.
        partitions: All of its partitions.

    Returns:
        The sum over all partitions; None where the brokers don't tell it now.
    """
    try:
        parts = [TopicPartition(topic, number) for number in partitions]
        ends = admin.list_offsets(dict.fromkeys(parts, LATEST), request_timeout=TIMEOUT_S)
        asked = [ConsumerGroupTopicPartitions(group, parts)]
        (answer,) = admin.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S).values()
        done = answer.result(TIMEOUT_S).topic_partitions or []
        committed = {part.partition: max(part.offset, 0) for part in done}
        behind = 0
        for part, end in ends.items():
            behind += max(end.result(TIMEOUT_S).offset - committed.get(part.partition, 0), 0)
    except (KafkaException, TimeoutError):
        return None
    return behind
