"""What the page knows of the world: results, dead letters, and whether Kafka answers.

Every replica reads all partitions of the results, committed records only, so that each can
answer for any id, whichever replica its event was sent through.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

import msgspec
from confluent_kafka import Message

from sentiment import events, kafka, logs, tracing
from sentiment.dlq import letters
from sentiment.errors import BrokerError
from sentiment.events import Input, Model, SentimentResult
from sentiment.follower import Follower
from sentiment.kafka_access import Access
from sentiment.lag import Lag
from sentiment.metrics import PREDICTIONS
from sentiment.settings import Settings
from web.feeds import Feeds
from web.outcomes import DeadLetter, Outcome, Outcomes
from web.pulse import Pulse

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

log = logs.get(__name__)


class _Named(msgspec.Struct):
    id: str = ""


class Inbox:
    """Follows results and dead letters, and watches the cluster; see `start`.

    Args:
        settings: How to reach Kafka, its topics, and the bounds of what is kept.
        tell: Given what became of each batch of events, by id, on the thread that reads.

    Attributes:
        outcomes: What became of the latest events.
        feeds: The open feeds.
        pulse: Counts, latency, lag and models for the page.
        model: The model of the latest result; None before the first.
        results_seen: Results read since the start.
        dead_letters_seen: Dead letters read since the start.
        results_per_second: Live results over the last seconds.
    """

    def __init__(self, settings: Settings, tell: Callable[[Mapping[str, Outcome]], None]) -> None:
        web = settings.web
        # An eighth of the threads stays free for everything that is no feed.
        self.feeds = Feeds(web.threads - max(1, web.threads // 8))
        self.outcomes = Outcomes(web.recent_results)
        self.pulse = Pulse()
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
        self._results = Follower(settings.kafka, names.results, back_s, self._take_results)
        self._dead_letters = Follower(
            settings.kafka, names.dead_letters, back_s, self._take_dead_letters
        )
        self._watch = threading.Thread(target=self._watch_cluster, name="watch", daemon=True)
        self._threads = [self._results, self._dead_letters, self._watch]
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

    def _take_results(self, records: list[Message]) -> None:
        if self._spans:
            self._spans.received(records)
        results: list[SentimentResult] = []
        for record in records:
            try:
                results.append(events.decode_result(record.value() or b""))
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("no result", partition=record.partition(), offset=record.offset())
        if not results:
            return
        self._keep({result.id: result for result in results})
        self.model = results[-1].model
        self.results_seen += len(results)
        self.pulse.saw(results)
        for sentiment, count in Counter(result.sentiment for result in results).items():
            PREDICTIONS.labels(sentiment).inc(count)
        if self._is_news(records[-1]):
            self._live_results += len(results)
            self.pulse.count(results)
            self.feeds.publish(results)

    def _take_dead_letters(self, records: list[Message]) -> None:
        letters = [_dead_letter(record) for record in records]
        self.dead_letters_seen += len(letters)
        if self._is_news(records[-1]):
            self.pulse.dead_letters += len(letters)
        # An event that was mended and sent again has its result, and that is the last word.
        self._keep(
            {
                letter.id: letter
                for letter in letters
                if not isinstance(self.outcomes.wait(letter.id, 0), SentimentResult)
            }
        )

    def _is_news(self, record: Message) -> bool:
        """Whether a record came while we were there, as far as clocks agree."""
        now, written = time.time(), record.timestamp()[1] / 1000
        if now < self._began + READING_BACK_S:
            return written > self._began
        return written > now - NEWS_S

    def _keep(self, outcomes: Mapping[str, Outcome]) -> None:
        self.outcomes.add(outcomes)
        self._tell_of(outcomes)

    def _watch_cluster(self) -> None:
        access = Access(self._settings)
        admin = kafka.new_admin(self._settings, access)
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
                    self.pulse.lag = lag.of(self._events, parts, WATCH_TIMEOUT_S)
            counts.append((time.monotonic(), self._live_results))
            (since, first), (now, last) = counts[0], counts[-1]
            self.results_per_second = round((last - first) / (now - since), 1)
            self._stopping.wait(WATCH_INTERVAL_S)
        lag.close()

    def _tell(self, unreachable: str) -> None:
        if bool(unreachable) != bool(self._unreachable):
            log.warning("Kafka is away" if unreachable else "Kafka answers", reason=unreachable)
        self._unreachable = unreachable


def _dead_letter(record: Message) -> DeadLetter:
    letter = letters.read(record)
    place = letter.input or Input("", -1, -1)
    try:
        name = msgspec.json.decode(record.value() or b"", type=_Named).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        name = ""
    return DeadLetter(
        id=name or events.name_of(place),
        code=letter.code or "unknown",
        message=letter.message,
        input=place,
    )
