"""The demo's traffic: sample events, some of them bad on purpose, and a ledger of what came back.

Keys, which travel to all outcomes, number a run's events: one is open until its first outcome, and
a second one is a double. Nothing grows with a run but what is open.
"""

import json
import math
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Self

from confluent_kafka import Message

from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings

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


# One in this many events is no event: dead letters are part of the show.
BAD_EVERY = 50
# How long the last acknowledgements may take; a broker that is away for longer is told as missing.
FLUSH_S = 10.0
# Short enough that a low rate looks steady, long enough that a high one costs little.
TICK_S = 0.01

OPENINGS = (
    "Honestly,", "Last night", "Well,", "To be fair,", "In the end", "For once", "As a fan,",
)  # fmt: skip
SUBJECTS = (
    "the film", "this movie", "the second half", "the whole cast", "the ending", "the script",
    "the soundtrack", "every scene", "the lead actor", "the story",
)  # fmt: skip
GOOD = (
    "was a delight from start to finish", "is wonderfully acted and beautifully shot",
    "made me laugh and then cry", "is one of the best things I have seen this year",
    "kept me on the edge of my seat", "is funny, warm and clever", "was simply brilliant",
)  # fmt: skip
POOR = (
    "was a complete waste of two hours", "is badly written and worse acted",
    "bored me to tears", "is one of the worst things I have ever sat through",
    "makes no sense at all", "is dull, loud and predictable", "was simply awful",
)  # fmt: skip
CLOSINGS = (
    "I would watch it again tomorrow.", "My friends said the same.", "Make of that what you will.",
    "The cinema was half empty.", "There is not much more to say.", "It runs for two hours.",
)  # fmt: skip
BAD_VALUES = (b"not json at all", b'{"txt": "the field has another name"}', b'{"text": "  "}')
SOURCES = ("reviews", "support", "survey", "social")


def texts(seed: int) -> Iterator[str]:
    """Reviews of 8 to 45 words without end; the same seed gives the same ones."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    while True:
        judgement = source.choice((GOOD, POOR))
        first, *others = source.sample(SUBJECTS, source.randint(1, 3))
        sentences = [f"{source.choice(OPENINGS)} {first} {source.choice(judgement)}."]
        sentences += [f"{other.capitalize()} {source.choice(judgement)}." for other in others]
        sentences += source.sample(CLOSINGS, source.randint(0, 2))
        yield " ".join(sentences)


class Traffic:
    """Sends so many events a second, told to the ledger before, on a thread, for a block."""

    def __init__(self, settings: Settings, ledger: Ledger, rate: float) -> None:
        self._topic = settings.topics.events
        # No waiting for more to send: at the demo's rates a batch would only add latency.
        self._producer = clients.new_producer(settings.kafka, linger_ms=1)
        self._ledger = ledger
        self._rate = rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(FLUSH_S)

    def finish(self) -> None:
        """Send no more, and wait for the acknowledgements of what was sent."""
        self._stop.set()
        self._thread.join(FLUSH_S)
        self._producer.flush(FLUSH_S)

    def _run(self) -> None:
        sample = texts(seed=int(time.time()))
        # One event opens the way; the steady rate begins when its result shows that all is up.
        self._send(next(sample))
        while not self._ledger.began.wait(TICK_S):
            if self._stop.is_set():
                return
            self._producer.poll(0)
        began, sent = time.monotonic(), 0
        while not self._stop.wait(TICK_S):
            due = int((time.monotonic() - began) * self._rate)
            while sent < due:
                self._send(next(sample))
                sent += 1
            self._producer.poll(0)

    def _send(self, text: str) -> None:
        key, number = self._ledger.sending()
        if number % BAD_EVERY == BAD_EVERY - 1:
            value = BAD_VALUES[number // BAD_EVERY % len(BAD_VALUES)]
        else:
            source = SOURCES[number % len(SOURCES)]
            now = datetime.now(UTC).isoformat()
            event = {"id": key, "text": text, "source": source, "created_at": now}
            value = json.dumps(event).encode()
        while not self._stop.is_set():
            try:
                self._producer.produce(self._topic, value, key)
            except BufferError:
                # Kafka is away for longer than the queue holds: wait, and lose nothing.
                self._producer.poll(TICK_S)
            else:
                return
        self._ledger.not_sent(number)
