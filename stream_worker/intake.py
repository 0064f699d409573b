"""The consumer side: assignment, batches, rewinding, lag.

An abort doesn't move a consumer back, and a rebalance in the middle of a batch makes its records
somebody else's. Both have one answer here: drop what is in hand and `rewind` to the offsets that
the group has committed.
"""

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from sentiment import kafka, logs, metrics
from sentiment.errors import BrokerError, SettingsError, TopicError, WorkerError
from sentiment.settings import Settings, WorkerSettings

log = logs.get(__name__)

# How long the brokers have to tell the committed offsets.
COMMITTED_TIMEOUT_S = 5.0
# A seek is refused while its partition's fetcher starts, which takes milliseconds.
SEEK_TIMEOUT_S = 5.0
SEEK_PAUSE_S = 0.02


def consumer_properties(worker: WorkerSettings) -> dict[str, Any]:
    """Properties for librdkafka of the worker's consumer, each with its reason."""
    properties: dict[str, Any] = {
        "group_id": worker.group_id,
        "group_protocol": worker.group_protocol,
        # A group without offsets begins with what is there: nothing is skipped.
        "auto_offset_reset": "earliest",
        # The longest that one turn of the loop may take before we count as dead; the slowest
        # honest turn, a full prefetch through scikit-learn and a broker's restart, is under one.
        "max_poll_interval_ms": 120_000,
        "queued_max_messages_kbytes": worker.prefetch_kib,
        "queued_min_messages": 2 * worker.max_batch,
        "fetch_max_bytes": worker.prefetch_kib * 1024,
        # A full queue is looked at again this soon; librdkafka's own second would be a pause.
        "fetch_queue_backoff_ms": 5,
    }
    if worker.group_protocol == "classic":
        # Only the partitions that move stop; the consumer protocol does this by itself.
        properties["partition_assignment_strategy"] = "cooperative-sticky"
        # Below librdkafka's 45 s: a killed worker's share waits no longer than a broker's restart.
        properties["session_timeout_ms"] = 10_000
    return properties


class Intake:
    """Takes batches from the events topic as a member of the group.

    Args:
        settings: Where Kafka is, and the worker's own settings.
        before_revoke: Ends the open transaction; called before partitions are given away.
    """

    def __init__(self, settings: Settings, before_revoke: Callable[[], None]) -> None:
        self._topic = settings.topics.events
        self._before_revoke = before_revoke
        self._disturbed = False
        self._assigned = 0
        self._consumer: Consumer = kafka.new_consumer(
            settings.kafka, **consumer_properties(settings.worker)
        )
        self._consumer.subscribe(
            [self._topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )

    def take(self, most: int, wait_s: float) -> list[Message] | None:
        """What has arrived.

        Args:
            most: No more records than this.
            wait_s: How long to wait for the first one, where none has, in seconds.

        Returns:
            Records in order per partition; empty when there are none; None when partitions
            moved meanwhile, and the caller has to rewind.

        Raises:
            BrokerError, SettingsError, WorkerError: What waiting doesn't mend.
        """
        self._disturbed = False
        first = self._consumer.poll(wait_s)
        if first is None:
            return None if self._disturbed else []
        records = [first]
        if most > 1:
            records += self._consumer.consume(most - 1, 0)
        for record in records:
            if record.error() is not None:
                self._check(record.error())
        if self._disturbed:
            return None
        return [record for record in records if record.error() is None]

    def _check(self, error: KafkaError | None) -> None:
        """Raise for errors that stay; librdkafka mends the others by itself."""
        if error is None:
            return
        code = error.code()
        if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TopicError(
                f"Topic {self._topic!r} is gone: {error.str()}.", "Create it: `sentiment topics`."
            )
        if code in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}:
            raise BrokerError(
                f"We may not read {self._topic!r} in this group: {error.str()}.",
                "Grant READ on the topic and on the group.",
            )
        if code in {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE}:  # noqa: SLF001
            raise SettingsError(
                f"The brokers don't know this group protocol: {error.str()}.",
                "Set WORKER_GROUP_PROTOCOL=classic for brokers older than Apache Kafka 4.",
            )
        if error.fatal() or code == KafkaError._FATAL:  # noqa: SLF001 - how the consumer protocol says it
            raise WorkerError(
                f"The consumer can't go on: {error.str()}.",
                "Nothing uncommitted is lost: start the worker again.",
            )
        log.warning("consumer error", code=error.name(), reason=error.str())

    def group(self) -> Any:  # noqa: ANN401 - opaque to us
        """The group metadata of this moment, for `send_offsets_to_transaction`."""
        return self._consumer.consumer_group_metadata()

    def rewind(self) -> None:
        """Go back to the group's committed offsets.

        Raises:
            KafkaException: The brokers don't tell them now; try again.
        """
        parts = self._consumer.assignment()
        if not parts:
            return
        deadline = time.monotonic() + SEEK_TIMEOUT_S
        for part in self._consumer.committed(parts, COMMITTED_TIMEOUT_S):
            if part.error is not None:
                raise KafkaException(part.error)
            if part.offset < 0:
                part.offset = OFFSET_BEGINNING
            self._seek(part, deadline)

    def _seek(self, part: TopicPartition, deadline: float) -> None:
        while True:
            try:
                self._consumer.seek(part)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(SEEK_PAUSE_S)
            else:
                return

    def observe_lag(self) -> None:
        """Set the lag metric from what the fetchers know already; asks no broker."""
        for part in self._consumer.position(self._consumer.assignment()):
            _, high = self._consumer.get_watermark_offsets(part, cached=True)
            if part.offset >= 0 and high >= 0:
                # Markers of transactions count as offsets, so an idle topic rests above zero.
                lag = max(high - part.offset, 0)
                metrics.LAG.labels(self._topic, str(part.partition)).set(lag)

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()

    def _assign(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        del consumer
        self._moved("assigned", parts, len(parts))

    def _revoke(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        del consumer
        self._before_revoke()
        self._moved("revoked", parts, -len(parts))

    def _lose(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        # The group has already given these away: the open transaction will be fenced.
        del consumer
        self._before_revoke()
        self._moved("lost", parts, -len(parts))

    def _moved(self, kind: str, parts: list[TopicPartition], change: int) -> None:
        # New partitions start at their committed offset by themselves; only leaving ones disturb.
        self._disturbed = self._disturbed or change < 0
        self._assigned += change
        metrics.ASSIGNED.set(self._assigned)
        metrics.REBALANCES.labels(kind).inc()
        for part in parts if change < 0 else []:
            metrics.LAG.remove(self._topic, str(part.partition))
        log.info("partitions moved", kind=kind, partitions=sorted(part.partition for part in parts))
