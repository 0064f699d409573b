"""Counts per input partition, so that trends need one record per batch and not one per event."""

from dataclasses import dataclass, field

from sentiment.events import Model, Tally, TallyCount

# The shortest window of the trends; longer ones are sums of these.
INTERVAL_S = 10
# A row is at most 400 bytes, so that a tally stays far below Kafka's 1 MiB per record even if
# every event of a batch names a source of its own.
MAX_ROWS = 1000
# Where the rows beyond that are counted: no event is left out of a sum.
OTHER_SOURCE = "(other)"


@dataclass
class _Row:
    positive: int = 0
    negative: int = 0
    dead_letters: int = 0
    score_sum: float = 0.0
    latency_ms_sum: float = 0.0


@dataclass
class PartitionTally:
    """What one batch held of one input partition.

    Attributes:
        topic: The input topic.
        partition: The input partition.
        first_offset: First offset that is covered.
        next_offset: One after the last that is covered.
        events: Records, tombstones among them.
        tombstones: Records without a value.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    events: int = 0
    tombstones: int = 0
    _rows: dict[tuple[str, int], _Row] = field(default_factory=dict)

    def _row(self, source: str | None, timestamp_ms: int) -> _Row:
        interval = timestamp_ms // (1000 * INTERVAL_S) * INTERVAL_S
        row = self._rows.get((source or "", interval))
        if row is None:
            if len(self._rows) >= MAX_ROWS:
                # Timestamps are the producers' too: the rows beyond share the first one's interval.
                source, interval = OTHER_SOURCE, next(iter(self._rows))[1]
            row = self._rows.setdefault((source or "", interval), _Row())
        return row

    def add_result(
        self, source: str | None, timestamp_ms: int, score: float, latency_ms: float
    ) -> None:
        """Count one result; `score` is the probability of positive."""
        row = self._row(source, timestamp_ms)
        if score >= 0.5:  # noqa: PLR2004 - the decision rule of a probability
            row.positive += 1
        else:
            row.negative += 1
        row.score_sum += score
        row.latency_ms_sum += latency_ms

    def add_dead_letter(self, timestamp_ms: int) -> None:
        """Count one dead letter. What can't be read has no source."""
        self._row(None, timestamp_ms).dead_letters += 1

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
                    positive=row.positive,
                    negative=row.negative,
                    dead_letters=row.dead_letters,
                    score_sum=row.score_sum,
                    latency_ms_sum=row.latency_ms_sum,
                )
                for (source, interval), row in self._rows.items()
            ],
        )
