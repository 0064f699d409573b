"""One upload, and what became of its lines."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sentiment import logs, wire
from sentiment.wire import Headers, Input, SentimentResult, TextEvent
from web.answers import ApiError
from web.batches.reading import SHOWN, Lines, RefusedLine
from web.feeds import Outcome
from web.outbox import Outbox
from web.settings import WebSettings

# A few milliseconds of the brokers' work: so often does the progress move.
CHUNK = 500
# A quarter of what the outbox holds, so that an upload leaves room for those who send one text.
CHUNK_BYTES = 4 * 1024 * 1024


def name_of(secret: str) -> str:
    """What the ids of an upload's events begin with: nobody can tell its own id from it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


class Progress(Struct, frozen=True):
    """How far an upload has come."""

    id: Annotated[str, Meta(description="Who has it may read the texts. No event shows it.")]
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
        secret: Its id, by which it is read.
        lines: What is in it, under ids that begin with `name_of(secret)`.
        headers: Kafka headers for all of its events.
    """

    def __init__(self, secret: str, lines: Lines, headers: Headers) -> None:
        self._secret = secret
        self.name = name_of(secret)
        self.lines = lines
        self.headers = headers
        self.begun = time.monotonic()
        self._lock = threading.Lock()
        self._sent = 0
        # The lines that are waited for, by the places of what was sent for them.
        self._places: dict[Input, int] = {}
        self._outcomes: dict[int, Outcome] = {}

    def chunks(self) -> Iterator[dict[int, TextEvent]]:
        """Its events, as many together as are sent together, by the numbers of their lines."""
        chunk: dict[int, TextEvent] = {}
        size = 0
        for number, value in self.lines.events.items():
            chunk[number] = wire.decode_event(value)
            size += len(value)
            if len(chunk) == CHUNK or size > CHUNK_BYTES:
                yield chunk
                chunk, size = {}, 0
        if chunk:
            yield chunk

    def add_sent(self, number: int, place: Input) -> None:
        """Note where the brokers have a line's event."""
        with self._lock:
            self._sent += 1
            self._places[place] = number

    def take(self, outcome: Outcome) -> None:
        """Keep what became of a line; not of an event that others sent with its id."""
        with self._lock:
            number = self._places.get(outcome.input)
            if number is not None and outcome.id == f"{self.name}-{number}":
                self._outcomes[number] = outcome
                del self._places[outcome.input]

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
            id=self._secret,
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


# The uploads of this process, and the thread that sends them.


# How long one wait for work lasts before the end of the process is seen.
POLL_S = 0.2
# Between two tries to send what the brokers did not take: they are away for seconds, not for less.
RETRY_S = 1.0
# Of uploads that are still being sent one is done within about as long.
FULL_RETRY_AFTER_S = 10
JOIN_S = 2.0

log = logs.get(__name__)


class Batches:
    """Keeps uploads for a while, sends their events and takes in what became of them.

    Args:
        settings: How many are kept, and how long.
        outbox: Where their events go.
        known: Given an event's id and place, what became of it if that is here already.
    """

    def __init__(
        self,
        settings: WebSettings,
        outbox: Outbox,
        known: Callable[[str, Input], Outcome | None],
    ) -> None:
        self._limit = settings.max_batches
        self._kept_s = settings.batch_minutes * 60
        self._outbox = outbox
        self._known = known
        self._lock = threading.Lock()
        self._batches: dict[str, Batch] = {}
        self._queue: SimpleQueue[Batch] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """End; what is not sent stays unsent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def require_room(self) -> None:
        """Look whether one more can be kept, before its bytes are read.

        Raises:
            ApiError: 503: as many as are kept are still waited for.
        """
        with self._lock:
            self._make_room()

    def add(self, batch: Batch) -> None:
        """Keep an upload and send it.

        Raises:
            ApiError: 503, as above.
        """
        with self._lock:
            self._make_room()
            self._batches[batch.name] = batch
        self._queue.put(batch)

    def get(self, secret: str) -> Batch | None:
        """An upload by its id; None if it was never here, or too long ago."""
        return self._get(name_of(secret))

    def _get(self, name: str) -> Batch | None:
        with self._lock:
            self._expire()
            return self._batches.get(name)

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Take in results and dead letters of any events."""
        with self._lock:
            batches = dict(self._batches)
        if not batches:
            return
        for outcome in outcomes:
            batch = batches.get(outcome.id.partition("-")[0])
            if batch is not None:
                batch.take(outcome)

    def _make_room(self) -> None:
        self._expire()
        while len(self._batches) >= self._limit:
            # The oldest is the first: dictionaries keep the order of arrival.
            done = next((name for name, batch in self._batches.items() if batch.done), None)
            if done is None:
                raise ApiError(
                    503,
                    "too_many_batches",
                    "As many uploads as this server keeps are still waited for.",
                    retry_after_s=FULL_RETRY_AFTER_S,
                )
            del self._batches[done]

    def _expire(self) -> None:
        before = time.monotonic() - self._kept_s
        for name in [name for name, batch in self._batches.items() if batch.begun < before]:
            del self._batches[name]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                batch = self._queue.get(timeout=POLL_S)
            except Empty:
                continue
            try:
                self._send(batch)
            except Exception:
                # Nobody else would notice a dead thread: log what it was, and go on.
                log.exception("sending an upload failed", batch=batch.name)

    def _send(self, batch: Batch) -> None:
        for chunk in batch.chunks():
            left = chunk
            # One that is no longer kept is no longer wanted.
            while left and not self._stopping.is_set() and self._get(batch.name):
                left = self._send_chunk(batch, left)
                if left:
                    self._stopping.wait(RETRY_S)

    def _send_chunk(self, batch: Batch, chunk: dict[int, TextEvent]) -> dict[int, TextEvent]:
        """Send events; those that the brokers did not take."""
        numbers = list(chunk)

        def tell(at: int, place: Input) -> None:
            batch.add_sent(numbers[at], place)
            # The result may have been quicker than the brokers' word on the event.
            outcome = self._known(f"{batch.name}-{numbers[at]}", place)
            if outcome is not None:
                batch.take(outcome)

        places = self._outbox.send(list(chunk.values()), batch.headers, tell)
        return {
            number: chunk[number]
            for number, place in zip(numbers, places, strict=True)
            if place is None
        }
