"""Reading one topic for as long as a process runs."""

import threading
import time
from collections.abc import Callable

from confluent_kafka import Message

from sentiment import logs
from sentiment.errors import SentimentError
from sentiment.reader import Start, TopicReader
from sentiment.settings import KafkaSettings

# How long one wait for records lasts before the end of the process is seen.
POLL_S = 0.2
# Between two tries for a topic or a cluster that isn't there: soon enough for a watching person.
RETRY_S = 1.0
# About a megabyte of results in hand at a time, and tens of thousands a second.
BATCH = 2000

log = logs.get(__name__)


class Follower(threading.Thread):
    """Reads a topic from a point on, over every loss of Kafka.

    While brokers are away librdkafka reconnects by itself; where that can't help, as with a topic
    that is not there yet, a new reader is made until one works.

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
        self.trouble = "Not connected to Kafka yet."

    def run(self) -> None:
        """Follow the topic until `stop`."""
        while not self._stopping.is_set():
            try:
                self._follow()
            except SentimentError as error:
                self._tell(error.message)
            except Exception:
                # Nobody else would notice a dead thread: log what it was, and read on.
                log.exception("reading failed", topic=self._topic)
                self._tell(f"Reading {self._topic!r} failed; see the log.")
            self._stopping.wait(RETRY_S)

    def _follow(self) -> None:
        start: Start = "beginning" if self._back_s is None else time.time() - self._back_s
        with TopicReader(self._settings, self._topic, start) as reader:
            self.trouble = ""
            log.info("following", topic=self._topic)
            while not self._stopping.is_set():
                records = reader.poll(POLL_S, BATCH)
                if records:
                    self._take(records)

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("can't follow", topic=self._topic, reason=trouble)
        self.trouble = trouble

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()
