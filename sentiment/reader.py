"""Read a topic without a group: every partition, committed records only.

What the page, `sentiment results` and the demo share. Nothing is committed, so any number of
readers see all records and none disturbs another.
"""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Literal, Self

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
from sentiment.settings import KafkaSettings

Start = Literal["beginning", "end"] | float


class TopicReader:
    """Reads one topic from a point on.

    Args:
        settings: How to reach Kafka.
        topic: The topic.
        start: `beginning`, `end`, or a time in seconds since 1970.
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
        self._consumer: Consumer = kafka.new_consumer(
            settings,
            # librdkafka asks for a name; without commits it means nothing to the brokers.
            group_id="sentiment-reader",
            isolation_level="read_committed" if read_committed else "read_uncommitted",
            auto_offset_reset="earliest",
        )
        self._assign(start)

    def _assign(self, start: Start) -> None:
        timeout = self._settings.connect_timeout_s
        try:
            metadata = self._consumer.list_topics(self.topic, timeout=timeout).topics[self.topic]
            if metadata.error is not None:
                raise TopicError(
                    f"Topic {self.topic!r} does not exist at {self._settings.bootstrap_servers}.",
                    "Create all topics with `sentiment topics`.",
                )
            parts = [TopicPartition(self.topic, number) for number in metadata.partitions]
            if start == "beginning":
                for part in parts:
                    part.offset = OFFSET_BEGINNING
            elif start != "end":
                for part in parts:
                    part.offset = int(start * 1000)
                parts = self._consumer.offsets_for_times(parts, timeout=timeout)
            for part in parts:
                if start == "end" or part.offset == OFFSET_END:
                    # Pinned to a number now, so that nothing sent from here on is missed.
                    part.offset = self._consumer.get_watermark_offsets(part, timeout=timeout)[1]
            self._consumer.assign(parts)
        except KafkaException as error:
            self._consumer.close()
            raise kafka.unreachable(self._settings, error) from None

    def poll(self, timeout_s: float, most: int = 1000) -> list[Message]:
        """The next records: waits for the first, takes along those that are there already.

        Args:
            timeout_s: Longest wait for the first record, in seconds.
            most: Most records to return.

        Returns:
            Records in order per partition; empty when none came in time. A broker that is away
            is no error here: librdkafka reconnects, and `most` records come when it is back.

        Raises:
            BrokerError: An error that waiting doesn't mend.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        records = [first, *self._consumer.consume(most - 1, 0)] if most > 1 else [first]
        good = []
        for record in records:
            error = record.error()
            if error is None:
                good.append(record)
            elif error.fatal() or error.code() in {
                KafkaError.TOPIC_AUTHORIZATION_FAILED,
                KafkaError.UNKNOWN_TOPIC_OR_PART,
            }:
                raise BrokerError(f"Reading {self.topic!r} failed: {error.str()}.")
        return good

    def follow(self, *, until_idle_s: float | None = None) -> Iterator[Message]:
        """Records one by one, without end or until none came for a time.

        Args:
            until_idle_s: End after this long without a record, in seconds; None: never.
        """
        last = time.monotonic()
        while until_idle_s is None or time.monotonic() - last < until_idle_s:
            for record in self.poll(0.2):
                last = time.monotonic()
                yield record

    def ends(self) -> dict[int, int]:
        """The offset after the last committed record, by partition."""
        return {
            part.partition: self._consumer.get_watermark_offsets(
                part, timeout=self._settings.connect_timeout_s
            )[1]
            for part in self._consumer.assignment()
        }

    def positions(self) -> dict[int, int]:
        """The offset of the next record to be returned, by partition; -1001 before the first."""
        return {p.partition: p.offset for p in self._consumer.position(self._consumer.assignment())}

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
