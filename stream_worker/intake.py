"""The consumer side: assignment, batches, rewinding, and events that expired before they were read.

An abort doesn't move a consumer back, and a rebalance makes a batch's records somebody else's. Both
times: drop what is in hand and `rewind` to the group's committed offsets.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from sentiment import errors, logs
from sentiment.classify.tallies import Gap, PartitionTally
from sentiment.kafka import clients, topics, unreadable
from sentiment.kafka.lag import EARLIEST, checked, offsets_at
from sentiment.kafka.retries import Deadline, retry
from sentiment.metrics import UNREADABLE_BATCHES
from sentiment.settings import Settings, WorkerSettings
from stream_worker import metrics

log = logs.get(__name__)

# How long a rewind may take: the brokers send the committed offsets in milliseconds, and a seek is
# refused for as long while its partition's fetcher starts.
REWIND_S = 5.0
SEEK_PAUSE_S = 0.02
# How long the brokers have to answer where a partition begins now.
ASK_S = 5.0


def consumer_properties(worker: WorkerSettings) -> dict[str, Any]:
    """Properties for librdkafka of the worker's consumer, each with its reason."""
    properties: dict[str, Any] = {
        "group_id": worker.group_id,
        "group_protocol": worker.group_protocol,
        # A group without offsets begins with what is there: nothing is skipped.
        "auto_offset_reset": "earliest",
        # The longest that one turn of the loop may take before we count as dead; the slowest honest
        # turn, a full prefetch through scikit-learn and a broker's restart, is under one.
        "max_poll_interval_ms": 120_000,
        "queued_max_messages_kbytes": worker.prefetch_kib,
        # One partition may fill an answer: with a megabyte of each, there were many more answers.
        "fetch_max_bytes": worker.prefetch_kib * 1024,
        "max_partition_fetch_bytes": worker.prefetch_kib * 1024,
        # How far a partition has been read: transaction markers take offsets, and are never
        # returned, so that an offset alone doesn't tell whether there is more.
        "enable_partition_eof": True,
    }
    if worker.group_protocol == "classic":
        # Only the partitions that move stop; the consumer protocol does this by itself.
        properties["partition_assignment_strategy"] = "cooperative-sticky"
        # Below librdkafka's 45 s: a killed worker's share waits no longer than a broker's restart.
        properties["session_timeout_ms"] = 10_000
    return properties


class Expired(NamedTuple):
    """Events that were deleted before anybody read them, from the first one's offset on."""

    partition: int
    first: int
    events: int


class Intake:
    """Takes batches from the events topic as a member of the group.

    `before_revoke` ends the open transaction. `unreadable` has a partition's last error in place of
    a batch, `unanswered_since` the monotonic time since which no broker answers.
    """

    def __init__(self, settings: Settings, before_revoke: Callable[[], None]) -> None:
        self._settings = settings
        self._topic = settings.topics.events
        self._before_revoke = before_revoke
        self._disturbed = False
        self._assigned: frozenset[int] = frozenset()
        # By partition, an offset before which nothing is left, as of when its end was last reached.
        self._read_up_to: dict[int, int] = {}
        # By partition, the offset that comes next if nothing is missing.
        self._next: dict[int, int] = {}
        self.unreadable: dict[int, Message] = {}
        self.unanswered_since: float | None = None
        self._consumer = self._joined()

    def _joined(self) -> Consumer:
        consumer: Consumer = clients.new_consumer(
            self._settings.kafka, **consumer_properties(self._settings.worker)
        )
        consumer.subscribe(
            [self._topic],
            on_assign=self._assign,
            on_revoke=partial(self._leave, "revoked"),
            on_lost=partial(self._leave, "lost"),
        )
        return consumer

    def join_anew(self) -> None:
        """Leave the group and join it as a new member; then `rewind`."""
        self._consumer.close()
        self._consumer = self._joined()

    def take(self, most: int, wait_s: float) -> list[Message] | None:
        """Records in order per partition; None when partitions moved: the caller rewinds."""
        self._disturbed = False
        first = self._consumer.poll(wait_s)
        if first is None:
            return None if self._disturbed else []
        records = [first]
        if most > 1:
            records += self._consumer.consume(most - 1, 0)
        for record in records:
            if record.error() is not None:
                self._check(record)
        if self._disturbed:
            return None
        return [record for record in records if record.error() is None]

    def idle(self, wait_s: float) -> None:
        """Take nothing for a time, and stay a member of the group; then `rewind`."""
        self._consumer.pause(self._consumer.assignment())
        record = self._consumer.poll(wait_s)
        if record is not None and record.error() is not None:
            self._check(record)

    def _check(self, record: Message) -> None:
        """Raise for permanent errors; librdkafka recovers from the others by itself."""
        error, partition, offset = record.error(), record.partition(), record.offset()
        if error is None:
            return
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
            if partition is not None and offset is not None:
                self._read_up_to[partition] = offset
            return
        if code in unreadable.CODES and partition is not None:
            # It comes twice a second while the batch is there; the monitor logs it once.
            self.unreadable[partition] = record
            return
        if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            try:
                # A broker that has just started may not know yet what there is.
                topics.require(self._settings, self._topic)
            except errors.UnreachableError as away:
                log.warning("topic not found", reason=away.message)
            return
        if code in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}:
            raise errors.BrokerError(
                f"We may not read {self._topic!r} in this group: {error.str()}.",
                "Grant READ on the topic and on the group.",
            )
        if code in {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE}:  # noqa: SLF001
            raise errors.SettingsError(
                f"The brokers don't know this group protocol: {error.str()}.",
                "Set WORKER_GROUP_PROTOCOL=classic for brokers older than Apache Kafka 4.",
            )
        if error.fatal() or code == KafkaError._FATAL:  # noqa: SLF001 - how the consumer protocol says it
            raise errors.WorkerError(
                f"The consumer can't go on: {error.str()}.",
                "Nothing uncommitted is lost: start the worker again.",
            )
        log.warning("consumer error", code=error.name(), reason=error.str())

    def group(self) -> Any:  # noqa: ANN401 - opaque to us
        """The group metadata of this moment, for `send_offsets_to_transaction`."""
        return self._consumer.consumer_group_metadata()

    def rewind(self) -> None:
        """Go back to the group's committed offsets; a `KafkaException` asks for another try."""
        parts = self._consumer.assignment()
        if not parts:
            self.ask()
            return
        deadline = Deadline(REWIND_S)
        for part in checked(self._consumer.committed(parts, deadline.left())):
            self._read_up_to.pop(part.partition, None)
            self._next.pop(part.partition, None)
            # Where it is still there, its error comes again.
            self.unreadable.pop(part.partition, None)
            if part.offset < 0:
                part.offset = OFFSET_BEGINNING
            else:
                self._next[part.partition] = part.offset
            self._seek(part, deadline)
        self._consumer.resume(parts)
        self.unanswered_since = None

    def _seek(self, part: TopicPartition, deadline: Deadline) -> None:
        retry(lambda _: self._consumer.seek(part), deadline, SEEK_PAUSE_S, lambda _: True)

    def read(self, tallies: Iterable[PartitionTally]) -> list[Expired]:
        """Take note of a batch before it is committed, and return what expired in front of it.

        With `WORKER_EXPIRED=stop` that is an `ExpiredError`. A `KafkaException`: the brokers don't
        tell now where the partitions begin.
        """
        gaps: list[tuple[int, Gap]] = []
        unknown: list[PartitionTally] = []
        for tally in tallies:
            partition, first = tally.partition, tally.first_offset
            gaps += [(partition, gap) for gap in tally.gaps]
            expected = self._next.get(partition)
            if expected is None:
                unknown.append(tally)
            elif expected != first:
                gaps.append((partition, Gap(expected, first)))
            self._next[partition] = tally.next_offset
            # There are records again: what couldn't be read was passed over, or has expired.
            self.unreadable.pop(partition, None)
        if unknown:
            # Theirs are the first records since the partition came here.
            parts = [TopicPartition(self._topic, tally.partition) for tally in unknown]
            told = checked(self._consumer.committed(parts, ASK_S))
            committed = {part.partition: part.offset for part in told}
            gaps += [(t.partition, Gap(committed[t.partition], t.first_offset)) for t in unknown]
        # A group that begins has no offset, and one that begins anew has one that is further on.
        gaps = [(partition, gap) for partition, gap in gaps if 0 <= gap.expected < gap.found]
        if not gaps:
            return []
        numbers = {partition for partition, _ in gaps}
        begins = offsets_at(self._consumer, self._topic, numbers, EARLIEST, ASK_S)
        # From there on, what is missing are marks of transactions.
        found = [
            Expired(partition, gap.expected, min(begins[partition], gap.found) - gap.expected)
            for partition, gap in gaps
        ]
        expired = [one for one in found if one.events > 0]
        if expired and self._settings.worker.expired == "stop":
            self.count_expired(expired)
            partition, first, count = expired[0]
            raise errors.ExpiredError(
                f"{count:,} events of {self._topic!r}, partition {partition}, from offset"
                f" {first:,} on, were deleted by the topic's retention before they were read.",
                "Nothing behind them was committed. To go on without them, start with"
                " WORKER_EXPIRED=go_on; give the topic a longer retention.ms.",
            )
        return expired

    def count_expired(self, expired: Iterable[Expired]) -> None:
        """Log and count what `read` has found."""
        for partition, first, count in expired:
            metrics.EXPIRED.labels(self._topic, str(partition)).inc(count)
            log.error(
                "events expired before they were read", topic=self._topic, partition=partition,
                first_offset=first, events=count,
            )  # fmt: skip

    def assigned(self) -> list[int]:
        """The partitions that this member has. From any thread."""
        return list(self._assigned)

    def reached(self, partition: int) -> tuple[int, int]:
        """Offsets up to which nothing is left, and after the last record. From any thread."""
        return self._read_up_to.get(partition, 0), self._next.get(partition, 0)

    def ask(self) -> None:
        """Have a broker answer this very consumer; a `KafkaException` where none does."""
        try:
            self._consumer.list_topics(self._topic, timeout=ASK_S)
        except KafkaException:
            self.unanswered_since = self.unanswered_since or time.monotonic()
            raise
        self.unanswered_since = None

    def committed(self) -> list[TopicPartition]:
        """The committed offsets of the partitions that this member has, or a `KafkaException`."""
        parts = checked(self._consumer.committed(self._consumer.assignment(), ASK_S))
        return [part for part in parts if part.offset >= 0]

    def stands_at(self, partition: int) -> int:
        """The offset that the group goes on from in a partition, or a `KafkaException`."""
        part = TopicPartition(self._topic, partition)
        offset = checked(self._consumer.committed([part], ASK_S))[0].offset
        if offset >= 0:
            return offset
        return offsets_at(self._consumer, self._topic, [partition], EARLIEST, ASK_S)[partition]

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()

    def _assign(self, _: Consumer, parts: list[TopicPartition]) -> None:
        self._assigned |= {part.partition for part in parts}
        self._moved("assigned", parts)

    def _leave(self, kind: str, consumer: Consumer, parts: list[TopicPartition]) -> None:
        # Where they are lost, the group has given them away: the transaction will be fenced.
        self._before_revoke()
        # What `idle` has paused would still be paused when it comes back.
        consumer.resume(parts)
        # New partitions start at their committed offset by themselves; only leaving ones disturb.
        self._disturbed = self._disturbed or bool(parts)
        self._assigned -= {part.partition for part in parts}
        self._moved(kind, parts)

    def _moved(self, kind: str, parts: list[TopicPartition]) -> None:
        metrics.ASSIGNED.set(len(self._assigned))
        metrics.REBALANCES.labels(kind).inc()
        for part in parts:
            self._read_up_to.pop(part.partition, None)
            self._next.pop(part.partition, None)
            self.unreadable.pop(part.partition, None)
            # A series that begins with its first event has no increase that a rule could see.
            for counter in (metrics.EVENTS, metrics.EXPIRED, UNREADABLE_BATCHES):
                counter.labels(self._topic, str(part.partition))
        log.info("partitions moved", kind=kind, partitions=sorted(part.partition for part in parts))
