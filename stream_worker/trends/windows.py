"""One window of the trends, as its table keeps it, and how a tally comes into it.

A window holds what one input partition had in a span of time. It also holds the offset up to which
it covers that partition, in the same value: a tally that is read twice is recognised by it. Tallies
of a partition come in its order, and never overlap.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from sentiment import times
from sentiment.counts import Tally, TallyCount
from stream_worker.tallies import OTHER_SOURCE

# Lengths of windows, in seconds: a look at the last minutes, at a day, at a month.
SIZES_S = (10, 60, 3600)
# How long windows of each length are kept, in seconds: an hour, a day, a month. It bounds the
# table at 360 + 1,440 + 720 windows for each input partition.
KEPT_S = {10: 3600, 60: 86_400, 3600: 30 * 86_400}
# Clocks of producers may be this far ahead of ours; later events have no window.
AHEAD_S = 3600
# Sources by model versions in one window, so that its value stays far below Kafka's 1 MiB.
MAX_ROWS = 1000


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
        """What `encode` made."""
        size, start, partition, topic = key.decode().split(":", 3)
        return cls(int(size), int(start), topic, int(partition))


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
    positive: int = 0
    negative: int = 0
    dead_letters: int = 0
    score_sum: float = 0.0
    latency_ms_sum: float = 0.0

    def add(self, other: "Row | TallyCount") -> None:
        """Add what another one counted; older workers' ages may be out of all bounds."""
        self.positive += other.positive
        self.negative += other.negative
        self.dead_letters += other.dead_letters
        self.score_sum += other.score_sum
        events = other.positive + other.negative
        self.latency_ms_sum += times.sum_of_ages_ms(other.latency_ms_sum, events)


class Window(Struct, array_like=True):
    """What a window holds.

    Attributes:
        next_offset: One after the last offset of the input partition that is in it.
        rows: By source and model version.
        cluster: Kafka's id of the cluster with that partition; empty from older versions.
    """

    next_offset: int = 0
    rows: list[Row] = []
    cluster: str = ""

    def add(self, tally: Tally, counts: Iterable[TallyCount]) -> bool:
        """Add a tally's counts; False where they are in it already."""
        if tally.next_offset <= self.next_offset:
            return False
        self.next_offset = tally.next_offset
        places = {(row.source, row.version): row for row in self.rows}
        for count in counts:
            version = count.challenger or tally.model.version
            row = places.get((count.source, version))
            if row is None:
                source = count.source if len(places) < MAX_ROWS else OTHER_SOURCE
                row = places.get((source, version)) or Row(source, version)
                if (source, version) not in places:
                    places[source, version] = row
                    self.rows.append(row)
            row.add(count)
        return True


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Window).decode


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
