"""How the answers of two models to the same events differ. Knows nothing of brokers."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sentiment.events import Input, SentimentResult

# Enough to see what kind of text it is about.
EXAMPLES = 5
# Bounds memory whatever names the events give; as the tallies do.
MAX_SOURCES = 1000
OTHER_SOURCE = "(other)"

Pair = tuple[SentimentResult | None, SentimentResult | None]


class Example(NamedTuple):
    """A decision that changed; the first two fields order them."""

    difference: float
    number: int
    id: str
    live: float
    replay: float
    input: Input


@dataclass
class Source:
    """What one source had."""

    compared: int = 0
    changed: int = 0


def paired(live: Iterator[SentimentResult], replayed: Iterator[SentimentResult]) -> Iterator[Pair]:
    """Results of one input partition side by side, by input offset.

    Args:
        live: In strictly rising order of input offsets.
        replayed: The same.
    """
    left, right = next(live, None), next(replayed, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.input.offset < right.input.offset):
            yield left, None
            left = next(live, None)
        elif left is None or right.input.offset < left.input.offset:
            yield None, right
            right = next(replayed, None)
        else:
            yield left, right
            left, right = next(live, None), next(replayed, None)


@dataclass
class Comparison:
    """Counts over any number of events, in bounded memory.

    Attributes:
        compared: Events with a result on either side.
        changed: Those with another decision, by direction.
        only_live: Events that the live workers alone have answered.
        only_replay: Events that the replay alone has answered.
        repeated: Live results passed over, since an earlier one answers the same event or a later.
        live_models: Compared live results by model version.
    """

    compared: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    only_live: int = 0
    only_replay: int = 0
    repeated: int = 0
    live_models: Counter[str] = field(default_factory=Counter)
    sources: dict[str, Source] = field(default_factory=dict)
    difference_sum: float = 0.0
    difference_max: float = 0.0
    _examples: list[Example] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        """Take in one event."""
        live, replayed = pair
        if live is None:
            self.only_replay += 1
        elif replayed is None:
            self.only_live += 1
        else:
            self._compare(live, replayed)

    def _compare(self, live: SentimentResult, replayed: SentimentResult) -> None:
        difference = abs(live.score - replayed.score)
        self.compared += 1
        self.live_models[live.model.version] += 1
        self.difference_sum += difference
        self.difference_max = max(self.difference_max, difference)
        source = self._source(live.source or "")
        source.compared += 1
        if live.sentiment != replayed.sentiment:
            self.changed[f"{live.sentiment} to {replayed.sentiment}"] += 1
            source.changed += 1
            example = Example(
                difference, self.compared, live.id, live.score, replayed.score, live.input
            )
            keep = heapq.heappush if len(self._examples) < EXAMPLES else heapq.heappushpop
            keep(self._examples, example)

    def _source(self, name: str) -> Source:
        if name not in self.sources and len(self.sources) >= MAX_SOURCES:
            name = OTHER_SOURCE
        return self.sources.setdefault(name, Source())

    @property
    def agreement(self) -> float | None:
        """Share of equal decisions; None where nothing was compared."""
        return 1 - self.changed.total() / self.compared if self.compared else None

    @property
    def examples(self) -> list[Example]:
        """Changed decisions with the largest differences, those first."""
        return sorted(self._examples, reverse=True)

    def as_dict(self) -> dict[str, Any]:
        """The figures for a program."""
        mean = self.difference_sum / self.compared if self.compared else None
        return {
            "compared": self.compared,
            "agreement": self.agreement,
            "changed": dict(self.changed),
            "score_difference": {"mean": mean, "largest": self.difference_max},
            "only_live": self.only_live,
            "only_replay": self.only_replay,
            "repeated": self.repeated,
            "live_models": dict(self.live_models),
            "by_source": {
                name: {"compared": source.compared, "changed": source.changed}
                for name, source in sorted(self.sources.items(), key=lambda item: -item[1].changed)
            },
            "examples": [
                {
                    "id": example.id,
                    "live": example.live,
                    "replay": example.replay,
                    "input": {
                        "topic": example.input.topic,
                        "partition": example.input.partition,
                        "offset": example.input.offset,
                    },
                }
                for example in self.examples
            ],
        }
