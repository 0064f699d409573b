"""All windows of the trends: written through to a table, and summed up for readers."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

from sentiment import logs
from sentiment.counts import Tally, TallyCount, Trend, TrendCounts
from stream_worker.trends import windows
from stream_worker.trends.names import Names
from stream_worker.trends.windows import Key, Row, Window, is_kept, parts

# Stands for all sources together.
ALL = None
Span = tuple[int, int]
# Windows of all lengths: those of 39 input partitions with events at all times. With more of them,
# or with tallies that name any partition, the oldest of the shortest go before their time.
MAX_WINDOWS = 100_000
# What is left then, so that it is rare.
LEFT_WINDOWS = 90_000

log = logs.get(__name__)


class Table(Protocol):
    """Where windows are written to, as to a dictionary."""

    def __setitem__(self, key: bytes, value: bytes, /) -> None:
        """Write a window."""

    def pop(self, key: bytes, default: None, /) -> object:
        """Take one out, if it is there."""


class Book:
    """Keeps the windows, each decoded here and encoded in the table.

    Args:
        table: Where they are kept; may be changed while records are being processed alone.
        cluster: Kafka's id of the cluster that the tallies come from.
    """

    def __init__(self, table: Table, cluster: str) -> None:
        self._table = table
        self._cluster = cluster
        self._windows: dict[Key, Window] = {}
        # Those that the table does not have as they are now; and those that it shall not have.
        self._changed: set[Key] = set()
        self._gone: set[Key] = set()
        self._names = Names()
        # By the length of their windows.
        self._rows: Counter[int] = Counter()

    def recall(self, key: bytes, value: bytes | None) -> None:
        """Take in a record of the table's changelog, as at a start.

        Of two states of a window the one that covers more is the newer one: a process that was
        replaced may have written its own after its successor's. One of another cluster is none of
        ours: a client that waited for its brokers writes to those that are there, though rebuilt.

        Raises:
            ValueError: It is none of ours; nothing is changed.
        """
        place = Key.decode(key)
        if value is None:
            self._drop(place)
            return
        left, present = windows.decode(value), self._windows.get(place)
        if left.cluster not in {"", self._cluster}:
            return
        if present is None or left.next_offset > present.next_offset:
            self._drop(place)
            window = self._window(place)
            window.next_offset = left.next_offset
            self._add(place, window, [(row.source, row.version, row) for row in left.rows])
            self._shorten()

    def write_again(self) -> None:
        """Have all windows written by the next `save`: the changelog may lack their last state."""
        self._changed.update(self._windows)

    def merge(self, tallies: Iterable[Tally], now: float) -> int:
        """Add tallies to their windows; what is there already changes nothing.

        Returns:
            How many events have no window, because it would be too old or too far ahead.
        """
        left_out = 0
        for tally in tallies:
            for key, counts in parts(tally):
                if not is_kept(key.size_s, key.start, now):
                    left_out += sum(c.positive + c.negative + c.dead_letters for c in counts)
                    continue
                window = self._window(key)
                if tally.next_offset <= window.next_offset:
                    continue
                window.next_offset = tally.next_offset
                version = tally.model.version
                self._add(key, window, [(c.source, c.challenger or version, c) for c in counts])
                self._changed.add(key)
            self._shorten()
        return left_out

    def _window(self, key: Key) -> Window:
        return self._windows.setdefault(key, Window(cluster=self._cluster))

    def _add(
        self, key: Key, window: Window, counts: list[tuple[str, str, Row | TallyCount]]
    ) -> None:
        others = self._rows[key.size_s] - len(window.rows)
        window.add(counts, self._names, others)
        self._rows[key.size_s] = others + len(window.rows)

    def _shorten(self) -> None:
        """Keep to `MAX_WINDOWS`."""
        if len(self._windows) <= MAX_WINDOWS:
            return
        surplus = sorted(self._windows)[: len(self._windows) - LEFT_WINDOWS]
        log.warning("too many windows; the oldest of the shortest go", windows=len(surplus))
        self._drop_all(surplus)

    def _drop(self, key: Key) -> None:
        window = self._windows.pop(key, None)
        if window is not None:
            self._rows[key.size_s] -= len(window.rows)

    def _drop_all(self, keys: Iterable[Key]) -> None:
        """Drop windows for good, and the names that no other one has."""
        for key in keys:
            self._drop(key)
            self._gone.add(key)
        self._names.keep(
            (row.source, row.version) for window in self._windows.values() for row in window.rows
        )

    def save(self, now: float) -> set[Span]:
        """Write what has changed to the table, and drop what is too old.

        Returns:
            The windows that changed, by length and start.
        """
        old = [key for key in self._windows if not is_kept(key.size_s, key.start, now)]
        if old:
            self._drop_all(old)
        for key in self._gone:
            self._table.pop(key.encode(), None)
        spans = {(key.size_s, key.start) for key in self._changed}
        for key in self._changed & self._windows.keys():
            self._table[key.encode()] = windows.encode(self._windows[key])
        self._changed.clear()
        self._gone.clear()
        return spans

    def sources(self) -> list[str]:
        """All sources in any window, in alphabetical order."""
        return sorted({row.source for window in self._windows.values() for row in window.rows})

    def trends(
        self, spans: Iterable[Span], source: str | None = ALL, *, each: bool = False
    ) -> Iterator[Trend]:
        """The trends of windows, in their order.

        Args:
            spans: Length and start of each.
            source: Of this source alone.
            each: Of every source, after that of all together.
        """
        wanted = set(spans)
        rows: dict[Span, list[Row]] = {}
        for key, window in self._windows.items():
            if (span := (key.size_s, key.start)) in wanted:
                rows.setdefault(span, []).extend(window.rows)
        for span in sorted(rows):
            found = rows[span]
            by_source: dict[str, list[Row]] = {}
            for row in found:
                by_source.setdefault(row.source, []).append(row)
            asked = found if source is ALL else by_source.get(source, [])
            if asked:
                yield _trend(span, source, asked)
            for name in sorted(by_source) if each else ():
                yield _trend(span, name, by_source[name])

    def spans(self, size_s: int, since: float) -> list[Span]:
        """The windows of a length that end after a time, in order."""
        found = {(key.size_s, key.start) for key in self._windows if key.size_s == size_s}
        return sorted(span for span in found if span[1] + size_s > since)


def _trend(span: Span, source: str | None, rows: list[Row]) -> Trend:
    by_version: dict[str, list[Row]] = {}
    for row in rows:
        by_version.setdefault(row.version, []).append(row)
    models = {version: _counts(by_version[version]) for version in sorted(by_version)}
    return Trend(span[0], span[1], source, _counts(rows), models)


def _counts(rows: Iterable[Row]) -> TrendCounts:
    total = Row("", "")
    for row in rows:
        total.add(row)
    events = total.positive + total.negative
    return TrendCounts(
        events=events,
        positive=total.positive,
        dead_letters=total.dead_letters,
        positive_share=total.positive / events if events else None,
        mean_score=total.score_sum / events if events else None,
        mean_latency_ms=total.latency_ms_sum / events if events else None,
    )
