"""The limit: a bare transactional loop that copies a topic's bytes and does nothing else.

A process without end: all that Kafka asks of an exactly-once worker, and nothing of ours.
"""

import sys
from collections import defaultdict

from confluent_kafka import TopicPartition

from sentiment.kafka import clients
from sentiment.settings import Settings
from stream_worker.intake import consumer_properties


def main(group: str, output: str) -> None:
    """Copy the events topic to `output` as a member of `group`, without end."""
    settings = Settings()
    # As the worker has it, so that both wait for the brokers equally often.
    worker = settings.worker.replace(group_id=group)
    properties = consumer_properties(worker) | {"enable_partition_eof": False}
    consumer = clients.new_consumer(settings.kafka, **properties)
    producer = clients.new_producer(
        settings.kafka, transactional_id=group, retry_backoff_ms=2, retry_backoff_max_ms=20
    )
    producer.init_transactions()
    consumer.subscribe([settings.topics.events])
    while True:
        first = consumer.poll(0.1)
        if first is None:
            continue
        offsets: dict[int, int] = defaultdict(int)
        producer.begin_transaction()
        for message in [first, *consumer.consume(worker.max_batch - 1, 0)]:
            partition, offset = message.partition(), message.offset()
            if message.error() or partition is None or offset is None:
                raise RuntimeError(f"the copy loop can't go on: {message.error()}")
            offsets[partition] = offset + 1
            producer.produce(output, message.value(), message.key(), partition)
        producer.send_offsets_to_transaction(
            [TopicPartition(settings.topics.events, p, o) for p, o in offsets.items()],
            consumer.consumer_group_metadata(),
        )
        producer.commit_transaction()


if __name__ == "__main__":
    main(*sys.argv[1:])
