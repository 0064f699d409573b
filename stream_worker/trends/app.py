"""The Faust app of the trends: tallies in, windows kept in a table, trends out.

Faust is at-least-once. The sums are exact all the same: what is read twice is recognised by the
offsets in the windows, and what is read is acknowledged only when the table's changelog, which a
start reads the windows from, has it on the brokers.
"""

import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable

import faust
import msgspec
from faust.types import EventT, StreamT
from faust.web import Request, Response, View
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sentiment import logs
from sentiment.errors import SentimentError, TopicError
from sentiment.feedback import Labels
from sentiment.health import HealthServer, Start
from sentiment.interrupts import end_at_once, end_by_fault, end_in_time
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import Follower
from sentiment.settings import Settings
from sentiment.wire import Tally, Trend, decode_tally, encode
from stream_worker import metrics
from stream_worker.trends.book import KEPT_S, SIZES_S, Book, Span
from stream_worker.trends.reading import brokers, credentials, read_committed
from stream_worker.trends.settings import TrendsSettings

log = logs.get(__name__)

TABLE = "windows"
# Most tallies that are merged at a time, and how long the first of them waits for the others. A
# record may have 1 MiB: with those that wait, they take 100 MiB at most.
TAKE, TAKE_S, WAITING = 50, 0.2, 50
# Records of the changelog that Faust keeps for a table of its own, which there is none of.
RECOVERED = 10
# How often what has changed is published; the shortest window is ten times as long.
PUBLISH_S = 1.0
# After a start, windows as old as this are published again: their last change may not have been.
AGAIN_S = 7200.0
# Trends that are published in one go; what is left is published a second later. A window of each
# length changes every second, with 1,000 sources each.
PUBLISH_MOST = 5000
# Kubernetes gives 30 s between SIGTERM and SIGKILL.
STOP_S = 20.0
# How often the brokers are asked whether the tallies' topic is still the same.
LOOK_S = 15.0
# A broker that has just started learns of its topics within seconds; after this, one is gone.
GONE_S = 60.0


class _Changelog(faust.Table[bytes, bytes]):
    """A table that is its changelog only: the book has what would be in it."""

    def partition_for_key(self, _: object) -> int:
        """Where a key's changes go: a batch of records has no partition to take it from."""
        return 0

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.on_key_set(key, value)

    def pop(self, key: bytes, default: None = None) -> None:  # type: ignore[override]  # no value
        del default
        self.on_key_del(key)

    def apply_changelog_batch(self, _: object) -> None:
        """Keep nothing."""


class Trends:
    """The app and its windows of this cluster; `is_same`: the tallies' topic still is, for sure."""

    def __init__(self, settings: Settings, cluster: str, is_same: Callable[[], bool]) -> None:
        names, own = settings.topics, settings.of(TrendsSettings)
        self.app = faust.App(
            own.group_id,
            # Faust would put variables of the environment above what is said here.
            env={},
            broker=brokers(settings.kafka),
            broker_credentials=credentials(settings.kafka),
            broker_commit_interval=1.0,
            broker_session_timeout=own.session_timeout_s,
            broker_heartbeat_interval=own.session_timeout_s / 4,
            consumer_auto_offset_reset="earliest",
            key_serializer="raw",
            value_serializer="raw",
            store="memory://",
            Table=_Changelog,
            stream_buffer_maxsize=WAITING,
            # Faust makes this folder even where a table needs none.
            datadir=tempfile.mkdtemp(prefix="sentiment-trends-"),
            # `sentiment topics` makes the topics, with the cluster's replication.
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_bind=own.http_host,
            web_host=own.http_host,
            web_port=own.http_port,
            web_cors_options=None,
        )
        read_committed(self.app)
        tallies = self.app.topic(names.tallies, key_type=bytes, value_type=bytes)
        self._trends = self.app.topic(names.trends, key_type=bytes, value_type=bytes)
        table = self.app.Table(
            TABLE,
            partitions=1,
            recovery_buffer_size=RECOVERED,
            key_type=bytes,
            value_type=bytes,
            on_changelog_event=self._recall,
        )
        self.book = Book(table, cluster)
        self._is_same = is_same
        # The topic of people's labels is a table already; Faust's own would be a second copy.
        self.labels = Labels()
        self.feedback = Follower(settings.kafka, names.feedback, None, self.labels.take)
        self._due: set[Span] = set()
        self.app.on_rebalance_complete.connect(self._begin_again, weak=False)
        self.app.agent(tallies, name="merge")(self._merge)
        self.app.timer(PUBLISH_S)(self._publish)
        add_views(self.app, self.book, self.labels, lambda: self.feedback.trouble)

    async def _recall(self, event: EventT[bytes]) -> None:
        place = event.message
        with end_by_fault():
            try:
                self.book.recall(place.key or b"", place.value)
            except ValueError as error:
                # Any writer of the topic may write anything.
                _tell("no window", event, error)

    async def _begin_again(self, *_: object, **__: object) -> None:
        """After a start and after each rebalance, with all of the changelog read."""
        # Nothing is read before: what we have counted would hide what a rebuilt cluster has.
        await self.app.consumer.confirm(self._is_same)  # type: ignore[attr-defined]  # it is ours
        self.book.write_again()
        for size in SIZES_S:
            self._due.update(self.book.spans(size, time.time() - AGAIN_S))

    async def _merge(self, stream: StreamT[bytes]) -> AsyncIterator[None]:
        take = stream.noack_take(TAKE, TAKE_S)  # type: ignore[attr-defined]  # Faust forgot its type
        async for events in take:
            with end_by_fault():
                now = time.time()
                metrics.TREND_EVENTS_LEFT_OUT.inc(self.book.merge(_tallies(events), now))
                self._due |= self.book.save(now)
                # Not before the changelog is on the brokers may the tallies count as read.
                await self.app.producer.flush()
                for event in events:
                    event.ack()
                metrics.TREND_TALLIES.inc(len(events))
                # A worker's clock that is ahead must not hide for so long that nothing comes.
                written = max(event.message.timestamp for event in events)
                metrics.TREND_MERGED.set(min(written, now))
            yield

    async def _publish(self) -> None:
        with end_by_fault():
            due, self._due = self._due, set()
            for sent, trend in enumerate(self.book.trends(due, each=True)):
                span = trend.window_s, trend.start
                if span in due and sent >= PUBLISH_MOST:
                    self._due |= due
                    break
                # A window is published whole.
                due.discard(span)
                await self._trends.send(key=_key(trend), value=encode(trend))


def _tallies(events: Iterable[EventT[bytes]]) -> Iterable[Tally]:
    for event in events:
        try:
            yield decode_tally(event.value)
        except ValueError as error:
            # Anybody may write there; the workers write nothing else but tallies.
            metrics.TREND_TALLIES_REFUSED.inc()
            _tell("no tally", event, error)


def _tell(what: str, event: EventT[bytes], error: ValueError) -> None:
    place = event.message
    log.error(what, partition=place.partition, offset=place.offset, reason=str(error))


def _key(trend: Trend) -> bytes:
    key = f"{trend.window_s}:{trend.start}"
    return (key if trend.source is None else f"{key}:{trend.source}").encode()


# What is shown where nothing is asked for: as many windows as a chart has points.
SHOWN = 60
# Versions with series of labels, four each: champion, challenger, and what they are compared with.
LABELLED = 10


def add_views(app: faust.App, book: Book, labels: Labels, trouble: Callable[[], str]) -> None:
    """Give an app its pages; `trouble` says why nothing can be read now, or nothing."""

    @app.page("/trends")
    async def trends(view: View, request: Request) -> Response:
        try:
            size, since, source = _asked(dict(request.query))
        except ValueError as error:
            return _json(view, {"error": str(error)}, status=400)
        found = book.trends(book.spans(size, since), source)
        return _json(view, {"window_s": size, "source": source, "trends": list(found)})

    @app.page("/sources")
    async def sources(view: View, _: Request) -> Response:
        return _json(view, {"sources": book.sources()})

    @app.page("/accuracy")
    async def accuracy(view: View, _: Request) -> Response:
        return _json(view, {"models": labels.accuracy()})

    @app.page("/metrics")
    async def scrape(view: View, _: Request) -> Response:
        # Those of the versions before would stay.
        metrics.FEEDBACK_LABELS.clear()
        for (version, sentiment, label), count in labels.counts(LABELLED).items():
            metrics.FEEDBACK_LABELS.labels(version, sentiment, label).set(count)
        body = generate_latest(metrics.TRENDS.shown)
        return view.bytes(body, content_type=CONTENT_TYPE_LATEST.partition(";")[0])

    @app.page("/livez")
    async def alive(view: View, _: Request) -> Response:
        return view.text("ok")

    @app.page("/readyz")
    async def ready(view: View, _: Request) -> Response:
        reason = trouble()
        return view.text(reason or "ok", status=503 if reason else 200)

    del trends, sources, accuracy, scrape, alive, ready


def _asked(query: dict[str, str]) -> tuple[int, float, str | None]:
    """Length of the windows, since when, and which source; a `ValueError` where one can't be."""
    size = _number(query, "window", SIZES_S[0])
    if size not in SIZES_S:
        raise ValueError(f"window={size} is none of {', '.join(map(str, SIZES_S))}")
    seconds = _number(query, "seconds", SHOWN * size)
    return int(size), time.time() - min(seconds, KEPT_S[int(size)]), query.get("source")


def _number(query: dict[str, str], name: str, default: float) -> float:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len("1000000000"):
        raise ValueError(f"{name}={text[:20]!r} is no whole number")
    return int(text)


def _json(view: View, value: object, status: int = 200) -> Response:
    body = msgspec.json.format(encode(value), indent=0)
    return view.bytes(body, content_type="application/json", status=status)


class _Worker(faust.Worker):
    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Log as all of our programs do: Faust has just set up its own way."""
        del logger, level
        logs.configure()
        for chatty in ("faust", "mode", "aiokafka"):
            logging.getLogger(chatty).setLevel(logging.WARNING)

    async def stop(self) -> None:
        """End, whether by a signal or a crash, and in the middle of a start that waits as well."""
        end_in_time(STOP_S)
        await super().stop()


def run(settings: Settings) -> None:
    """Run the app until SIGTERM or SIGINT; a `SentimentError` where it can't begin, or go on."""
    end_at_once()
    names, own = settings.topics, settings.of(TrendsSettings)
    needed = (names.tallies, names.trends, names.feedback, own.windows)
    start = Start()
    # Faust's own server takes its place.
    health = HealthServer(
        own.http_host, own.http_port, lambda: "", lambda: start.waits_for, metrics.TRENDS
    )
    health.start()
    try:
        start.made(lambda: topics.require(settings, *needed))
        known = start.made(lambda: topics.identity(settings.kafka, names.tallies))
        cluster = str(start.made(lambda: clients.describe_cluster(settings.kafka)).cluster_id)
    finally:
        health.stop()
    watch = _Watch(settings, known)
    watch.start()
    trends = Trends(settings, cluster, watch.is_same)
    trends.feedback.start()
    worker = _Worker(trends.app, loglevel="INFO", redirect_stdouts=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit:
        if not watch.made_anew.is_set():
            raise
    if watch.made_anew.is_set():
        raise TopicError(
            f"Topic {names.tallies!r} at {settings.kafka.bootstrap_servers} is gone, or another one"
            " than at our start: it, or the whole cluster, was made anew.",
            "Start again, to begin with what is there now.",
        )


class _Watch(threading.Thread):
    """Ends the process when the tallies' topic is another: its offsets would count as processed."""

    def __init__(self, settings: Settings, known: topics.Identity) -> None:
        super().__init__(name="watch", daemon=True)
        self._settings = settings
        self._known = known
        self._gone_since: float | None = None
        self.made_anew = threading.Event()

    def run(self) -> None:
        while not self.made_anew.wait(LOOK_S):
            self.is_same()

    def is_same(self) -> bool:
        """Whether the topic is that of our start for sure; where it never will be, we end."""
        try:
            found = topics.identity(self._settings.kafka, self._settings.topics.tallies).id
        except TopicError as error:
            log.warning("the topic is gone", reason=error.message)
            self._gone_since = self._gone_since or time.monotonic()
            if time.monotonic() - self._gone_since < GONE_S:
                return False
            found = ""
        except SentimentError as error:
            log.info("the brokers don't tell", reason=error.message)
            return False
        else:
            self._gone_since = None
        if found != self._known.id and not self.made_anew.is_set():
            self.made_anew.set()
            os.kill(os.getpid(), signal.SIGTERM)
        return found == self._known.id
