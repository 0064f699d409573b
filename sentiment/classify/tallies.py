"""Counts per input partition, so that trends need one record per batch and not one per event."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Struct, structs

from sentiment.wire import Model, Sentiment, Tally, TallyCount, encode

# The shortest window of the trends; longer ones are sums of these.
INTERVAL_S = 10
INTERVAL_MS = 1000 * INTERVAL_S
# Rows of a tally, if each event names a source of its own: as many as a person can still look at.
MAX_ROWS = 1000
# Of a tally's rows, below Kafka's 1 MiB per record; 256 characters may be 1.5 kB of JSON.
MAX_BYTES = 750_000
# Where the rows beyond that are counted: no event is left out of a sum.
OTHER_SOURCE = "(other)"


def row_bytes(*names: str | None) -> int:
    """The most bytes that a row with such names takes as JSON."""
    # Beside them: names of fields, and numbers of any size.
    return 250 + len(encode(names))


class Row(Struct, gc=False):
    """What one source had in one interval, by the champion or by one challenger."""

    positive: int = 0
    negative: int = 0
    dead_letters: int = 0
    score_sum: float = 0.0
    latency_ms_sum: float = 0.0

    def add(self, sentiment: Sentiment, score: float, latency_ms: float) -> None:
        """Count one result; `score` is P(positive)."""
        self.score_sum += score
        self.latency_ms_sum += latency_ms
        if sentiment == "positive":
            self.positive += 1
        else:
            self.negative += 1


class Gap(NamedTuple):
    """Offsets without a record: marks of transactions, or records that have expired."""

    expected: int  # the offset after the record before
    found: int  # the offset of the record after


@dataclass
class PartitionTally:
    """What one batch held of one input partition, up to but without the next offset."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    events: int = 0  # tombstones among them
    tombstones: int = 0
    gaps: list[Gap] = field(default_factory=list)
    _rows: dict[tuple[str, int, str | None], Row] = field(default_factory=dict)
    _newest: int = 0
    _bytes: int = 0

    def row(self, source: str | None, timestamp_ms: int, challenger: str | None = None) -> Row:
        """Where to count a source's events of a time, in ms since 1970, by who answered."""
        interval = timestamp_ms // INTERVAL_MS * INTERVAL_S
        row = self._rows.get((source or "", interval, challenger))
        if row is None:
            if len(self._rows) >= MAX_ROWS or self._bytes >= MAX_BYTES:
                # Timestamps are the producers' too: the rows beyond share one interval. Not an
                # early one: that of 1970 has no window in the trends.
                source, interval = OTHER_SOURCE, self._newest
            self._newest = max(self._newest, interval)
            self._bytes += row_bytes(source, challenger)
            row = self._rows.setdefault((source or "", interval, challenger), Row())
        return row

    def rows(self) -> Iterator[tuple[str | None, Row]]:
        """Each row, with the version of the challenger where that answered."""
        for (_, _, challenger), row in self._rows.items():
            yield challenger, row

    def record(self, model: Model) -> Tally:
        """The record to publish."""
        return Tally(
            topic=self.topic,
            partition=self.partition,
            first_offset=self.first_offset,
            next_offset=self.next_offset,
            model=model,
            tombstones=self.tombstones,
            counts=[
                TallyCount(
                    source=source,
                    interval=interval,
                    challenger=challenger,
                    **structs.asdict(row),
                )
                for (source, interval, challenger), row in self._rows.items()
            ],
        )
