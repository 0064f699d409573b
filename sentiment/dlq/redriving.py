"""One run over the selected dead letters: what becomes of each."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sentiment import events
from sentiment.dlq.letters import DeadLetter
from sentiment.dlq.scan import Scan
from sentiment.dlq.sending import Ready, Sender
from sentiment.event_errors import EventError
from sentiment.settings import Settings

# A transaction's round trips are a few milliseconds: with as many in one they don't count, and a
# run that is killed has at most this many to mend again.
BATCH = 500
# A batch holds values of up to 64 KiB and their headers; this bounds it where all are large.
BATCH_BYTES = 8 * 1024 * 1024


class LeftError(Exception):
    """A dead letter that is left where it is; the text says why."""


@dataclass(frozen=True)
class Fate:
    """What became of a dead letter.

    Attributes:
        letter: The dead letter.
        outcome: `redriven`; `left`, for a reason; or `redriven_before`, and so passed over.
        reason: Why it was left.
        ready: What was sent; None if it was not sent.
    """

    letter: DeadLetter
    outcome: str
    reason: str = ""
    ready: Ready | None = None


@dataclass
class Redrive:
    """Redrives the selected dead letters.

    Attributes:
        settings: The topics, and what an event may be.
        scan: The selected dead letters.
        sender: Sends them; None: nothing is sent, only told.
        mend: Turns a value into the one to send; raises `LeftError` where it can't.
        again: Redrive those too that have been redriven.
        tell: Called with what became of each, once that is certain.
        counts: How many had which outcome.
    """

    settings: Settings
    scan: Scan
    sender: Sender | None
    mend: Callable[[bytes], bytes]
    again: bool
    tell: Callable[[Fate], None]
    counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Redrive them, in order per partition.

        Raises:
            FencedError, TransactionError, BrokerError: It ends early; what was told is certain.
        """
        batch: list[Ready] = []
        size = 0
        for letter in self.scan.letters():
            if self._is_done(letter):
                continue
            try:
                batch.append(prepare(self.settings, letter, self.mend))
            except LeftError as error:
                self._settle(Fate(letter, "left", str(error)))
                continue
            size += len(letter.value) + len(batch[-1].value)
            if len(batch) >= BATCH or size > BATCH_BYTES:
                self._send(batch)
                batch, size = [], 0
        self._send(batch)

    def _send(self, batch: list[Ready]) -> None:
        if self.sender and batch:
            if self.sender.prepare():
                self.scan.read_marks()
                batch = [ready for ready in batch if not self._is_done(ready.letter)]
            if batch:
                self.sender.send(batch, self.scan.topic_id)
        for ready in batch:
            self._settle(Fate(ready.letter, "redriven", ready=ready))

    def _is_done(self, letter: DeadLetter) -> bool:
        """Whether a dead letter went back before, and isn't to go again; then that is told."""
        if letter not in self.scan.redriven or self.again:
            return False
        self._settle(Fate(letter, "redriven_before"))
        return True

    def _settle(self, fate: Fate) -> None:
        self.counts[fate.outcome] += 1
        self.tell(fate)


def prepare(
    settings: Settings, letter: DeadLetter, mend: Callable[[bytes], bytes] = bytes
) -> Ready:
    """Mend a dead letter and check what would be sent.

    Args:
        settings: The topics, and what an event may be.
        letter: The dead letter.
        mend: See `Redrive`; by default the value is sent as it is.

    Raises:
        LeftError: It is not to be sent.
    """
    if letter.input is None:
        raise LeftError("its headers don't tell where it came from: no worker wrote it")
    if letter.input.topic != settings.topics.events:
        raise LeftError(
            f"it came from {letter.input.topic!r}, which is not"
            f" TOPICS_EVENTS={settings.topics.events}"
        )
    value = mend(letter.value)
    # What the worker would only send back here has no use on the events topic.
    most = settings.worker.max_event_bytes
    if len(value) > most:
        raise LeftError(f"too_large: {len(value)} bytes, more than {most}")
    try:
        events.decode_event(value)
    except EventError as error:
        raise LeftError(f"{error.code}: {error.message}") from None
    return Ready(letter, value)
