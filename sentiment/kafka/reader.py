"""Read a topic without a group: every partition, committed records only.

What the page, `sentiment results` and the demo share. Nothing is committed, so any number of
readers see all records and none disturbs another.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Literal, Self, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from sentiment import kafka
from sentiment.errors import BrokerError, TopicError
from sentiment.kafka_access import Access
from sentiment.settings import KafkaSettings

Start = Literal["beginning", "end"] | float | Mapping[int, int]
Answer = TypeVar("Answer")

# Errors of a topic that waiting doesn't mend; librdkafka gets over the others by itself.
LASTING = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - its only name
}
# Errors of a partition whose leader is being chosen, or isn't known here yet.
PASSING = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
# How long one wait for records lasts before Ctrl-C, or the end of an idle time, is seen.
POLL_S = 0.2


class TopicReader:
    """Reads one topic from a point on.

    Args:
        settings: How to reach Kafka.
        topic: The topic.
        start: `beginning`, `end`, or a time in seconds since 1970: the first record of each
            partition whose timestamp is not before it. Or an offset by partition: then no other
            partition is read, and it is an error if what stood there is gone.
        read_committed: False shows records of open and aborted transactions too.

    Raises:
        BrokerError: Kafka can't be reached.
        TopicError: The topic doesn't exist.
    """

    def __init__(
        self, settings: KafkaSettings, topic: str, start: Start, *, read_committed: bool = True
    ) -> None:
        self._settings = settings
        self.topic = topic
        self._access = Access(settings)
        self._consumer: Consumer = kafka.new_consumer(
            settings,
            self._access,
            # librdkafka asks for a name; without commits it means nothing to the brokers.
            group_id="sentiment-reader",
            isolation_level="read_committed" if read_committed else "read_uncommitted",
            # Whoever asks for an offset wants that record, not the oldest that is left.
            auto_offset_reset="error" if isinstance(start, Mapping) else "earliest",
            # The marks of transactions take offsets and are never returned, so that only this
            # event tells that there is nothing more to come.
            enable_partition_eof=True,
        )
        self._next: dict[int, int] = {}
        try:
            self._assign(start)
        except BaseException:
            self._consumer.close()
            raise

    def _assign(self, start: Start) -> None:
        def look_up() -> list[TopicPartition]:
            timeout = self._settings.connect_timeout_s
            answer = self._access.first_answer(self._consumer, timeout, self.topic)
            metadata = answer.topics[self.topic]
            if metadata.error is not None:
                if metadata.error.code() in LASTING:
                    self._refuse(metadata.error)
                raise KafkaException(metadata.error)
            parts = self._wanted(start, metadata.partitions)
            for part in parts:
                if part.error is not None:
                    raise KafkaException(part.error)
                # Pinned to numbers now, so that nothing sent from here on is missed.
                low, high = self._consumer.get_watermark_offsets(part, timeout=timeout)
                if start == "beginning" or part.offset == OFFSET_BEGINNING:
                    part.offset = low
                elif start == "end" or part.offset == OFFSET_END:
                    part.offset = high
            return parts

        parts = self._retried(look_up)
        self._next = {part.partition: part.offset for part in parts}
        self._consumer.assign(parts)

    def _wanted(self, start: Start, numbers: Iterable[int]) -> list[TopicPartition]:
        """The partitions to read, with the offset that each begins at where that is known."""
        if isinstance(start, Mapping):
            return [TopicPartition(self.topic, *place) for place in start.items()]
        if isinstance(start, str):
            return [TopicPartition(self.topic, number) for number in numbers]
        # To the microsecond first: a float's last digit must not cost a whole millisecond.
        since_ms = int(round(start * 1000, 3))
        parts = [TopicPartition(self.topic, number, since_ms) for number in numbers]
        timeout = self._settings.connect_timeout_s
        return self._consumer.offsets_for_times(parts, timeout=timeout)

    def _retried(self, ask: Callable[[], Answer]) -> Answer:
        """Ask again while a partition, perhaps of a new topic, has no leader yet."""
        deadline = time.monotonic() + self._settings.connect_timeout_s
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                    raise self._access.unreachable(error) from None
                time.sleep(POLL_S)

    def _refuse(self, error: KafkaError) -> None:
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TopicError(
                f"Topic {self.topic!r} does not exist at {self._settings.bootstrap_servers}.",
                "Create all topics with `sentiment topics`.",
            )
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its only name
            raise TopicError(
                f"Records of {self.topic!r} that were to be read are gone: {error.str()}.",
                "Kafka deletes what is older than the topic's retention.ms: begin at a later one.",
            )
        raise BrokerError(f"Reading {self.topic!r} failed: {error.str()}.")

    def poll(self, timeout_s: float, most: int = 1000) -> list[Message]:
        """The next records: waits for the first, takes along those that are there already.

        Args:
            timeout_s: Longest wait for the first record, in seconds.
            most: Most records to return.

        Returns:
            Records in order per partition; empty when none came in time. A broker that is away
            is no error here: librdkafka reconnects, and the records come when it is back.

        Raises:
            BrokerError: An error that waiting doesn't mend.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(most - 1, 0)] if most > 1 else [first]
        records = []
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is None:
                records.append(message)
                offset = (offset or 0) + 1
            elif error.code() in LASTING or error.fatal():
                self._refuse(error)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
                continue
            if partition is not None and offset is not None:
                self._next[partition] = offset
        return records

    def follow(self, *, until_idle_s: float | None = None) -> Iterator[Message]:
        """Records one by one, without end or until none came for a time.

        Args:
            until_idle_s: End after this long without a record, in seconds; None: never.
        """
        last = time.monotonic()
        while until_idle_s is None or time.monotonic() - last < until_idle_s:
            for record in self.poll(POLL_S):
                last = time.monotonic()
                yield record

    def rest(self) -> Iterator[Message]:
        """Records one by one, up to the ends that the partitions have now.

        Raises:
            BrokerError: Nothing came for `KAFKA_CONNECT_TIMEOUT_S`, although there is more.
        """
        ends = self.ends()
        positions, last = self.positions(), time.monotonic()
        while any(positions[partition] < end for partition, end in ends.items()):
            for record in self.poll(POLL_S):
                if (record.offset() or 0) < ends[record.partition() or 0]:
                    yield record
            if positions != self._next:
                positions, last = self.positions(), time.monotonic()
            elif time.monotonic() - last > self._settings.connect_timeout_s:
                raise BrokerError(
                    f"Reading {self.topic!r} stopped: no broker sent anything for"
                    f" {self._settings.connect_timeout_s:g} s.",
                    "See whether the brokers are up, then read again.",
                )

    def ends(self) -> dict[int, int]:
        """The offset after the last record that can be read now, by partition.

        Raises:
            BrokerError: Kafka doesn't answer.
        """
        timeout = self._settings.connect_timeout_s
        return {
            number: self._retried(
                partial(
                    self._consumer.get_watermark_offsets,
                    TopicPartition(self.topic, number),
                    timeout=timeout,
                )
            )[1]
            for number in self._next
        }

    def positions(self) -> dict[int, int]:
        """By partition, the offset from which on nothing has been returned.

        They reach `ends()` when everything has been read, a little after the last record where
        marks of transactions follow it.
        """
        return dict(self._next)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
