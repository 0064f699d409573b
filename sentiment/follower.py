"""Reading one topic for as long as a process runs."""

import threading
import time
from collections.abc import Callable

from confluent_kafka import Message

from sentiment import logs, topics
from sentiment.errors import SentimentError, TopicError, UnreachableError
from sentiment.reader import Start, TopicReader
from sentiment.settings import KafkaSettings

# How long one wait for records lasts before the end of the process is seen.
POLL_S = 0.2
# Between two tries for a topic or a cluster that isn't there: soon enough for a watching person.
RETRY_S = 1.0
# About a megabyte of results in hand at a time, and tens of thousands a second.
BATCH = 2000
# How often the brokers are asked whether the topic is still what is being read: a person who waits
# for a result asks again after as long.
LOOK_S = 10.0

log = logs.get(__name__)


class Follower(threading.Thread):
    """Reads a topic from a point on, over every loss of Kafka.

    While brokers are away librdkafka reconnects by itself. Where that can't help, a new reader is
    made until one works: the topic is not there yet, is another one than at the start, as after the
    whole cluster was made anew, has more partitions, or has records that don't come.

    Args:
        settings: How to reach Kafka.
        topic: The topic.
        back_s: How far back reading starts, in seconds; None: at the topic's beginning.
        take: Given each batch of records, on this thread.

    Attributes:
        trouble: Why nothing is read at the moment; empty while the topic is followed.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        back_s: float | None,
        take: Callable[[list[Message]], None],
    ) -> None:
        super().__init__(name=f"follow-{topic}", daemon=True)
        self._settings = settings
        self._topic = topic
        self._back_s = back_s
        self._take = take
        self._stopping = threading.Event()
        # Where the next reader begins; None: as the first one did.
        self._start: Start | None = None
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
        with TopicReader(self._settings, self._topic, start) as reader:
            self.trouble = ""
            log.info("following", topic=self._topic)
            looked, before = time.monotonic(), reader.positions()
            while not self._stopping.is_set():
                if records := reader.poll(POLL_S, BATCH):
                    self._take(records)
                if time.monotonic() - looked > LOOK_S:
                    if not self._is_current(reader, known, before):
                        return
                    looked, before = time.monotonic(), reader.positions()

    def _is_current(
        self, reader: TopicReader, known: topics.Identity, before: dict[int, int]
    ) -> bool:
        """Whether the reader reads all there is; if not, where the next one begins is settled.

        Args:
            reader: What reads.
            known: The topic, when it began.
            before: The next offset of each partition at the last look.
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
        return all(ends[number] == positions[number] for number in still)

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("can't follow", topic=self._topic, reason=trouble)
        self.trouble = trouble

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()
