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

from confluent_kafka import Message

from sentiment import events

# The panel's rates and quantiles speak of the last while, not of the whole run.
WINDOW_S = 10.0
# Enough for the quantiles of a minute at the highest rates that one process sends.
MOST_LATENCIES = 200_000


@dataclass(frozen=True)
class Outcome:
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
    began: threading.Event = field(default_factory=threading.Event)
    _run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _open: dict[int, float] = field(default_factory=dict)
    _recent: deque[Outcome] = field(default_factory=lambda: deque(maxlen=MOST_LATENCIES))
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
        result = events.decode_result(message.value() or b"")
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
        if number:
            # The first event waits for every part to start, which is no latency of a stream.
            self._recent.append(Outcome(now, now - sent, sentiment))
        return True

    @property
    def open(self) -> int:
        """Events without an outcome so far; at the end of a run, what is missing."""
        return len(self._open)

    def recent(self) -> list[Outcome]:
        """Outcomes of the last `WINDOW_S` seconds, oldest first."""
        since = time.monotonic() - WINDOW_S
        return [outcome for outcome in list(self._recent) if outcome.at >= since]

    def all(self) -> list[Outcome]:
        """The last `MOST_LATENCIES` outcomes of the run, oldest first."""
        return list(self._recent)


def quantile_ms(outcomes: list[Outcome], share: float) -> float | None:
    """A quantile of the latencies in milliseconds; None without any."""
    if not outcomes:
        return None
    ordered = sorted(outcome.latency_s for outcome in outcomes)
    return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1)
