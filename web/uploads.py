"""Uploads: many lines sent in the background, and what became of each."""

import csv
import hashlib
import io
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta, Struct

from sentiment import logs, wire
from sentiment.wire import Headers, Input, Sentiment, SentimentResult, TextEvent
from web import parsing, services
from web.answers import ApiError, respond
from web.feeds import Outcome
from web.outbox import Outbox
from web.parsing import SHOWN, Lines, RefusedLine
from web.settings import WebSettings

# A few milliseconds of the brokers' work: so often does the progress move.
CHUNK = 500
# A quarter of what the outbox holds: the rest is for those who send one text.
CHUNK_BYTES = 4 * 1024 * 1024
# How long one wait for work lasts before the end of the process is seen.
POLL_S = 0.2
# Between two tries to send what the brokers did not take: they are away for seconds, not for less.
RETRY_S = 1.0
# Of uploads that are still being sent one is done within about as long.
FULL_RETRY_AFTER_S = 10
JOIN_S = 2.0
# What makes a spreadsheet take a text for a formula, which may fetch and send (OWASP, CSV
# injection); the last two are the wide forms that some of them take too.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b")
# About 100 kB of rows at a time: a download is steady, and no line is a write of its own.
ROWS = 200

log = logs.get(__name__)
uploads = Blueprint("uploads", __name__, url_prefix="/api/batches")


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


class Row(Struct, frozen=True, omit_defaults=True):
    """A line of an upload and what became of it."""

    line: int
    state: Annotated[
        Literal["answered", "dead_letter", "waiting", "refused"],
        Meta(description="`waiting`: no answer yet. `refused`: it was not sent."),
    ]
    id: str | None = None
    text: Annotated[str | None, Meta(description="Not there where the line was refused.")] = None
    sentiment: Sentiment | None = None
    score: Annotated[float | None, Meta(description="Probability of positive.")] = None
    confidence: float | None = None
    model: Annotated[str | None, Meta(description="Its name.")] = None
    model_version: str | None = None
    error_code: str | None = None
    error_message: str | None = None


@uploads.post("")
def take() -> Response:
    """Take in many lines and send them in the background; 202 with the upload's id."""
    parsing.require_own_origin()
    shared = services.current()
    web = shared.web
    shared.require_kafka()
    shared.uploads.require_free_place()
    secret = secrets.token_hex(16)
    event_bytes = shared.settings.worker.max_event_bytes
    with parsing.one_at_a_time:
        kind, stream = parsing.upload(web.max_upload_bytes)
        lines = parsing.read(stream, kind, name_of(secret), web, event_bytes)
    upload = Upload(secret, lines, parsing.trace())
    shared.uploads.add(upload)
    return respond(upload.progress(), 202, Location=f"/api/batches/{secret}")


@uploads.get("/<secret>")
def progress(secret: str) -> Response:
    """How far an upload has come."""
    return respond(_upload(secret).progress())


@uploads.get("/<secret>/results")
def results(secret: str) -> Response:
    """The results so far, in the order of the lines; `?format=jsonl` or `csv`."""
    kind = request.args.get("format", "jsonl")
    writers = {"csv": (as_csv, "text/csv"), "jsonl": (json_lines, "application/x-ndjson")}
    if kind not in writers:
        raise ApiError(400, "invalid_format", "'format' is 'jsonl' or 'csv'.")
    upload, (write, mimetype) = _upload(secret), writers[kind]
    headers = {"Content-Disposition": f'attachment; filename="results-{upload.name}.{kind}"'}
    return Response(write(upload), mimetype=mimetype, headers=headers)


def _upload(secret: str) -> "Upload":
    shared = services.current()
    upload = shared.uploads.get(name_of(secret))
    if upload is None:
        message = (
            f"No upload of this id. Uploads are kept for {shared.web.batch_minutes:g} minutes, in"
            " the process that took them: with several replicas, ask the same one."
        )
        raise ApiError(404, "no_batch", message)
    return upload


def name_of(secret: str) -> str:
    """What the ids of an upload's events begin with: nobody can tell its own id from it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


class Upload:
    """One upload, read by its secret; ids begin with `name_of(secret)`. For any thread."""

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

    @property
    def done(self) -> bool:
        """Whether nothing more is to come."""
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
        return Progress(
            id=self._secret,
            state=("done" if kinds.total() == count else "waiting" if sent == count else "sending"),
            lines=count + len(refused),
            sent=sent,
            answered=kinds["positive"] + kinds["negative"],
            positive=kinds["positive"],
            negative=kinds["negative"],
            dead_letters=kinds["dead letter"],
            refused=len(refused),
            refused_lines=list(islice(refused.values(), SHOWN)),
        )

    def rows(self) -> Iterator[list[Row]]:
        """What became of each line so far, in their order."""
        numbers = sorted(self.lines.events.keys() | self.lines.refused.keys())
        for first in range(0, len(numbers), ROWS):
            yield [self._row(number) for number in numbers[first : first + ROWS]]

    def _row(self, number: int) -> Row:
        refused = self.lines.refused.get(number)
        if refused:
            return Row(number, "refused", error_code=refused.code, error_message=refused.message)
        event = wire.decode_event(self.lines.events[number])
        outcome = self._outcomes.get(number)
        if outcome is None:
            return Row(number, "waiting", event.id, event.text)
        if isinstance(outcome, SentimentResult):
            said = (outcome.sentiment, outcome.score, outcome.confidence)
            model = (outcome.model.name, outcome.model.version)
            return Row(number, "answered", event.id, event.text, *said, *model)
        row = Row(number, "dead_letter", event.id, event.text)
        return msgspec.structs.replace(row, error_code=outcome.code, error_message=outcome.message)


def json_lines(upload: Upload) -> Iterator[bytes]:
    """One object a line."""
    for rows in upload.rows():
        yield b"".join(wire.encode(row) + b"\n" for row in rows)


def as_csv(upload: Upload) -> Iterator[bytes]:
    """With a header; what a spreadsheet would take for a formula has an apostrophe before it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Row.__struct_fields__)
    for rows in upload.rows():
        writer.writerows([harmless(cell) for cell in msgspec.structs.astuple(row)] for row in rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    # Some of them pass over white space before it.
    if isinstance(cell, str) and (cell.lstrip().startswith(FORMULA) or cell[:1] in "\t\r\n"):
        return f"'{cell}" if cell else cell
    return cell


class Uploads:
    """Keeps and sends uploads, and takes in outcomes; `known` tells of those already here."""

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
        self._uploads: dict[str, Upload] = {}
        self._queue: SimpleQueue[Upload] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """End; what is not sent stays unsent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def require_free_place(self) -> None:
        """503 where no more can be kept: as many as there may be are still waited for."""
        with self._lock:
            self._make_place()

    def add(self, upload: Upload) -> None:
        """Keep an upload and send it; 503 as above."""
        with self._lock:
            self._make_place()
            self._uploads[upload.name] = upload
        self._queue.put(upload)

    def get(self, name: str) -> Upload | None:
        """An upload by its name; None if it was never here, or too long ago."""
        with self._lock:
            self._expire()
            return self._uploads.get(name)

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Take in results and dead letters of any events."""
        with self._lock:
            uploads = dict(self._uploads)
        for outcome in outcomes if uploads else ():
            upload = uploads.get(outcome.id.partition("-")[0])
            if upload is not None:
                upload.take(outcome)

    def _make_place(self) -> None:
        self._expire()
        while len(self._uploads) >= self._limit:
            # The oldest is the first: dictionaries keep the order of arrival.
            done = next((name for name, upload in self._uploads.items() if upload.done), None)
            if done is None:
                message = "As many uploads as this server keeps are still waited for."
                wait_s = FULL_RETRY_AFTER_S
                raise ApiError(503, "too_many_batches", message, retry_after_s=wait_s)
            del self._uploads[done]

    def _expire(self) -> None:
        before = time.monotonic() - self._kept_s
        for name in [name for name, upload in self._uploads.items() if upload.begun < before]:
            del self._uploads[name]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                upload = self._queue.get(timeout=POLL_S)
            except Empty:
                continue
            try:
                for chunk in upload.chunks():
                    self._send(upload, chunk)
            except Exception:
                # Nobody else would notice a dead thread: log what it was, and go on.
                log.exception("sending an upload failed", batch=upload.name)

    def _send(self, upload: Upload, left: dict[int, TextEvent]) -> None:
        """Send events until the brokers have all of them."""
        # One that is no longer kept is no longer wanted.
        while not self._stopping.is_set() and self.get(upload.name):
            numbers = list(left)

            def tell(at: int, place: Input, numbers: list[int] = numbers) -> None:
                upload.add_sent(numbers[at], place)
                # The result may have been quicker than the brokers' word on the event.
                outcome = self._known(f"{upload.name}-{numbers[at]}", place)
                if outcome is not None:
                    upload.take(outcome)

            places = self._outbox.send(list(left.values()), upload.headers, tell)
            left = {
                number: left[number]
                for number, place in zip(numbers, places, strict=True)
                if place is None
            }
            if not left:
                return
            self._stopping.wait(RETRY_S)
