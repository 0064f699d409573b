"""What comes from Kafka: results, dead letters, and whether it answers.

Every replica reads all committed results: each can answer for any id, through whomever it was sent.
"""

import statistics
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from confluent_kafka import Message
from msgspec import structs

from sentiment import logs, times, tracing, wire
from sentiment.dead_letters.dead_letter import read
from sentiment.errors import BrokerError
from sentiment.kafka import clients
from sentiment.kafka.clients import Access
from sentiment.kafka.lag import Lag
from sentiment.kafka.reader import Follower
from sentiment.settings import Settings
from sentiment.wire import Model, SentimentResult, ShortText
from web.answers import AWAY, FeedStatus, ServedModel
from web.feeds import Failure, Feeds, Outcome, Outcomes
from web.metrics import PREDICTIONS
from web.settings import WebSettings

# A person sees within three seconds that Kafka is away: one between two questions, two for one.
WATCH_INTERVAL_S = 1.0
WATCH_TIMEOUT_S = 2.0
# The rate is a mean over as many seconds: steady enough to read, quick enough to follow.
RATE_WINDOW_S = 5
# Older results are history that is read back at a start, and no news for a live feed.
NEWS_S = 60.0
# For so long after a start what is read may be history of the last minute too.
READING_BACK_S = 10.0
# How long the threads may take to end; they see it within a fifth of a second.
JOIN_S = 2.0
# The median of as many is steady; at a person's pace they reach back a while, hence the next line.
LATENCIES = 200
LATENCY_WINDOW_S = 60.0
# A champion, a challenger, and the ones that they replaced.
MODELS = 6

log = logs.get(__name__)


class _Named(msgspec.Struct):
    # A longer one made the event a dead letter, and is no name.
    id: ShortText = ""


class Inbox:
    """Follows results and dead letters, and watches the cluster.

    `tell` is given each batch of outcomes on the thread that reads. Counts are since the start, the
    rate is of live results over the last seconds.
    """

    def __init__(
        self, settings: Settings, outcomes: Outcomes, tell: Callable[[Sequence[Outcome]], None]
    ) -> None:
        web = settings.of(WebSettings)
        self.feeds = Feeds(self.status)
        self.outcomes = outcomes
        self.overview = Overview()
        self.model: Model | None = None
        self.results_seen = self.dead_letters_seen = 0
        self.results_per_second = 0.0
        self._tell_of = tell
        self._live_results = 0
        self._events, self._group = settings.topics.events, settings.worker.group_id
        self._unreachable = "Not connected to Kafka yet."
        self._settings = settings.kafka.replace(
            connect_timeout_s=min(WATCH_TIMEOUT_S, settings.kafka.connect_timeout_s)
        )
        self._began = time.time()
        self._stopping = threading.Event()
        back_s = web.recent_minutes * 60
        names = settings.topics
        self._results, self._dead_letters = (
            Follower(settings.kafka, topic, back_s, take, web.recent_results)
            for topic, take in (
                (names.results, self._take_results),
                (names.dead_letters, self._take_dead_letters),
            )
        )
        watch = threading.Thread(target=self._watch_cluster, name="watch", daemon=True)
        feeds = threading.Thread(target=self.feeds.run, name="feeds", daemon=True)
        self._threads = [self._results, self._dead_letters, watch, feeds]
        self._spans = tracing.of("sentiment-web")

    @property
    def trouble(self) -> str:
        """Why results can't come at the moment; empty while they can."""
        return self._unreachable or self._results.trouble

    @property
    def alive(self) -> bool:
        """Whether all threads run; if not, only a restart helps."""
        return all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Begin to read; Kafka may come later."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End feeds, waits and threads."""
        self._stopping.set()
        self.feeds.close()
        self.outcomes.close()
        self._results.stop()
        self._dead_letters.stop()
        for thread in self._threads:
            thread.join(JOIN_S)

    def status(self) -> FeedStatus:
        """What a feed tells that has left out nothing."""
        return FeedStatus(
            not self.trouble,
            AWAY if self.trouble else "",
            self.model,
            self.results_per_second,
            0,
            **self.overview.status(),
        )

    def _take_results(self, records: list[Message]) -> None:
        if self._spans:
            self._spans.received(records)
        results: list[SentimentResult] = []
        for record in records:
            try:
                results.append(self._unexplained(record))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                log.warning("no result", partition=record.partition(), offset=record.offset())
        if not results:
            return
        self._keep(results)
        self.model = results[-1].model
        self.results_seen += len(results)
        self.overview.saw(results)
        for sentiment, count in Counter(result.sentiment for result in results).items():
            PREDICTIONS.labels(sentiment).inc(count)
        if self._is_news(records[-1]):
            self._live_results += len(results)
            self.overview.count(results)
            self.feeds.publish(results)

    def _take_dead_letters(self, records: list[Message]) -> None:
        self.dead_letters_seen += len(records)
        if self._is_news(records[-1]):
            self.overview.dead_letters += len(records)
        self._keep([failure for failure in map(_failure, records) if failure])

    def _unexplained(self, record: Message) -> SentimentResult:
        """A result without its explanation, from which its text could be made again."""
        result = wire.decode_result(record.value() or b"")
        if result.explanation is None:
            return result
        asker = dict(wire.headers_of(record)).get(wire.ASKER)
        if isinstance(asker, bytes):
            self.outcomes.explain(result.input, (asker, wire.encode(result.explanation)))
        return structs.replace(result, explanation=None)

    def _is_news(self, record: Message) -> bool:
        """Whether a record came while we were there, as far as clocks agree."""
        now, written = time.time(), record.timestamp()[1] / 1000
        if now < self._began + READING_BACK_S:
            return written > self._began
        return written > now - NEWS_S

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes.add(outcomes)
        self._tell_of(outcomes)

    def _watch_cluster(self) -> None:
        access = Access(self._settings)
        admin = clients.new_admin(self._settings, access)
        lag = Lag(self._settings, self._group)
        counts = deque([(time.monotonic(), 0)], maxlen=RATE_WINDOW_S + 1)
        while not self._stopping.is_set():
            try:
                cluster = access.first_answer(admin, self._settings.connect_timeout_s)
            except BrokerError as error:
                self._tell(error.message)
            else:
                self._tell("")
                if self._events in cluster.topics:
                    parts = cluster.topics[self._events].partitions
                    self.overview.lag = lag.of(self._events, parts, WATCH_TIMEOUT_S)
            counts.append((time.monotonic(), self._live_results))
            (since, first), (now, last) = counts[0], counts[-1]
            self.results_per_second = round((last - first) / (now - since), 1)
            self._stopping.wait(WATCH_INTERVAL_S)
        lag.close()

    def _tell(self, unreachable: str) -> None:
        if bool(unreachable) != bool(self._unreachable):
            log.warning("Kafka is away" if unreachable else "Kafka answers", reason=unreachable)
        self._unreachable = unreachable


def _failure(record: Message) -> Failure | None:
    """None where it doesn't tell which event it is."""
    dead_letter = read(record)
    if dead_letter.input is None:
        return None
    try:
        name = msgspec.json.decode(dead_letter.value, type=_Named).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        name = ""
    name = name or wire.name_of(dead_letter.input)
    return Failure(name, dead_letter.code or "unknown", dead_letter.message, dead_letter.input)


class Overview:
    """Counts since the start, latency, models; followers' threads write it, any one reads it."""

    def __init__(self) -> None:
        self.positive = self.negative = self.dead_letters = 0
        self.lag: int | None = None
        self._latencies: deque[tuple[float, float]] = deque(maxlen=LATENCIES)
        self._models: OrderedDict[tuple[str, str], ServedModel] = OrderedDict()

    def saw(self, results: list[SentimentResult]) -> None:
        """Note the models of a batch, old or new: a start reads back when each one came."""
        for result in results:
            key = (result.model.name, result.model.version)
            known = self._models.get(key)
            if known is not None:
                # A challenger becomes champion under the same version: the latest word counts.
                self._models[key] = structs.replace(known, canary=result.canary)
                continue
            self._models[key] = ServedModel(*key, result.processed_at, result.canary)
            if len(self._models) > MODELS:
                self._models.popitem(last=False)

    def knows(self, model: Model) -> bool:
        """Whether results of a model came by, and not more than `MODELS` others after its first."""
        return (model.name, model.version) in self._models

    def count(self, results: list[SentimentResult]) -> None:
        """Count a batch of live results."""
        positive = sum(result.sentiment == "positive" for result in results)
        self.positive += positive
        self.negative += len(results) - positive
        now = time.monotonic()
        self._latencies.extend(
            (
                now,
                times.age_ms(
                    result.received_at.timestamp() * 1000, result.processed_at.timestamp() * 1000
                ),
            )
            for result in results[-LATENCIES:]
        )

    def status(self) -> dict[str, Any]:
        """What a live feed tells with its `status`."""
        since = time.monotonic() - LATENCY_WINDOW_S
        latencies = [ms for at, ms in list(self._latencies) if at >= since]
        return {
            "positive": self.positive,
            "negative": self.negative,
            "dead_letters": self.dead_letters,
            "latency_ms": round(statistics.median(latencies), 1) if latencies else None,
            "lag": self.lag,
            "models": list(self._models.values()),
        }
