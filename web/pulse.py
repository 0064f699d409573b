"""What the page tells of the stream beside its results: counts, latency, models."""

import statistics
import time
from collections import OrderedDict, deque
from datetime import datetime
from typing import Any

from msgspec import structs

from sentiment import times
from sentiment.events import SentimentResult
from web.answers import ServedModel

# The median of as many is steady; at a person's pace they reach back a while, hence the next line.
LATENCIES = 200
LATENCY_WINDOW_S = 60.0
# A champion, a challenger, and the ones that they replaced.
MODELS = 6


class Pulse:
    """Counts live results; written by the followers' threads, read by any.

    Attributes:
        positive: Live positive results since the start.
        negative: Live negative results since the start.
        dead_letters: Dead letters since the start.
        lag: Events that the workers have not committed yet; None where the brokers don't tell.
    """

    def __init__(self) -> None:
        self.positive = self.negative = self.dead_letters = 0
        self.lag: int | None = None
        self._latencies: deque[tuple[float, float]] = deque(maxlen=LATENCIES)
        self._models: OrderedDict[tuple[str, str], ServedModel] = OrderedDict()

    def saw(self, results: list[SentimentResult]) -> None:
        """Note the models of a batch, old or new: a start reads back when each one came."""
        for result in results:
            key = (result.model.name, result.model.version)
            known = self._models.get(key)
            if known is not None:
                # A challenger becomes champion under the same version: the latest word counts.
                self._models[key] = structs.replace(known, canary=result.canary)
                continue
            self._models[key] = ServedModel(*key, result.processed_at, result.canary)
            if len(self._models) > MODELS:
                self._models.popitem(last=False)

    def count(self, results: list[SentimentResult]) -> None:
        """Count a batch of live results."""
        positive = sum(result.sentiment == "positive" for result in results)
        self.positive += positive
        self.negative += len(results) - positive
        now = time.monotonic()
        self._latencies.extend(
            (now, times.age_ms(_ms(result.received_at), _ms(result.processed_at)))
            for result in results[-LATENCIES:]
        )

    def status(self) -> dict[str, Any]:
        """What a live feed tells with its `status`."""
        since = time.monotonic() - LATENCY_WINDOW_S
        latencies = [ms for at, ms in list(self._latencies) if at >= since]
        return {
            "positive": self.positive,
            "negative": self.negative,
            "dead_letters": self.dead_letters,
            "latency_ms": round(statistics.median(latencies), 1) if latencies else None,
            "lag": self.lag,
            "models": list(self._models.values()),
        }


def _ms(moment: datetime) -> float:
    return moment.timestamp() * 1000
