"""What was sent and what came back.

Each event has a number of this run in its key, and keys travel to results and dead letters alike.
So a number is open from its sending to its first outcome, and a second outcome is a double; nothing
grows with the length of a run but what is really open.
"""

import math
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Message

from sentiment import wire

# The panel's rates and quantiles speak of the last while, not of the whole run.
WINDOW_S = 10.0
# Quantiles of more would not differ; these take 30 MB.
MOST_LATENCIES = 200_000


class Outcome(NamedTuple):
    """When an outcome was read, how long it took in seconds, and what it was."""

    at: float
    latency_s: float
    sentiment: str | None


@dataclass
class Ledger:
    """Counts of one run. One thread sends, another one reads."""

    produced: int = 0
    results: int = 0
    dead_letters: int = 0
    duplicates: int = 0
    positive: int = 0
    model: str = ""
    started: float = field(default_factory=time.monotonic)
    first_result_s: float | None = None
    last_outcome_s: float = 0.0
    began: threading.Event = field(default_factory=threading.Event)
    _run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _open: dict[int, float] = field(default_factory=dict)
    _recent: deque[Outcome] = field(default_factory=lambda: deque(maxlen=MOST_LATENCIES))
    _counts: deque[tuple[float, int, int]] = field(
        default_factory=lambda: deque([(time.monotonic(), 0, 0)])
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self) -> tuple[str, int]:
        """Open the next event; its key and its number."""
        with self._lock:
            number = self.produced
            self.produced += 1
            self._open[number] = time.monotonic()
        return f"{self._run}-{number}", number

    def not_sent(self, number: int) -> None:
        """Take back an event that was never handed to Kafka."""
        with self._lock:
            if self._open.pop(number, None) is not None:
                self.produced -= 1

    def saw_result(self, message: Message) -> None:
        """Count a result, if it is of this run."""
        number = self._number(message)
        if number is None:
            return
        result = wire.decode_result(message.value() or b"")
        if self._close(number, result.sentiment):
            self.results += 1
            self.positive += result.sentiment == "positive"
            self.model = f"{result.model.name}/{result.model.version}"
            if self.first_result_s is None:
                self.first_result_s = time.monotonic() - self.started
                self.began.set()

    def saw_dead_letter(self, message: Message) -> None:
        """Count a dead letter, if it is of this run."""
        number = self._number(message)
        if number is not None and self._close(number, None):
            self.dead_letters += 1

    def _number(self, message: Message) -> int | None:
        run, _, number = (message.key() or b"").decode(errors="replace").rpartition("-")
        return int(number) if run == self._run else None

    def _close(self, number: int, sentiment: str | None) -> bool:
        now = time.monotonic()
        with self._lock:
            sent = self._open.pop(number, None)
        if sent is None:
            self.duplicates += 1
            return False
        self.last_outcome_s = now - self.started
        if number:
            # The first event waits for every part to start, which is no latency of a stream.
            self._recent.append(Outcome(now, now - sent, sentiment))
        return True

    @property
    def open(self) -> int:
        """Events without an outcome so far; at the end of a run, what is missing."""
        return len(self._open)

    @property
    def per_second(self) -> float:
        """Outcomes per second from the first result, which sets off the traffic, to the last."""
        spent = self.last_outcome_s - (self.first_result_s or 0.0)
        return (self.results + self.dead_letters - 1) / spent if spent > 0 else 0.0

    def rates(self) -> tuple[float, float]:
        """Events sent and results read per second, since the first call within `WINDOW_S`."""
        now = time.monotonic()
        self._counts.append((now, self.produced, self.results))
        while now - self._counts[0][0] > WINDOW_S:
            self._counts.popleft()
        began, produced, results = self._counts[0]
        spent = now - began
        if spent <= 0:
            return 0.0, 0.0
        return (self.produced - produced) / spent, (self.results - results) / spent

    def recent(self) -> list[Outcome]:
        """Results of the last `WINDOW_S` seconds, oldest first."""
        since = time.monotonic() - WINDOW_S
        return [result for result in self.all() if result.at >= since]

    def all(self) -> list[Outcome]:
        """The results among the last `MOST_LATENCIES` outcomes of the run, oldest first."""
        return [outcome for outcome in self._recent if outcome.sentiment is not None]


def quantile_ms(results: list[Outcome], share: float) -> float | None:
    """A quantile of the latencies in milliseconds; None without any."""
    if not results:
        return None
    ordered = sorted(result.latency_s for result in results)
    return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1)
