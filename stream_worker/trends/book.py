"""All windows of the trends: written through to a table, and summed up for readers."""

from collections.abc import Iterable, Iterator, MutableMapping

from sentiment.counts import Tally, Trend, TrendCounts
from stream_worker.trends import windows
from stream_worker.trends.windows import Key, Row, Window, is_kept, parts

# Stands for all sources together.
ALL = None
Span = tuple[int, int]


class Book:
    """Keeps the windows, each decoded here and encoded in the table.

    Args:
        table: Where they are kept; may be changed while records are being processed alone.
        cluster: Kafka's id of the cluster that the tallies come from.
    """

    def __init__(self, table: MutableMapping[bytes, bytes], cluster: str) -> None:
        self._table = table
        self._cluster = cluster
        self._windows: dict[Key, Window] = {}
        self._changed: set[Key] = set()

    def recall(self, key: bytes, value: bytes | None) -> None:
        """Take in a record of the table's changelog, as at a start.

        Of two states of a window the one that covers more is the newer one: a process that was
        replaced may have written its own after its successor's. One of another cluster is none of
        ours: a client that waited for its brokers writes to those that are there, though rebuilt.
        """
        place = Key.decode(key)
        if value is None:
            self._windows.pop(place, None)
            return
        window, present = windows.decode(value), self._windows.get(place)
        if window.cluster not in {"", self._cluster}:
            return
        window.cluster = self._cluster
        if present is None or window.next_offset > present.next_offset:
            self._windows[place] = window

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
                elif self._window(key).add(tally, counts):
                    self._changed.add(key)
        return left_out

    def _window(self, key: Key) -> Window:
        return self._windows.setdefault(key, Window(cluster=self._cluster))

    def save(self, now: float) -> set[Span]:
        """Write what has changed to the table, and drop what is too old.

        Returns:
            The windows that changed, by length and start.
        """
        for key in self._changed:
            self._table[key.encode()] = windows.encode(self._windows[key])
        for key in [key for key in self._windows if not is_kept(key.size_s, key.start, now)]:
            del self._windows[key]
            self._table.pop(key.encode(), None)
        spans = {(key.size_s, key.start) for key in self._changed}
        self._changed.clear()
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
            names = sorted({row.source for row in found}) if each else []
            for name in (source, *names):
                own = [row for row in found if name is ALL or row.source == name]
                if own:
                    yield _trend(span, name, own)

    def spans(self, size_s: int, since: float) -> list[Span]:
        """The windows of a length that end after a time, in order."""
        found = {(key.size_s, key.start) for key in self._windows if key.size_s == size_s}
        return sorted(span for span in found if span[1] + size_s > since)


def _trend(span: Span, source: str | None, rows: list[Row]) -> Trend:
    versions = sorted({row.version for row in rows})
    models = {
        version: _counts([row for row in rows if row.version == version]) for version in versions
    }
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
