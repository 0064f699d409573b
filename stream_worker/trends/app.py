"""The Faust app of the trends: tallies in, windows kept in a table, trends out.

Faust is at-least-once. The sums are exact all the same: what is read twice is recognised by the
offsets in the windows, and what is read is acknowledged only when the table's changelog, which a
start reads the windows from, has it on the brokers.
"""

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable

import faust
import msgspec
from faust.types import EventT, StreamT
from faust.web import Request, Response, View
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sentiment import logs
from sentiment.feedback import Labels
from sentiment.interrupts import end_by_fault
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


class _Changelog(faust.Table[bytes, bytes]):
    """A table that is its changelog only: the book has what would be in it."""

    def partition_for_key(self, key: object) -> int:
        """Where a key's changes go: a batch of records has no partition to take it from."""
        del key
        return 0

    def __setitem__(self, key: bytes, value: bytes) -> None:
        """Write a value."""
        self.on_key_set(key, value)

    def pop(self, key: bytes, default: None = None) -> None:  # type: ignore[override]  # no value
        """Write that there is none."""
        del default
        self.on_key_del(key)

    def apply_changelog_batch(self, batch: object) -> None:
        """Keep nothing."""
        del batch


class Trends:
    """The app and its windows.

    Args:
        settings: The settings tree.
        cluster: Kafka's id of the cluster, whose windows alone are recalled.
        is_same: Whether the tallies' topic is still that of the start, for sure; asks the brokers.
    """

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
        with end_by_fault():
            self._recall_one(event)

    def _recall_one(self, event: EventT[bytes]) -> None:
        place = event.message
        try:
            self.book.recall(place.key or b"", place.value)
        except ValueError as error:
            # Whoever may write there may write anything.
            log.error(  # noqa: TRY400 - a sentence; the traceback says no more
                "no window", partition=place.partition, offset=place.offset, reason=str(error)
            )

    async def _begin_again(self, *arguments: object, **named: object) -> None:
        """After a start and after each rebalance, with all of the changelog read."""
        del arguments, named
        # Nothing is read before: what we have counted would hide what a rebuilt cluster has.
        await self.app.consumer.confirm(self._is_same)  # type: ignore[attr-defined]  # it is ours
        self.book.write_again()
        for size in SIZES_S:
            self._due.update(self.book.spans(size, time.time() - AGAIN_S))

    async def _merge(self, stream: StreamT[bytes]) -> AsyncIterator[None]:
        take = stream.noack_take(TAKE, TAKE_S)  # type: ignore[attr-defined]  # Faust forgot its type
        async for events in take:
            with end_by_fault():
                await self._merge_all(events)
            yield

    async def _merge_all(self, events: list[EventT[bytes]]) -> None:
        now = time.time()
        left_out = self.book.merge(_tallies(events), now)
        metrics.TREND_EVENTS_LEFT_OUT.inc(left_out)
        self._due |= self.book.save(now)
        # Not before the changelog is on the brokers may the tallies count as read.
        await self.app.producer.flush()
        for event in events:
            event.ack()
        metrics.TREND_TALLIES.inc(len(events))
        # A worker's clock that is ahead must not hide for so long that nothing comes.
        written = max(event.message.timestamp for event in events)
        metrics.TREND_MERGED.set(min(written, now))

    async def _publish(self) -> None:
        with end_by_fault():
            await self._publish_due()

    async def _publish_due(self) -> None:
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
            place = event.message
            log.error(  # noqa: TRY400 - a sentence; the traceback says no more
                "no tally", partition=place.partition, offset=place.offset, reason=str(error)
            )


def _key(trend: Trend) -> bytes:
    key = f"{trend.window_s}:{trend.start}"
    return (key if trend.source is None else f"{key}:{trend.source}").encode()


# The trends as JSON, served by Faust's own web server.


# What is shown where nothing is asked for: as many windows as a chart has points.
SHOWN = 60
# Versions that there are series of labels for: the champion, a challenger, and those that they are
# compared with. Each is four series, and a registry has more versions every week.
LABELLED = 10


class RefusedError(Exception):
    """A parameter that can't be; the message says which."""


def add_views(app: faust.App, book: Book, labels: Labels, trouble: Callable[[], str]) -> None:
    """Give an app its pages: `/trends`, `/sources`, `/accuracy`, `/metrics`, `/livez`, `/readyz`.

    Args:
        app: The app.
        book: The windows.
        labels: People's labels.
        trouble: Why nothing can be read now; empty while it can.
    """

    @app.page("/trends")
    async def trends(view: View, request: Request) -> Response:
        try:
            size, since, source = _asked(dict(request.query))
        except RefusedError as error:
            return _json(view, {"error": str(error)}, status=400)
        found = book.trends(book.spans(size, since), source)
        return _json(view, {"window_s": size, "source": source, "trends": list(found)})

    @app.page("/sources")
    async def sources(view: View, request: Request) -> Response:
        del request
        return _json(view, {"sources": book.sources()})

    @app.page("/accuracy")
    async def accuracy(view: View, request: Request) -> Response:
        del request
        return _json(view, {"models": labels.accuracy()})

    @app.page("/metrics")
    async def scrape(view: View, request: Request) -> Response:
        del request
        # Those of the versions before would stay.
        metrics.FEEDBACK_LABELS.clear()
        for (version, sentiment, label), count in labels.counts(LABELLED).items():
            metrics.FEEDBACK_LABELS.labels(version, sentiment, label).set(count)
        body = generate_latest(metrics.TRENDS.shown)
        return view.bytes(body, content_type=CONTENT_TYPE_LATEST.partition(";")[0])

    @app.page("/livez")
    async def alive(view: View, request: Request) -> Response:
        del request
        return view.text("ok")

    @app.page("/readyz")
    async def ready(view: View, request: Request) -> Response:
        del request
        reason = trouble()
        return view.text(reason or "ok", status=503 if reason else 200)

    del trends, sources, accuracy, scrape, alive, ready


def _asked(query: dict[str, str]) -> tuple[int, float, str | None]:
    """Length of the windows, since when, and which source; None for all together."""
    size = _number(query, "window", SIZES_S[0])
    if size not in SIZES_S:
        raise RefusedError(f"window={size} is none of {', '.join(map(str, SIZES_S))}")
    seconds = _number(query, "seconds", SHOWN * size)
    return int(size), time.time() - min(seconds, KEPT_S[int(size)]), query.get("source")


def _number(query: dict[str, str], name: str, default: float) -> float:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len("1000000000"):
        raise RefusedError(f"{name}={text[:20]!r} is no whole number")
    return int(text)


def _json(view: View, value: object, status: int = 200) -> Response:
    body = msgspec.json.format(encode(value), indent=0)
    return view.bytes(body, content_type="application/json", status=status)
