"""Reads results and dead letters as they come: answers by id, and feeds the live feed.

Each replica reads every partition, without a group, so that any replica can answer for any id.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import KafkaException, Message

from sentiment import events, kafka, logs, metrics
from sentiment.errors import BrokerError
from sentiment.events import SentimentResult
from sentiment.reader import TopicReader
from sentiment.settings import Settings
from web.feed import Feed

log = logs.get(__name__)

# How long a read waits for its first record: the delay of a stop that nobody notices.
READ_S = 0.05
# On a quiet topic Kafka is asked this often whether it is there, and has this long to answer.
PULSE_S = 1.0
PULSE_TIMEOUT_S = 1.0
RETRY_S = 1.0
RATE_WINDOW_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What became of an event: the result's JSON, or why it is a dead letter."""

    body: bytes
    is_result: bool


class Inbox:
    """Keeps the latest outcomes in memory, on a thread of its own.

    Args:
        settings: Which topics, and how much is kept.

    Attributes:
        connected: Whether Kafka answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._most = settings.web.recent_results
        self._recent: dict[str, Answer] = {}
        self._waiters: dict[str, list[threading.Event]] = {}
        self._feeds: set[Feed] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._rates: deque[tuple[float, int]] = deque()
        self._last: SentimentResult | None = None
        self._pulse_settings = settings.kafka.replace(connect_timeout_s=PULSE_TIMEOUT_S)
        self.connected = False
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def wait_for(self, identity: str, timeout_s: float) -> Answer | None:
        """The outcome of an event, as soon as it is there; None when it isn't in time."""
        arrived = threading.Event()
        with self._lock:
            answer = self._recent.get(identity)
            if answer or timeout_s <= 0:
                return answer
            self._waiters.setdefault(identity, []).append(arrived)
        try:
            arrived.wait(timeout_s)
        finally:
            with self._lock:
                answer = self._recent.get(identity)
                waiting = self._waiters.get(identity, [])
                if arrived in waiting:
                    waiting.remove(arrived)
                if not waiting:
                    self._waiters.pop(identity, None)
        return answer

    @contextmanager
    def feed(self, sentiment: str, source: str) -> Iterator[Feed]:
        """An open live feed, closed with the block."""
        feed = Feed(sentiment, source)
        with self._lock:
            self._feeds.add(feed)
        try:
            yield feed
        finally:
            with self._lock:
                self._feeds.discard(feed)

    def status(self) -> dict[str, Any]:
        """What the page shows beside the results."""
        since = time.monotonic() - RATE_WINDOW_S
        rates = [count for at, count in list(self._rates) if at >= since]
        last = self._last
        return {
            "kafka": "connected" if self.connected else "away",
            "model": last.model if last else None,
            "results_per_second": round(sum(rates) / RATE_WINDOW_S, 1),
        }

    def close_feeds(self) -> None:
        """End the open feeds, so that a stop doesn't wait for them."""
        with self._lock:
            for feed in self._feeds:
                feed.close()

    def close(self) -> None:
        """Stop reading."""
        self.close_feeds()
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        since = time.time() - self._settings.web.recent_minutes * 60
        while not self._stop.is_set():
            try:
                self._read(since)
            except BrokerError as error:
                # Also the topic that is yet to be created: both mend themselves with time.
                if self.connected:
                    log.warning("Kafka is away", reason=error.message)
                self.connected = False
                self._stop.wait(RETRY_S)

    def _read(self, since: float) -> None:
        topics = self._settings.topics
        admin = kafka.new_admin(self._pulse_settings)
        with (
            TopicReader(self._pulse_settings, topics.results, since) as results,
            TopicReader(self._pulse_settings, topics.dead_letters, since) as letters,
        ):
            self.connected = True
            heard = time.monotonic()
            while not self._stop.is_set():
                seen = results.poll(READ_S)
                self._take_results(seen)
                refused = letters.poll(0)
                self._take_letters(refused)
                if seen or refused:
                    heard, self.connected = time.monotonic(), True
                elif time.monotonic() - heard > PULSE_S:
                    # A reader waits for a broker that is away without a word: ask.
                    try:
                        admin.list_topics(timeout=PULSE_TIMEOUT_S)
                        self.connected = True
                    except KafkaException:
                        self.connected = False
                    heard = time.monotonic()

    def _take_results(self, records: Sequence[Message]) -> None:
        if not records:
            return
        results, answers = [], {}
        for record in records:
            value = record.value()
            try:
                result = events.decode_result(value or b"")
            except msgspec.DecodeError:
                # Somebody else's record on our topic: no result of ours to show.
                continue
            results.append(result)
            answers[result.id] = Answer(value or b"", is_result=True)
            metrics.PREDICTIONS.labels(result.sentiment).inc()
        self._keep(answers)
        if results:
            self._last = results[-1]
        now = time.monotonic()
        self._rates.append((now, len(results)))
        while self._rates[0][0] < now - RATE_WINDOW_S:
            self._rates.popleft()
        with self._lock:
            feeds = list(self._feeds)
        for feed in feeds:
            feed.offer(results)

    def _take_letters(self, records: Sequence[Message]) -> None:
        self._keep(dict(_dead_letter(record) for record in records))

    def _keep(self, answers: dict[str, Answer]) -> None:
        with self._lock:
            self._recent.update(answers)
            while len(self._recent) > self._most:
                del self._recent[next(iter(self._recent))]
            for identity in self._waiters.keys() & answers.keys():
                for arrived in self._waiters[identity]:
                    arrived.set()


def _dead_letter(record: Message) -> tuple[str, Answer]:
    """The id of a dead letter, by the rule for results, and the reason as JSON."""
    headers = {
        key: value.decode(errors="replace") if isinstance(value, bytes) else value or ""
        for key, value in events.headers_of(record)
    }
    names = (events.ERROR_TOPIC, events.ERROR_PARTITION, events.ERROR_OFFSET)
    identity = "-".join(headers.get(name, "") for name in names)
    try:
        document = msgspec.json.decode(record.value() or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("id"), str):
        identity = document["id"]
    error = {
        "code": headers.get(events.ERROR_CODE, "unknown"),
        "message": headers.get(events.ERROR_MESSAGE, ""),
    }
    return identity, Answer(msgspec.json.encode({"id": identity, "error": error}), is_result=False)
