"""Sample events at a steady rate, some of them bad on purpose."""

import json
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self

from local.demo.ledger import Ledger
from sentiment.kafka import clients
from sentiment.settings import Settings

# One in this many events is no event: dead letters are part of the show.
BAD_EVERY = 50
# How long the last acknowledgements may take; a broker that is away for longer is told as missing.
FLUSH_S = 10.0
# Short enough that a low rate looks steady, long enough that a high one costs little.
TICK_S = 0.01

OPENINGS = (
    "Honestly,",
    "Last night",
    "Well,",
    "To be fair,",
    "In the end",
    "For once",
    "As a fan,",
)
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
    """Sends events on a thread of its own, from the block's beginning to `finish` or its end.

    Args:
        settings: Where they go.
        ledger: Told of each one before it is sent.
        rate: Events a second.
    """

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
