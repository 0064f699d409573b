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

from sentiment import logs, metrics
from sentiment.counts import Tally, Trend, decode_tally
from sentiment.events import encode
from sentiment.feedback import Labels
from sentiment.follower import Follower
from sentiment.settings import Settings
from stream_worker.trends.book import Book, Span
from stream_worker.trends.reading import brokers, credentials, read_committed
from stream_worker.trends.views import add_views
from stream_worker.trends.windows import SIZES_S

log = logs.get(__name__)

TABLE = "windows"
# Most tallies that are merged at a time, and how long the first of them waits for the others.
TAKE, TAKE_S = 2000, 0.2
# How often what has changed is published; the shortest window is ten times as long.
PUBLISH_S = 1.0
# After a start, windows as old as this are published again: their last change may not have been.
AGAIN_S = 7200.0


class _OnePartition(faust.Table[bytes, bytes]):
    """Faust takes the partition from the record at hand, and a batch of records has none."""

    def partition_for_key(self, key: object) -> int:
        """Where a key's changes go."""
        del key
        return 0


class Trends:
    """The app and its windows.

    Args:
        settings: The settings tree.
        cluster: Kafka's id of the cluster, whose windows alone are recalled.
        is_same: Whether the tallies' topic is still that of the start, for sure; asks the brokers.
    """

    def __init__(self, settings: Settings, cluster: str, is_same: Callable[[], bool]) -> None:
        names, own = settings.topics, settings.trends
        self.app = faust.App(
            own.group_id,
            broker=brokers(settings.kafka),
            broker_credentials=credentials(settings.kafka),
            broker_commit_interval=1.0,
            broker_session_timeout=own.session_timeout_s,
            broker_heartbeat_interval=own.session_timeout_s / 4,
            consumer_auto_offset_reset="earliest",
            key_serializer="raw",
            value_serializer="raw",
            store="memory://",
            Table=_OnePartition,
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
        if event.message.key:
            self.book.recall(event.message.key, event.message.value)

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
            yield

    async def _publish(self) -> None:
        due, self._due = self._due, set()
        for trend in self.book.trends(due, each=True):
            await self._trends.send(key=_key(trend), value=encode(trend))


def _tallies(events: Iterable[EventT[bytes]]) -> Iterable[Tally]:
    for event in events:
        try:
            yield decode_tally(event.value)
        except msgspec.DecodeError as error:
            # Anybody may write there; the workers write nothing else but tallies.
            metrics.TREND_TALLIES_REFUSED.inc()
            place = event.message
            log.error(  # noqa: TRY400 - a sentence; the traceback says no more
                "no tally", partition=place.partition, offset=place.offset, reason=str(error)
            )


def _key(trend: Trend) -> bytes:
    key = f"{trend.window_s}:{trend.start}"
    return (key if trend.source is None else f"{key}:{trend.source}").encode()
