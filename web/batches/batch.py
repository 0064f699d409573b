"""One upload, and what became of its lines."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sentiment import events
from sentiment.events import Headers, SentimentResult, TextEvent
from web.batches.reading import SHOWN, Lines, RefusedLine
from web.outcomes import DeadLetter, Outcome

# A few milliseconds of the brokers' work: so often does the progress move.
CHUNK = 500
# A quarter of what the outbox holds, so that an upload leaves room for those who send one text.
CHUNK_BYTES = 4 * 1024 * 1024


class Progress(Struct, frozen=True):
    """How far an upload has come."""

    id: str
    state: Annotated[
        Literal["sending", "waiting", "done"],
        Meta(description="`waiting`: all is sent, and some answers are still to come."),
    ]
    lines: Annotated[int, Meta(description="Lines that are not empty.")]
    sent: Annotated[int, Meta(description="Lines that the brokers have.")]
    answered: Annotated[int, Meta(description="Lines with a result.")]
    positive: int
    negative: int
    dead_letters: Annotated[int, Meta(description="Lines that could not be classified.")]
    refused: Annotated[int, Meta(description="Lines that were not sent.")]
    refused_lines: Annotated[
        list[RefusedLine], Meta(description="The first hundred of these; the results have all.")
    ]


class Batch:
    """One upload; any thread may use it.

    Args:
        name: Its id.
        lines: What is in it.
        headers: Kafka headers for all of its events.
    """

    def __init__(self, name: str, lines: Lines, headers: Headers) -> None:
        self.name = name
        self.lines = lines
        self.headers = headers
        self.begun = time.monotonic()
        self._lock = threading.Lock()
        self._sent = 0
        self._outcomes: dict[int, Outcome] = {}

    def chunks(self) -> Iterator[list[TextEvent]]:
        """Its events, as many together as are sent together."""
        chunk: list[TextEvent] = []
        size = 0
        for value in self.lines.events.values():
            chunk.append(events.decode_event(value))
            size += len(value)
            if len(chunk) == CHUNK or size > CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def add_sent(self, count: int) -> None:
        """Count events that the brokers have."""
        with self._lock:
            self._sent += count

    def take(self, number: int, outcome: Outcome) -> None:
        """Keep what became of a line; a result is the last word."""
        with self._lock:
            if number in self.lines.events and not (
                isinstance(outcome, DeadLetter) and number in self._outcomes
            ):
                self._outcomes[number] = outcome

    def outcome(self, number: int) -> Outcome | None:
        """What became of a line so far."""
        with self._lock:
            return self._outcomes.get(number)

    @property
    def done(self) -> bool:
        """Whether nothing more is to come."""
        with self._lock:
            return len(self._outcomes) == len(self.lines.events)

    def progress(self) -> Progress:
        """How far it has come."""
        with self._lock:
            kinds = Counter(
                outcome.sentiment if isinstance(outcome, SentimentResult) else "dead letter"
                for outcome in self._outcomes.values()
            )
            sent = self._sent
        count, refused = len(self.lines.events), self.lines.refused
        answered = kinds["positive"] + kinds["negative"]
        return Progress(
            id=self.name,
            state=("done" if kinds.total() == count else "waiting" if sent == count else "sending"),
            lines=count + len(refused),
            sent=sent,
            answered=answered,
            positive=kinds["positive"],
            negative=kinds["negative"],
            dead_letters=kinds["dead letter"],
            refused=len(refused),
            refused_lines=list(islice(refused.values(), SHOWN)),
        )
