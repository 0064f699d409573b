"""One window of the trends, as its table keeps it, and how a tally comes into it.

A window holds what one input partition had in a span of time. It also holds the offset up to which
it covers that partition, in the same value: a tally that is read twice is recognised by it. Tallies
of a partition come in its order, and never overlap.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from sentiment import times
from sentiment.counts import MAX_OFFSET, MAX_PARTITION, MAX_TOPIC_CHARS, Tally, TallyCount
from stream_worker.tallies import MAX_BYTES, row_bytes
from stream_worker.trends.names import Names

# Lengths of windows, in seconds: a look at the last minutes, at a day, at a month.
SIZES_S = (10, 60, 3600)
# How long windows of each length are kept, in seconds: an hour, a day, a month. These are 360 +
# 1,440 + 720 windows for each input partition.
KEPT_S = {10: 3600, 60: 86_400, 3600: 30 * 86_400}
# Clocks of producers may be this far ahead of ours; later events have no window.
AHEAD_S = 3600
# Sources by model versions in one window; `MAX_BYTES` bounds it too, so that its value stays below
# Kafka's 1 MiB.
MAX_ROWS = 1000
# A key is the name of a topic, of 4 bytes a character at most, and three numbers.
MAX_KEY_BYTES = 4 * MAX_TOPIC_CHARS + 100
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
        """What `encode` made.

        Raises:
            ValueError: It made no such key.
        """
        if len(key) > MAX_KEY_BYTES:
            raise ValueError("the key is too long")
        size, start, partition, topic = key.decode().split(":", 3)
        made = cls(int(size), int(start), topic, int(partition))
        if (
            made.size_s not in SIZES_S
            or not 0 <= made.start <= times.LATEST_MS // 1000
            or made.start % made.size_s
            or not 0 <= made.partition <= MAX_PARTITION
        ):
            raise ValueError("the key names no window")
        return made


_Total = Annotated[int, Meta(ge=0, le=MAX_TOTAL)]


class Row(Struct, array_like=True):
    """What one source had of one model's answers.

    Attributes:
        source: The events' source; empty where they have none.
        version: Of the model that answered.
        positive: Results.
        negative: Results.
        dead_letters: Events without a result; of the model that served then.
        score_sum: Sum of the results' scores.
        latency_ms_sum: Sum of the times from event to classification, in ms.
    """

    source: str
    version: str
    positive: _Total = 0
    negative: _Total = 0
    dead_letters: _Total = 0
    score_sum: float = 0.0
    latency_ms_sum: float = 0.0

    def add(self, other: "Row | TallyCount") -> None:
        """Add what another one counted, with sums that as many results can have."""
        self.positive += other.positive
        self.negative += other.negative
        self.dead_letters += other.dead_letters
        events = other.positive + other.negative
        self.score_sum += min(max(other.score_sum, 0.0), events)
        self.latency_ms_sum += times.sum_of_ages_ms(other.latency_ms_sum, events)


class Window(Struct, array_like=True):
    """What a window holds.

    Attributes:
        next_offset: One after the last offset of the input partition that is in it.
        rows: By source and model version.
        cluster: Kafka's id of the cluster with that partition; empty from older versions.
    """

    next_offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] = 0
    rows: list[Row] = []
    cluster: str = ""

    def add(
        self,
        counts: Iterable[tuple[str, str, "Row | TallyCount"]],
        names: Names,
        others: int,
    ) -> None:
        """Add counts, each to the row that its source and version have here.

        Args:
            counts: Source, version and count.
            names: Those that may have rows of their own.
            others: Rows of all other windows of this length.
        """
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
    """What `encode` made.

    Raises:
        ValueError: It made no such value.
    """
    try:
        return _decode(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def parts(tally: Tally) -> Iterator[tuple[Key, list[TallyCount]]]:
    """The windows that a tally's counts belong to, each with its counts."""
    found: dict[Key, list[TallyCount]] = {}
    for count in tally.counts:
        for size in SIZES_S:
            start = count.interval // size * size
            key = Key(size, start, tally.topic, tally.partition)
            found.setdefault(key, []).append(count)
    return iter(found.items())


def is_kept(size_s: int, start: int, now: float) -> bool:
    """Whether a window of that length has a place in the table at a time."""
    return start + size_s + KEPT_S[size_s] > now and start < now + AHEAD_S
