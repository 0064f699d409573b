"""All windows of the trends: written through to a table, and summed up for readers."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, NamedTuple, Protocol

import msgspec
from msgspec import Meta, Struct

from sentiment import logs, times, wire
from sentiment.classify.tallies import MAX_BYTES, OTHER_SOURCE, row_bytes

# Sources and versions beyond these bounds share rows, so that windows fit into their memory whoever
# names sources; sums over all stay exact. The worst case, 300,000 rows of 250 bytes and 100,000
# windows of 500, is 125 MB. Beside 100 MB of a process with nothing, and as much again of records
# in hand and labels, it stays below the chart's 512 MiB.

OTHER_VERSION = OTHER_SOURCE
# In all windows together: each is a record for every window that changes, and a line of /sources.
MAX_SOURCES = 1000
# Versions in all windows together: more than a month of a new model every day.
MAX_VERSIONS = 40
# Of all windows of one length: rows kept for a day don't use up those kept for an hour.
MAX_NAME_ROWS = 100_000
# Rows beyond, for versions alone: a flood of sources must not mix models up.
SPARE_ROWS = 20_000


class Names:
    """The sources and versions that have rows."""

    def __init__(self) -> None:
        # One copy of each, for a row otherwise has its own.
        self.sources: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def choose(
        self, source: str, version: str, rows: int, *, is_full: bool = False
    ) -> tuple[str, str]:
        """The names to count under, for an event's source and the version that answered.

        This length has so many rows already; `is_full`: the window takes no other source.
        """
        if rows >= MAX_NAME_ROWS + SPARE_ROWS:
            return OTHER_SOURCE, OTHER_VERSION
        version = _known(self._versions, version, MAX_VERSIONS, OTHER_VERSION)
        if is_full or rows >= MAX_NAME_ROWS:
            return OTHER_SOURCE, version
        return _known(self.sources, source, MAX_SOURCES, OTHER_SOURCE), version

    def keep(self, used: Iterable[tuple[str, str]]) -> None:
        """Forget all but these sources and versions."""
        pairs = set(used)
        self.sources = {source: source for source, _ in pairs if source != OTHER_SOURCE}
        self._versions = {version: version for _, version in pairs if version != OTHER_VERSION}


def _known(known: dict[str, str], name: str, most: int, other: str) -> str:
    if name == other or (name not in known and len(known) >= most):
        return other
    return known.setdefault(name, name)


# A window holds what one input partition had in a span of time, and the offset up to which it
# covers that partition: a tally that is read twice is recognised by it. Tallies of a partition come
# in its order, and never overlap.

# Lengths of windows, in seconds: a look at the last minutes, at a day, at a month.
SIZES_S = (10, 60, 3600)
# How long they are kept, in seconds: an hour, a day, a month; 2,520 windows for each partition.
KEPT_S = {10: 3600, 60: 86_400, 3600: 30 * 86_400}
# Clocks of producers may be this far ahead of ours; later events have no window.
AHEAD_S = 3600
# Sources by versions in a window; `MAX_BYTES` bounds it too, so that it stays below 1 MiB.
MAX_ROWS = 1000
# A key is the name of a topic, of 4 bytes a character at most, and three numbers.
MAX_KEY_BYTES = 4 * wire.MAX_TOPIC_CHARS + 100
# Of each number in a row: as many rows as there can be have a sum below 2^63.
MAX_TOTAL = 10**13


class Key(NamedTuple):
    """Which window of which input partition."""

    size_s: int
    start: int
    topic: str
    partition: int

    def encode(self) -> bytes:
        """As the table's key."""
        return f"{self.size_s}:{self.start}:{self.partition}:{self.topic}".encode()

    @classmethod
    def decode(cls, key: bytes) -> "Key":
        """What `encode` made; a `ValueError` if it made no such key."""
        if len(key) > MAX_KEY_BYTES:
            raise ValueError("the key is too long")
        size, start, partition, topic = key.decode().split(":", 3)
        made = cls(int(size), int(start), topic, int(partition))
        if (
            made.size_s not in SIZES_S
            or not 0 <= made.start <= times.LATEST_MS // 1000
            or made.start % made.size_s
            or not 0 <= made.partition <= wire.MAX_PARTITION
        ):
            raise ValueError("the key names no window")
        return made


_Total = Annotated[int, Meta(ge=0, le=MAX_TOTAL)]


class Row(Struct, array_like=True):
    """What one source (empty: none) had of one version's answers, or while it served."""

    source: str
    version: str
    positive: _Total = 0
    negative: _Total = 0
    dead_letters: _Total = 0
    score_sum: float = 0.0
    latency_ms_sum: float = 0.0

    def add(self, other: "Row | wire.TallyCount") -> None:
        """Add what another one counted, with sums that as many results can have."""
        self.positive += other.positive
        self.negative += other.negative
        self.dead_letters += other.dead_letters
        events = other.positive + other.negative
        self.score_sum += min(max(other.score_sum, 0.0), events)
        self.latency_ms_sum += times.sum_of_ages_ms(other.latency_ms_sum, events)


class Window(Struct, array_like=True):
    """What a window holds up to an offset of its input partition; older ones lack its cluster."""

    next_offset: Annotated[int, Meta(ge=0, le=wire.MAX_OFFSET)] = 0
    rows: list[Row] = []
    cluster: str = ""

    def add(
        self,
        counts: Iterable[tuple[str, str, "Row | wire.TallyCount"]],
        names: Names,
        others: int,
    ) -> None:
        """Add counts by source and version; `others`: rows of the length's other windows."""
        rows = {(row.source, row.version): row for row in self.rows}
        taken: int | None = None
        for source, version, count in counts:
            row = rows.get((source, version))
            if row is None:
                if taken is None:
                    taken = sum(row_bytes(*place) for place in rows)
                place = names.choose(
                    source,
                    version,
                    others + len(rows),
                    is_full=len(rows) >= MAX_ROWS or taken >= MAX_BYTES,
                )
                row = rows.get(place)
                if row is None:
                    row = rows[place] = Row(*place)
                    self.rows.append(row)
                    taken += row_bytes(*place)
            row.add(count)


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Window).decode


def decode(value: bytes) -> Window:
    """What `encode` made; a `ValueError` if it made no such value."""
    try:
        return _decode(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def parts(tally: wire.Tally) -> dict[Key, list[wire.TallyCount]]:
    """The windows that a tally's counts belong to, each with its counts."""
    found: dict[Key, list[wire.TallyCount]] = {}
    for count in tally.counts:
        for size in SIZES_S:
            start = count.interval // size * size
            key = Key(size, start, tally.topic, tally.partition)
            found.setdefault(key, []).append(count)
    return found


def is_kept(size_s: int, start: int, now: float) -> bool:
    """Whether a window of that length has a place in the table at a time."""
    return start + size_s + KEPT_S[size_s] > now and start < now + AHEAD_S


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
    """The windows, decoded here and encoded in the table, of tallies that come from a cluster.

    The table may be changed while records are being processed alone.
    """

    def __init__(self, table: Table, cluster: str) -> None:
        self._table = table
        self._cluster = cluster
        self._windows: dict[Key, Window] = {}
        # Those that the table does not have as they are now; and those that it shall not have.
        self._changed: set[Key] = set()
        self._gone: set[Key] = set()
        self._names = Names()
        self._rows: Counter[int] = Counter()

    def recall(self, key: bytes, value: bytes | None) -> None:
        """Take in a record of the table's changelog; a `ValueError` if it is none of ours.

        Of two states of a window the one that covers more is the newer one: a process that was
        replaced may have written its own after its successor's. One of another cluster is none of
        ours: a client that waited for its brokers writes to those that are there, though rebuilt.
        """
        place = Key.decode(key)
        if value is None:
            self._drop(place)
            return
        left, present = decode(value), self._windows.get(place)
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

    def merge(self, tallies: Iterable[wire.Tally], now: float) -> int:
        """Add tallies to windows, once each; returns events that are too old or too far ahead."""
        left_out = 0
        for tally in tallies:
            for key, counts in parts(tally).items():
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
        self, key: Key, window: Window, counts: list[tuple[str, str, Row | wire.TallyCount]]
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
        if window := self._windows.pop(key, None):
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
        """Write what has changed, drop what is too old; returns the changed windows."""
        old = [key for key in self._windows if not is_kept(key.size_s, key.start, now)]
        if old:
            self._drop_all(old)
        for key in self._gone:
            self._table.pop(key.encode(), None)
        spans = {(key.size_s, key.start) for key in self._changed}
        for key in self._changed & self._windows.keys():
            self._table[key.encode()] = encode(self._windows[key])
        self._changed.clear()
        self._gone.clear()
        return spans

    def sources(self) -> list[str]:
        """All sources in any window, in alphabetical order."""
        return sorted({row.source for window in self._windows.values() for row in window.rows})

    def trends(
        self, spans: Iterable[Span], source: str | None = ALL, *, each: bool = False
    ) -> Iterator[wire.Trend]:
        """The trends of windows in order: of one source, of all together, and then of `each`."""
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


def _trend(span: Span, source: str | None, rows: list[Row]) -> wire.Trend:
    by_version: dict[str, list[Row]] = {}
    for row in rows:
        by_version.setdefault(row.version, []).append(row)
    models = {version: _counts(by_version[version]) for version in sorted(by_version)}
    return wire.Trend(span[0], span[1], source, _counts(rows), models)


def _counts(rows: Iterable[Row]) -> wire.TrendCounts:
    total = Row("", "")
    for row in rows:
        total.add(row)
    events = total.positive + total.negative
    return wire.TrendCounts(
        events=events,
        positive=total.positive,
        dead_letters=total.dead_letters,
        positive_share=total.positive / events if events else None,
        mean_score=total.score_sum / events if events else None,
        mean_latency_ms=total.latency_ms_sum / events if events else None,
    )
