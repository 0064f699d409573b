"""Dead letters back onto the events topic, each batch in one transaction with its marks.

All runs for one dead-letter topic share one transactional id. A run that begins makes the brokers
finish or abort what the one before has left, and fences that one off, before it reads the marks: so
they are all there are, and nobody else adds any while it goes on.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from sentiment import wire
from sentiment.dead_letters.dead_letter import DeadLetter
from sentiment.dead_letters.scan import Scan
from sentiment.errors import FencedError, TransactionError
from sentiment.kafka import clients
from sentiment.kafka.transactions import BY_KEY, AbortedError, Output, Transactions
from sentiment.settings import Settings
from sentiment.wire import NO_HEADERS, EventError, Redriven


class Ready(NamedTuple):
    """A dead letter to put back, with the value to send: its own or the mended one."""

    dead_letter: DeadLetter
    value: bytes


class TooLargeError(Exception):
    """A dead letter that the events topic doesn't take, by its headers; nothing was sent."""


class Sender:
    """Puts dead letters back; a `BrokerError` where Kafka doesn't let us begin."""

    def __init__(self, settings: Settings) -> None:
        self._topics = settings.topics
        present = clients.describe_cluster(settings.kafka).topics
        self._partitions = len(present[settings.topics.events].partitions)
        self._transactions = Transactions(
            settings,
            {settings.topics.events: self._partitions},
            transactional_id=settings.topics.redriven,
        )
        self._transactions.prepare()

    def prepare(self) -> bool:
        """Be ready for a batch, as the only run; True where another may have added marks before."""
        return self._transactions.prepare()

    def partition(self, dead_letter: DeadLetter) -> int:
        """Where a dead letter came from, to stay behind others; by its key if that is no more."""
        came_from = dead_letter.input.partition if dead_letter.input else BY_KEY
        return came_from if came_from < self._partitions else BY_KEY

    def send(self, batch: Sequence[Ready], topic_id: str) -> None:
        """Put a batch back, whole or not at all; the id is of the topic that they stand on.

        Raises:
            FencedError: Another run has begun; nothing of the batch was sent.
            TooLargeError: The events topic doesn't take one of them, or not all in one batch.
            TransactionError: The transaction failed, or its outcome isn't known.
        """
        now = datetime.now(UTC)
        try:
            self._transactions.publish(
                output for ready in batch for output in self._outputs(ready, topic_id, now)
            )
            self._transactions.commit()
        except AbortedError as error:
            if error.too_large:
                raise TooLargeError from None
            raise TransactionError(
                f"A transaction failed: {error}.",
                "Look at the brokers, then begin again: it goes on with what is left, and sends"
                " nothing twice.",
            ) from None
        except FencedError:
            raise FencedError(
                "Another redrive has begun and takes over from here, or this one was stopped for"
                " longer than a transaction may last.",
                "Nothing was sent twice. Begin this one again when the other has ended: it goes on"
                " with what is left.",
            ) from None
        except BaseException:
            # For the sake of the workers that wait behind it: the brokers would end it later.
            self._transactions.abort()
            raise

    def _outputs(self, ready: Ready, topic_id: str, now: datetime) -> Iterator[Output]:
        dead_letter = ready.dead_letter
        # The worker goes on counting from here.
        attempt = wire.ERROR_ATTEMPT, str(dead_letter.attempt).encode()
        yield Output(
            self._topics.events,
            self.partition(dead_letter),
            dead_letter.key,
            ready.value,
            [*dead_letter.headers, attempt],
        )
        mark = Redriven(
            topic_id=topic_id,
            partition=dead_letter.partition,
            offset=dead_letter.offset,
            attempt=dead_letter.attempt,
            mended=ready.value != dead_letter.value,
            redriven_at=now,
        )
        yield Output(
            self._topics.redriven, BY_KEY, dead_letter.id.encode(), wire.encode(mark), NO_HEADERS
        )


# With as many its round trips don't count; a run that is killed has at most these to mend again.
BATCH = 500
# A batch holds values of up to 64 KiB and their headers; this bounds it where all are large.
BATCH_BYTES = 8 * 1024 * 1024


class LeftError(Exception):
    """A dead letter that is left where it is; the text says why."""


@dataclass(frozen=True)
class Fate:
    """What became of a dead letter, and what was sent if it was."""

    dead_letter: DeadLetter
    outcome: str  # `redriven`; `left`, for a reason; or `redriven_before`, and so passed over
    reason: str = ""
    ready: Ready | None = None


@dataclass
class Redrive:
    """Redrives the selected dead letters."""

    settings: Settings
    scan: Scan
    sender: Sender | None  # None: nothing is sent, only told
    # Turns a value into the one to send; raises `LeftError` where it can't.
    mend: Callable[[bytes], bytes]
    again: bool  # those too that have been redriven
    # Called with what became of each, once that is certain.
    tell: Callable[[Fate], None]
    counts: Counter[str] = field(default_factory=Counter)  # by outcome

    def run(self) -> None:
        """Redrive them, in order per partition; whatever it raises, what was told is certain."""
        batch: list[Ready] = []
        size = 0
        for dead_letter in self.scan.dead_letters():
            if self._is_done(dead_letter):
                continue
            try:
                batch.append(prepare(self.settings, dead_letter, self.mend))
            except LeftError as error:
                self._settle(Fate(dead_letter, "left", str(error)))
                continue
            size += len(dead_letter.value) + len(batch[-1].value)
            if len(batch) >= BATCH or size > BATCH_BYTES:
                self._send(batch)
                batch, size = [], 0
        self._send(batch)

    def _send(self, batch: list[Ready]) -> None:
        if self.sender and batch:
            if self.sender.prepare():
                self.scan.read_marks()
                batch = [ready for ready in batch if not self._is_done(ready.dead_letter)]
            if batch and not self._is_sent(batch, self.sender):
                return
        for ready in batch:
            self._settle(Fate(ready.dead_letter, "redriven", ready=ready))

    def _is_sent(self, batch: list[Ready], sender: Sender) -> bool:
        """Send a batch; where one of it is too large, find which by halves, and leave that one."""
        with suppress(TooLargeError):
            sender.send(batch, self.scan.topic_id)
            return True
        if len(batch) > 1:
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
        else:
            reason = f"too_large: {self.settings.topics.events!r} doesn't take it with its headers"
            self._settle(Fate(batch[0].dead_letter, "left", reason))
        return False

    def _is_done(self, dead_letter: DeadLetter) -> bool:
        """Whether a dead letter was redriven before and is skipped; that is then reported."""
        if dead_letter not in self.scan.redriven or self.again:
            return False
        self._settle(Fate(dead_letter, "redriven_before"))
        return True

    def _settle(self, fate: Fate) -> None:
        self.counts[fate.outcome] += 1
        self.tell(fate)


def prepare(
    settings: Settings, dead_letter: DeadLetter, mend: Callable[[bytes], bytes] = bytes
) -> Ready:
    """Mend a dead letter and check what would be sent; a `LeftError` where that is not to be."""
    place = dead_letter.input
    if place is None:
        raise LeftError("its headers don't tell where it came from: no worker wrote it")
    if place.topic != settings.topics.events:
        raise LeftError(
            f"it came from {place.topic!r}, which is not TOPICS_EVENTS={settings.topics.events}"
        )
    if wire.ERROR_VALUE_BYTES in dead_letter.errors:
        raise LeftError(
            "it was too large to be kept: its value is only on"
            f" {place.topic}-{place.partition} at {place.offset}"
        )
    value = mend(dead_letter.value)
    # What the worker would only send back here has no use on the events topic.
    most = settings.worker.max_event_bytes
    if len(value) > most:
        raise LeftError(f"too_large: {len(value)} bytes, more than {most}")
    if len(dead_letter.key or b"") > wire.MAX_KEY_BYTES:
        raise LeftError(f"too_large: its key has more than {wire.MAX_KEY_BYTES} bytes")
    try:
        wire.decode_event(value)
    except EventError as error:
        raise LeftError(f"{error.code}: {error.message}") from None
    return Ready(dead_letter, value)
