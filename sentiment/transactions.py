"""What every transactional producer of ours has in common."""

from confluent_kafka import KafkaError

# With librdkafka's 100 ms, a transaction that follows another at once waits out the brokers'
# CONCURRENT_TRANSACTIONS for that long; these made the median latency five times smaller.
RETRY_BACKOFF_MS = 2
RETRY_BACKOFF_MAX_MS = 20
# A start may meet brokers that are still electing the coordinator's leader.
INIT_TIMEOUT_S = 30.0
# Another producer has begun with our transactional id.
FENCED_CODES = frozenset({
    KafkaError._FENCED,  # noqa: SLF001 - librdkafka's public name of a local error
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
})  # fmt: skip
