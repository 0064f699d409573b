"""The results of an upload as a file, in the order of its lines."""

import csv
import io
import secrets
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta, Struct

from sentiment import wire
from sentiment.wire import Sentiment, SentimentResult
from web import services
from web.answers import ApiError, respond
from web.api import require_kafka, trace
from web.batches import reading
from web.batches.batch import Batch, name_of
from web.batches.reading import Limits
from web.feeds import Unclassified
from web.parsing import one_at_a_time

# What makes a spreadsheet take a text for a formula, which may fetch and send (OWASP, CSV
# injection); the last two are the wide forms that some of them take too.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b")
# About 100 kB of rows at a time: a download is steady, and no line is a write of its own.
ROWS = 200


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


def json_lines(batch: Batch) -> Iterator[bytes]:
    """One object a line."""
    for rows in _rows(batch):
        yield b"".join(wire.encode(row) + b"\n" for row in rows)


def as_csv(batch: Batch) -> Iterator[bytes]:
    """With a header; what a spreadsheet would take for a formula has an apostrophe before it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Row.__struct_fields__)
    for rows in _rows(batch):
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


def _rows(batch: Batch) -> Iterator[list[Row]]:
    numbers = sorted(batch.lines.events.keys() | batch.lines.refused.keys())
    for first in range(0, len(numbers), ROWS):
        yield [_row(batch, number) for number in numbers[first : first + ROWS]]


def _row(batch: Batch, number: int) -> Row:
    refused = batch.lines.refused.get(number)
    if refused:
        return Row(number, "refused", error_code=refused.code, error_message=refused.message)
    event = wire.decode_event(batch.lines.events[number])
    outcome = batch.outcome(number)
    row = Row(number, "waiting", event.id, event.text)
    if isinstance(outcome, SentimentResult):
        return msgspec.structs.replace(
            row,
            state="answered",
            sentiment=outcome.sentiment,
            score=outcome.score,
            confidence=outcome.confidence,
            model=outcome.model.name,
            model_version=outcome.model.version,
        )
    if isinstance(outcome, Unclassified):
        return msgspec.structs.replace(
            row, state="dead_letter", error_code=outcome.code, error_message=outcome.message
        )
    return row


# The API of uploads.


batches = Blueprint("batches", __name__, url_prefix="/api/batches")


@batches.post("")
def take() -> Response:
    """Take in many lines and send them in the background; 202 with the upload's id."""
    reading.require_own_origin()
    shared = services.current()
    web = shared.settings.web
    require_kafka()
    shared.batches.require_room()
    secret = secrets.token_hex(16)
    event_bytes = shared.settings.worker.max_event_bytes
    limits = Limits(web.max_upload_lines, event_bytes, web.max_upload_bytes)
    with one_at_a_time:
        kind, stream = reading.body(web.max_upload_bytes)
        lines = reading.read(stream, kind, name_of(secret), limits)
    batch = Batch(secret, lines, trace())
    shared.batches.add(batch)
    return respond(batch.progress(), 202, Location=f"/api/batches/{secret}")


@batches.get("/<secret>")
def progress(secret: str) -> Response:
    """How far an upload has come."""
    return respond(_batch(secret).progress())


@batches.get("/<secret>/results")
def results(secret: str) -> Response:
    """The results so far, in the order of the lines; `?format=jsonl` or `csv`."""
    kind = request.args.get("format", "jsonl")
    if kind not in {"jsonl", "csv"}:
        raise ApiError(400, "invalid_format", "'format' is 'jsonl' or 'csv'.")
    batch = _batch(secret)
    answer = (
        Response(as_csv(batch), mimetype="text/csv")
        if kind == "csv"
        else Response(json_lines(batch), mimetype="application/x-ndjson")
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="results-{batch.name}.{kind}"'
    return answer


def _batch(secret: str) -> Batch:
    shared = services.current()
    batch = shared.batches.get(secret)
    if batch is None:
        raise ApiError(
            404,
            "no_batch",
            "No upload of this id. Uploads are kept for"
            f" {shared.settings.web.batch_minutes:g} minutes, in the process that took them: with"
            " several replicas, ask the same one.",
        )
    return batch
