"""One run of `sentiment produce`: rows in, events out, counted."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from producer.sources import Columns, Source, to_event
from sentiment import logs
from sentiment.cli import Progress
from sentiment.errors import InputError, SentimentError
from sentiment.interrupts import importing
from sentiment.kafka.producer import POLL_S, EventProducer
from sentiment.rows import Format, Row

log = logs.get(__name__)

# Ten show what is wrong with a file; the summary has the count.
MAX_ROWS_TOLD = 10


@dataclass(frozen=True)
class Plan:
    """What to send, and how.

    Attributes:
        texts: Texts given one by one.
        files: Paths; `-` is standard input.
        format: How the files are written.
        columns: What stands where in them.
        rate: Events per second; None: as fast as possible.
        limit: Most events to send; None: all.
        repeat: Begin again at the end.
        strict: End at the first bad row.
        raw: Send the bytes of lines as they are.
    """

    texts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    format: Format | Literal["auto"] = "auto"
    columns: Columns = field(default_factory=Columns)
    rate: float | None = None
    limit: int | None = None
    repeat: bool = False
    strict: bool = False
    raw: bool = False


class Run:
    """Sends what a plan says; the counts are true at any time, whatever ended it.

    Attributes:
        skipped: Rows that are no events.
        interrupted: Whether a signal ended it.
        error: What ended it early, if anything did.
    """

    def __init__(self, plan: Plan, producer: EventProducer) -> None:
        self.skipped = 0
        self.interrupted = False
        self.error: SentimentError | None = None
        self._plan = plan
        self._producer = producer
        self._source: Source | None = None
        self._progress = Progress()
        self._pacer = Pacer(plan.rate, time.monotonic())
        self._reading = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: end reading; the second time, end everything."""
        del number
        # Raised only where nothing is being counted: elsewhere the loop sees the flag. And in no
        # import, as a file's reader begins with, where it might be lost.
        if (self._reading or self.interrupted) and not importing(frame):
            raise KeyboardInterrupt
        self.interrupted = True

    def send(self) -> None:
        """Send everything and wait for the acknowledgements; problems end up in `error`."""
        try:
            for place, row in self._read():
                self._pace()
                if self.interrupted:
                    break
                self._send_row(place, row)
                self._progress.update(self._producer.sent, self._share())
                if self._producer.sent == self._plan.limit:
                    break
        except SentimentError as error:
            self.error = error
        self._progress.clear()
        try:
            self._producer.flush()
        except SentimentError as error:
            self.error = self.error or error

    def _read(self) -> Iterator[tuple[str, Row | bytes]]:
        """Rows; ends at a signal, also one that comes while standard input says nothing."""
        rows = self._rows()
        while True:
            try:
                self._reading = True
                row = None if self.interrupted else next(rows, None)
                self._reading = False
            except KeyboardInterrupt:
                self._reading = False
                self.interrupted = True
                return
            if row is None:
                return
            yield row

    def _pace(self) -> None:
        now = time.monotonic()
        end = now + self._pacer.delay(now)
        while not self.interrupted and (left := end - time.monotonic()) > 0:
            self._producer.wait(min(left, POLL_S))

    def _send_row(self, place: str, row: Row | bytes) -> None:
        try:
            if isinstance(row, bytes):
                self._producer.send_raw(row)
            else:
                value, key = to_event(row, self._plan.columns)
                self._producer.send_event(value, key=key)
        except InputError as error:
            if self._plan.strict:
                raise InputError(f"{place}: {error.message}", error.hint) from None
            self.skipped += 1
            if self.skipped <= MAX_ROWS_TOLD:
                log.warning("skipped a bad row", row=place, reason=error.message)
            if self.skipped == MAX_ROWS_TOLD:
                log.warning("further bad rows are counted and not shown")

    def _rows(self) -> Iterator[tuple[str, Row | bytes]]:
        while True:
            before = self._producer.sent
            yield from self._round()
            # A round that sent nothing would be repeated for ever.
            if not self._plan.repeat or self._producer.sent == before:
                return

    def _round(self) -> Iterator[tuple[str, Row | bytes]]:
        plan = self._plan
        row: Row | bytes
        for number, text in enumerate(plan.texts, 1):
            row = text.encode(errors="surrogateescape") if plan.raw else {"text": text}
            yield f"argument {number}", row
        for name in plan.files:
            with closing(Source(name, "lines" if plan.raw else plan.format)) as source:
                self._source = source
                columns = plan.columns.required()
                for number, row in source.raw_lines() if plan.raw else source.rows(columns, {"id"}):
                    yield f"{source.name}, row {number}", row

    def _share(self) -> float | None:
        plan = self._plan
        shares = [self._producer.sent / plan.limit if plan.limit else None]
        if not plan.repeat and len(plan.files) == 1 and self._source is not None:
            shares.append(self._source.share_read())
        return max((share for share in shares if share is not None), default=None)


# Holding a rate: when the next event is due.


class Pacer:
    """Spreads events evenly over time.

    Args:
        rate: Events per second; None: as fast as possible.
        start: The clock's time at the start, in seconds.
    """

    # A stall longer than this is forgotten: catching up at full speed would be no rate at all.
    MAX_BEHIND_S = 1.0
    # Sleeping for less costs more than it evens out; events then go in twos, or a few more.
    MIN_SLEEP_S = 0.001

    def __init__(self, rate: float | None, start: float) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._due = start

    def delay(self, now: float) -> float:
        """Claim the next event's place.

        Args:
            now: The clock's time, in seconds.

        Returns:
            How long to wait before the event is sent, in seconds.
        """
        if not self._interval:
            return 0.0
        self._due = max(self._due, now - self.MAX_BEHIND_S)
        wait = self._due - now
        self._due += self._interval
        return wait if wait >= self.MIN_SLEEP_S else 0.0
