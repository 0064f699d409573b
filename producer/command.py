"""`sentiment produce`: texts from arguments, standard input and files onto the topic."""

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Literal

import click
import msgspec

from sentiment import logs, rows
from sentiment.cli import Progress
from sentiment.errors import InputError, SentimentError
from sentiment.interrupts import importing
from sentiment.kafka.producer import POLL_S, EventProducer, encode
from sentiment.rows import FORMATS, Fault, Format, Row
from sentiment.settings import Settings

log = logs.get(__name__)

# Ten show what is wrong with a file; the summary has the count.
MAX_ROWS_TOLD = 10
HINT = "Name the right ones with --text-column, --id-column and --key-column."


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--file", "-f", "files", multiple=True, metavar="PATH",
    help="A file with texts; `-` is standard input. May be given several times.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["auto", *FORMATS]),
    default="auto", show_default=True,
    help="How the files are written; `auto` goes by the name, and standard input has lines.",
)  # fmt: skip
@click.option("--text-column", default="text", show_default=True, help="Column with the text.")
@click.option("--id-column", default="", help="Column with the id.  [default: id, if there is one]")
@click.option("--key-column", default="", help="Column with the key.  [default: the event's id]")
@click.option("--source", default="", help="Where the texts come from; a row's own source wins.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N",
    help="Events per second, evenly spread.  [default: as fast as possible]",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Most events to send.")
@click.option("--repeat", is_flag=True, help="Begin again at the end, until --limit or Ctrl-C.")
@click.option("--strict", is_flag=True, help="End at the first bad row instead of skipping it.")
@click.option("--raw", is_flag=True, help="Send each line's bytes as they are, valid or not.")
@click.option("--topic", help="The topic.  [default: TOPICS_EVENTS]")
@click.option("--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def produce(
    *,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    form: Format | Literal["auto"],
    text_column: str,
    id_column: str,
    key_column: str,
    source: str,
    topic: str | None,
    bootstrap_servers: str | None,
    as_json: bool,
    **how: Any,  # noqa: ANN401 - the rest of a `Plan`
) -> int:
    """Send texts to be classified.

    Waits until Kafka has each of them. Without TEXT and --file, standard input is read, one text
    per line. Tables (CSV, TSV, Parquet) need a column with the text; an object of JSON or JSON
    Lines may be a whole event, whose further fields stay in it. Files may be compressed by gzip.
    Rows that are no valid event are reported and skipped.

    \b
    Examples:
      sentiment produce "What a lovely film." "Not for me."
      sentiment produce --file reviews.csv --text-column review --source shop
      sentiment produce --file reviews.parquet --rate 500 --limit 10000
      tail -F chat.log | sentiment produce --source chat
      sentiment produce --raw 'not an event'      # becomes a dead letter

    Exit code 0: everything was delivered; 1: something was not; 2: wrong use, or no usable row;
    130: ended by Ctrl-C, after what was sent had been delivered.
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    reads_input = not texts and not files
    columns = Columns(text_column, id_column, key_column, source)
    plan = Plan(texts, ("-",) if reads_input else files, form, columns, **how)
    if plan.raw and form not in {"auto", "lines", "jsonl"}:
        raise click.UsageError("--raw sends lines, and tables have none.")
    if plan.repeat and "-" in plan.files:
        raise click.UsageError("--repeat needs files: standard input can't be read again.")
    if reads_input and sys.stdin.isatty():
        click.echo("Write one text per line; Ctrl-D ends.", err=True)
    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    producer = EventProducer(settings, topic=topic)
    run = Run(plan, producer)
    # An orchestrator's end is like Ctrl-C: what was sent is delivered and counted.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, run.interrupt)
    started = time.monotonic()
    run.send()
    _summarise(run, producer, time.monotonic() - started, as_json=as_json)
    if run.error:
        raise run.error
    if run.skipped and not producer.sent:
        raise InputError(
            "Not one row could be sent; the warnings above say why.",
            "Name the right column with --text-column, or the right --format.",
        )
    return 130 if run.interrupted else 0


def _summarise(run: "Run", producer: EventProducer, seconds: float, *, as_json: bool) -> None:
    if as_json:
        summary = {
            "topic": producer.topic,
            "sent": producer.sent,
            "delivered": producer.delivered,
            "skipped": run.skipped,
            "partitions": len(producer.partitions),
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(summary))
        return
    count = len(producer.partitions)
    where = f" ({count} partition{'s' if count > 1 else ''})" if count else ""
    click.echo(
        f"Delivered {producer.delivered:,} of {producer.sent:,} events to"
        f" {producer.topic}{where} in {seconds:.1f} s."
    )
    if run.skipped:
        click.echo(f"Skipped {run.skipped:,} bad row{'s' if run.skipped > 1 else ''}.")


@dataclass(frozen=True)
class Columns:
    """Which columns of a file, or fields of its JSON objects, hold what.

    Else the id is `id`, where there is one, and the record's key the id. A row's own source wins.
    """

    text: str = "text"
    id: str = ""
    key: str = ""
    source: str = ""

    def required(self) -> set[str]:
        """Columns that a file must have."""
        return {self.text, self.id, self.key} - {""}


@dataclass(frozen=True)
class Plan:
    """What to send, and how; see the command's help."""

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
    """Sends what a plan says; its counts, and the error that ended it, are true at any time."""

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

    def interrupt(self, _: int, frame: FrameType | None) -> None:
        """Handle a signal: end reading; the second time, end everything."""
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


class Pacer:
    """Spreads events evenly over time, so many a second; None: as fast as possible."""

    # A stall longer than this is forgotten: catching up at full speed would be no rate at all.
    MAX_BEHIND_S = 1.0
    # Sleeping for less costs more than it evens out; events then go in twos, or a few more.
    MIN_SLEEP_S = 0.001

    def __init__(self, rate: float | None, start: float) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._due = start

    def delay(self, now: float) -> float:
        """Claim the next event's place: how long to wait before it is sent, in seconds."""
        if not self._interval:
            return 0.0
        self._due = max(self._due, now - self.MAX_BEHIND_S)
        wait = self._due - now
        self._due += self._interval
        return wait if wait >= self.MIN_SLEEP_S else 0.0


class Source:
    """One file, or standard input (`-`); `auto` goes by the name's ending, else an `InputError`."""

    def __init__(self, name: str, format: Format | Literal["auto"]) -> None:  # noqa: A002 - the word users know
        self.name = "standard input" if name == "-" else name
        path = Path(name)
        # A name without an ending has lines, as standard input has.
        known = rows.format_of(name) or ("lines" if not path.suffix else None)
        form = known if format == "auto" else format
        if form is None:
            raise InputError(
                f"The format of {name} can't be told from its name.",
                f"Say it with --format {', '.join(rows.FORMATS)}.",
            )
        self.format: Format = form
        if name == "-" and form == "parquet":
            raise InputError("Parquet can't be read from standard input.", "Give a file instead.")
        try:
            self._file: BinaryIO = sys.stdin.buffer if name == "-" else path.open("rb")
            self._size = os.fstat(self._file.fileno()).st_size if name != "-" else 0
            self._stream = rows.opened(self._file, self.name, self._size)
        except OSError as error:
            raise InputError(f"{name} can't be read: {error.strerror}.") from None

    def share_read(self) -> float | None:
        """How much of it has been read, from 0 to 1; None where that can't be known."""
        if not self._size or self._file.closed:
            return None
        return min(1.0, self._file.tell() / self._size)

    def raw_lines(self) -> Iterator[tuple[int, bytes | Fault]]:
        """Lines as bytes with their numbers from 1, without their ends; or why there are none."""
        return rows.lines(self._stream, self.name)

    def rows(self, required: set[str], optional: set[str]) -> Iterator[tuple[int, Row]]:
        """Rows with their numbers: lines count from 1, rows of tables from their first.

        An `InputError`: a required column is missing, or the file is not what its format says.
        """
        choose = rows.columns(sorted(required), sorted(optional), self.name, HINT)
        return rows.rows(self._stream, self.format, choose, self.name)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def to_event(row: Row, columns: Columns) -> tuple[bytes, str | None]:
    """The JSON and the key of a row's event; None leaves the key to the event's id.

    Fields that the wire doesn't know stay in it. An `InputError`: the row can't be an event.
    """
    if isinstance(row, Fault):
        raise InputError(f"The row is {row.message}.")
    fields: dict[str, Any] = dict(row)
    key = _string(fields, columns.key) if columns.key else None
    if columns.id:
        fields["id"] = _string(fields, columns.id)
    # Without an id nobody could tell an event that was sent twice from two events.
    if _value(fields.get("id")) is None:
        fields["id"] = str(uuid.uuid4())
    if columns.text != "text":
        fields["text"] = _field(fields, columns.text)
        del fields[columns.text]
    if columns.source:
        fields.setdefault("source", columns.source)
    return encode(fields), key


def _field(fields: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - JSON
    if name not in fields:
        raise InputError(f"The row has no {name!r}.")
    return fields[name]


def _value(field: Any) -> Any:  # noqa: ANN401 - JSON
    try:
        return msgspec.json.decode(field) if isinstance(field, msgspec.Raw) else field
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("The row is not valid JSON.") from None


def _string(fields: dict[str, Any], name: str) -> str | None:
    """Identifiers are numbers in many files, and strings on the wire."""
    value = _value(_field(fields, name))
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"The row's {name!r} is neither a string nor a whole number.")
