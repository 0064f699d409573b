"""Read a topic without a group: every partition, committed records only.

What the page, `sentiment results` and the demo share. Nothing is committed, so any number of
readers see all records and none disturbs another.
"""

import threading
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

from sentiment import logs, metrics
from sentiment.errors import BrokerError, SentimentError, TopicError, UnreachableError
from sentiment.kafka import clients, topics, unreadable
from sentiment.kafka.clients import Access
from sentiment.kafka.retries import Deadline, retry
from sentiment.settings import KafkaSettings

log = logs.get(__name__)

Start = Literal["beginning", "end"] | float | Mapping[int, int]
Answer = TypeVar("Answer")

# Permanent errors of a topic; librdkafka recovers from the others by itself.
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
        most: Most records of each partition to begin with, the last ones; None: all.
        properties: Further ones of librdkafka, with `_` for `.`.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        start: Start,
        *,
        read_committed: bool = True,
        most: int | None = None,
        **properties: int,
    ) -> None:
        self._settings = settings
        self.topic = topic
        self._access = Access(settings)
        self._isolation = "read_committed" if read_committed else "read_uncommitted"
        self._consumer: Consumer = clients.new_consumer(
            settings,
            self._access,
            # librdkafka asks for a name; without commits it means nothing to the brokers.
            group_id="sentiment-reader",
            isolation_level=self._isolation,
            # Whoever asks for an offset wants that record, not the oldest that is left.
            auto_offset_reset="error" if isinstance(start, Mapping) else "earliest",
            # Behind the last record may be marks of transactions: only this tells that it was it.
            enable_partition_eof=True,
            **properties,
        )
        self._next: dict[int, int] = {}
        self._most = most
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
                if self._most is not None:
                    part.offset = max(part.offset, high - self._most)
            return parts

        parts = self._retried(look_up)
        self._next = {part.partition: part.offset for part in parts}
        for number in self._next:
            # A series that begins with its first event has no increase that a rule could see.
            metrics.UNREADABLE_BATCHES.labels(self.topic, str(number))
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
        deadline = Deadline(self._settings.connect_timeout_s)
        try:
            return retry(lambda _: ask(), deadline, POLL_S, lambda error: error.code() in PASSING)
        except KafkaException as error:
            raise self._access.unreachable(error) from None

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

        They are in order per partition; none, where none came within so many seconds. A broker that
        is away is no error: librdkafka reconnects, and they come when it is back. A batch that
        can't be read is passed over, which is logged and counted.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(most - 1, 0)] if most > 1 else [first]
        records, unread = [], False
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is None:
                records.append(message)
                offset = (offset or 0) + 1
            elif error.code() in LASTING or error.fatal():
                self._refuse(error)
            elif error.code() in unreadable.CODES:
                unread, offset = True, self._behind(message)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
                continue
            if partition is not None and offset is not None:
                self._next[partition] = offset
        if unread:
            # Each partition goes on from there.
            places = self._next.items()
            self._consumer.assign([TopicPartition(self.topic, *place) for place in places])
        return records

    def _behind(self, error: Message) -> int | None:
        """The offset behind a batch that can't be read; None where nobody tells it now."""
        try:
            batch = unreadable.located(self._settings, error, self._isolation)
        except KafkaException:
            # It is asked for again, and so is this.
            return None
        metrics.UNREADABLE_BATCHES.labels(self.topic, str(batch.partition)).inc()
        log.error("a batch can't be read and is passed over", reason=str(batch))
        return None if batch.last is None else batch.last + 1

    def follow(self, *, until_idle_s: float | None = None) -> Iterator[Message]:
        """Records one by one, without end or until none came for so many seconds."""
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
                    "See whether the brokers are up, then read again. Where they are, what comes"
                    " next on the topic can't be read.",
                )

    def ends(self) -> dict[int, int]:
        """The offset after the last record that can be read now, by partition."""
        timeout, found = self._settings.connect_timeout_s, {}
        for number in self._next:
            ask = partial(self._consumer.get_watermark_offsets, timeout=timeout)
            part = TopicPartition(self.topic, number)
            found[number] = self._retried(partial(ask, part))[1]
        return found

    def positions(self) -> dict[int, int]:
        """By partition, the offset from which on nothing has been returned; at last `ends()`."""
        return dict(self._next)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


# Between two tries for a topic or a cluster that isn't there: soon enough for a watching person.
RETRY_S = 1.0
# About a megabyte of results in hand at a time, and tens of thousands a second.
BATCH = 2000
# What the client holds ready, and what one answer of a broker may have: no more than a batch above,
# or large records would fill tens of megabytes for each topic. Compressed ones take many times
# their bytes of an answer.
QUEUE_KIB, FETCH_BYTES = 4096, 256 * 1024
# Between two looks whether the topic is still what is read: as long as a person waits for a result.
CHECK_S = 10.0


class Follower(threading.Thread):
    """Reads a topic from a point on, for as long as a process runs, over every loss of Kafka.

    While brokers are down librdkafka reconnects by itself. Where that can't help, a new reader is
    made until one works: the topic is not there yet, is another one than at the start, as after the
    whole cluster was made anew, has more partitions, or has records that don't come.

    It starts so many seconds back, or at the topic's beginning, with `most` records of each
    partition at most. Each batch of records is given to `take`, on this thread.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        back_s: float | None,
        take: Callable[[list[Message]], None],
        most: int | None = None,
    ) -> None:
        super().__init__(name=f"follow-{topic}", daemon=True)
        self._settings = settings
        self._topic = topic
        self._back_s = back_s
        self._take = take
        self._most = most
        self._stopping = threading.Event()
        # Where the next reader begins; None: as the first one did.
        self._start: Start | None = None
        # Why nothing is read at the moment; empty while the topic is followed.
        self.trouble = "Not connected to Kafka yet."

    def run(self) -> None:
        """Follow the topic until `stop`."""
        while not self._stopping.is_set():
            try:
                self._follow()
            except SentimentError as error:
                if isinstance(error, TopicError):
                    # Where it was read up to means nothing any more.
                    self._start = None
                self._tell(error.message)
            except Exception:
                # Nobody else would notice a dead thread: log what it was, and read on.
                log.exception("reading failed", topic=self._topic)
                self._tell(f"Reading {self._topic!r} failed; see the log.")
            self._stopping.wait(RETRY_S)

    def _follow(self) -> None:
        start = self._start
        if start is None:
            start = "beginning" if self._back_s is None else time.time() - self._back_s
        known = topics.identity(self._settings, self._topic)
        # Where an earlier reader was, nothing is passed over.
        most = None if self._start else self._most
        with TopicReader(
            self._settings,
            self._topic,
            start,
            most=most,
            queued_max_messages_kbytes=QUEUE_KIB,
            # The client takes no less of an answer than of a message. Larger ones come all the
            # same, one at a time.
            message_max_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES,
        ) as reader:
            self.trouble = ""
            log.info("following", topic=self._topic)
            checked, before = time.monotonic(), reader.positions()
            while not self._stopping.is_set():
                if records := reader.poll(POLL_S, BATCH):
                    self._take(records)
                if time.monotonic() - checked > CHECK_S:
                    if not self._is_current(reader, known, before):
                        return
                    checked, before = time.monotonic(), reader.positions()

    def _is_current(
        self, reader: TopicReader, known: topics.Identity, before: dict[int, int]
    ) -> bool:
        """Whether the reader reads all there is; if not, where the next one begins is settled.

        `known` is the topic at its begin, `before` its positions at the last check.
        """
        try:
            # By a client of its own: the reader's may have lost the brokers for good.
            found = topics.identity(self._settings, self._topic)
        except UnreachableError as error:
            # It goes on by itself when they are back.
            self._tell(error.message)
            return True
        self.trouble = ""
        positions = reader.positions()
        if found.id != known.id:
            log.warning("the topic was made anew", topic=self._topic)
            self._start = None
            return False
        self._start = positions | dict.fromkeys(range(len(positions), found.partitions), 0)
        if found.partitions != known.partitions:
            return False
        still = [number for number, offset in positions.items() if offset == before[number]]
        ends = reader.ends() if still else {}
        stalled = [number for number in still if ends[number] != positions[number]]
        if stalled:
            log.warning("records don't come: reading anew", topic=self._topic, partitions=stalled)
        return not stalled

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("can't follow", topic=self._topic, reason=trouble)
        self.trouble = trouble

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()
