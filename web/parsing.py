"""Events and their trace from a request or an upload, by the rules that the workers apply."""

import io
import re
import threading
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec
from flask import request
from msgspec import UNSET, Raw, Struct, UnsetType
from werkzeug.exceptions import RequestEntityTooLarge

from sentiment import rows, wire
from sentiment.errors import InputError
from sentiment.rows import Format
from sentiment.wire import EventError, Headers, TextEvent, diagnose
from web.answers import ApiError
from web.settings import WebSettings

# What events of the page and the API are called unless they say otherwise.
SOURCE = "web"
# A megabyte of `[0,0,…]` is 70 MB of objects until it is counted. One at a time, uploads too: it is
# the processor's work alone, and Python's lock goes round among all threads that have some.
one_at_a_time = threading.Lock()
# What is smaller, as nearly all is, takes a millisecond: it doesn't wait for what is large.
SMALL_BYTES = 16_384
# W3C Trace Context; anything else would only be noise on the topic.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# As many as everybody has to pass on by that standard. Each event of a request has a copy.
MAX_TRACESTATE = 512
# How an upload may be written. Parquet isn't among them, nor a JSON list: a megabyte of either may
# become hundreds of objects' megabytes before its first row is there. Lists are for /api/events.
TYPES: dict[str, Format] = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/plain": "lines",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
FORM = "multipart/form-data"
FIELD = "file"
COLUMN = "text"
# Refused lines, or columns, that one answer names: who has more of them has one mistake many times.
SHOWN = 100
UPLOAD = "The upload"


class _Batch(Struct):
    events: list[Raw] | UnsetType = UNSET


# Raw keeps each event's own bytes, so that all rules are those of `sentiment.wire`.
_list = msgspec.json.Decoder(list[Raw])
_batch = msgspec.json.Decoder(_Batch)


def parse(body: bytes, max_events: int, max_event_bytes: int) -> list[TextEvent]:
    """The events of a request, at least one: one, a list, or an object with it; else 400 or 413."""
    with nullcontext() if len(body) <= SMALL_BYTES else one_at_a_time:
        values = _split(body)
        if not values:
            raise ApiError(400, "no_events", "The list of events is empty.")
        if len(values) > max_events:
            message = f"{len(values):,} events, more than the {max_events:,} that one request may"
            raise ApiError(413, "too_many_events", f"{message} hold.")
        return [_event(at, bytes(value), max_event_bytes) for at, value in enumerate(values)]


def _split(body: bytes) -> Sequence[bytes | Raw]:
    begin = body.lstrip()[:1]
    try:
        if begin == b"[":
            return _list.decode(body)
        if begin == b"{":
            batch = _batch.decode(body)
            if batch.events is not UNSET:
                return batch.events
    except msgspec.ValidationError:
        raise ApiError(400, "invalid_field", "'events' has to be a list of events.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = diagnose(body, error)
        raise ApiError(400, problem.code, f"{problem.message}.") from None
    return [body]


def _event(number: int, value: bytes, max_bytes: int) -> TextEvent:
    try:
        event = wire.decode_event(value)
        event = msgspec.structs.replace(
            event, id=event.id or uuid.uuid4().hex, source=event.source or SOURCE
        )
        encode(event, max_bytes)
    except EventError as error:
        status = 413 if error.code == "too_large" else 400
        message = f"Event {number}: {error.message}."
        raise ApiError(status, error.code, message, event=number) from None
    if event.attributes:
        # As bytes until it is sent: a megabyte of `{}` is 25 MB of objects.
        kept: Any = Raw(wire.encode(event.attributes))
        event = msgspec.structs.replace(event, attributes=kept)
    return event


def encode(event: TextEvent, max_bytes: int) -> bytes:
    """An event as it will stand on the topic, which workers measure; not too large."""
    value = wire.encode(event)
    if len(value) > max_bytes:
        message = f"{len(value):,} bytes, more than the {max_bytes:,} that are allowed"
        raise EventError("too_large", message)
    return value


def trace() -> Headers:
    """A trace that began in the caller goes on to the result; a long `tracestate` is left out."""
    parent, state = (request.headers.get(name, "") for name in ("traceparent", "tracestate"))
    if not TRACEPARENT.fullmatch(parent):
        return []
    also = [("tracestate", state)] if 0 < len(state) <= MAX_TRACESTATE else []
    return [("traceparent", parent), *also]


class RefusedLine(Struct, frozen=True):
    """A line that can't be sent, and why."""

    line: int
    code: str
    message: str


class Lines(NamedTuple):
    """An upload's lines but empty ones, by number; encoded, for objects take more memory."""

    events: dict[int, bytes]
    refused: dict[int, RefusedLine]


def require_own_origin() -> None:
    """403 for another site's page: browsers let each send plain text and forms anywhere."""
    site = request.headers.get("Sec-Fetch-Site")
    # Over plain HTTP browsers say only the origin. What says neither is no page.
    if site is None:
        foreign = bool(request.origin) and urlsplit(request.origin).netloc != request.host
    else:
        foreign = site not in {"same-origin", "none"}
    if foreign:
        raise ApiError(403, "other_origin", "A page of another site may not upload here.")


def upload(max_bytes: int) -> tuple[Format, BinaryIO]:
    """How the upload is written, and its bytes, at most so many; else 413 or 415."""
    request.max_content_length = max_bytes
    if request.mimetype == FORM:
        return _file()
    if request.mimetype not in TYPES:
        message = f"Send {', '.join(TYPES)}, or a file as {FIELD!r} of a {FORM}."
        raise ApiError(415, "not_a_table", message)
    return TYPES[request.mimetype], io.BytesIO(request.get_data(cache=False))


def _file() -> tuple[Format, BinaryIO]:
    try:
        sent = request.files.get(FIELD)
    except RequestEntityTooLarge:
        if (request.content_length or 0) > (request.max_content_length or 0):
            raise
        raise ApiError(
            413,
            "form_too_large",
            f"The form has more than {request.max_form_parts:,} parts, or more than"
            f" {request.max_form_memory_size:,} bytes beside its file. Send the file alone.",
        ) from None
    if sent is None:
        raise ApiError(422, "no_file", f"The form has no file named {FIELD!r}.")
    # By the name first: browsers ask the system for a file's type, and many don't know these.
    kind = rows.format_of(sent.filename or "") or TYPES.get(sent.mimetype)
    if kind is None or kind not in TYPES.values():
        ends = ", ".join(end for end, form in rows.SUFFIXES.items() if form in TYPES.values())
        message = f"Name the file with {ends} at its end; each may have {rows.GZIP} after it."
        raise ApiError(415, "not_a_table", message)
    return kind, cast("BinaryIO", sent.stream)


def read(stream: BinaryIO, kind: Format, name: str, web: WebSettings, event_bytes: int) -> Lines:
    """Read an upload, perhaps compressed by gzip, from a stream that can seek, or 413 or 422.

    Ids are `name` and the number of the line; the largest size is as it will stand on the topic.
    """
    found = Lines({}, {})
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    # As an editor and a spreadsheet count, where the header is the first line.
    header = int(kind in {"csv", "tsv"})
    try:
        # Gzip may make as much of it as it could have had without: all of it is in memory.
        unpacked = rows.opened(stream, UPLOAD, size, web.max_upload_bytes)
        batches = rows.events(unpacked, kind, text_column, UPLOAD)
        for number, event in ((at + header, event) for some in batches for at, event in some):
            if kind == "lines" and isinstance(event, EventError) and event.code == "empty_text":
                continue
            if len(found.events) + len(found.refused) >= web.max_upload_lines:
                message = f"More than {web.max_upload_lines:,} lines in one upload."
                raise ApiError(413, "too_many_lines", message)
            try:
                found.events[number] = _named(event, f"{name}-{number}", event_bytes)
            except EventError as error:
                found.refused[number] = RefusedLine(number, error.code, f"{error.message}.")
    except InputError as error:
        raise ApiError(422, "broken_table", error.message) from None
    if found.events:
        return found
    if not found.refused:
        raise ApiError(422, "no_lines", "The upload has no lines.")
    lines = msgspec.to_builtins(list(found.refused.values())[:SHOWN])
    message = "No line of the upload can be sent."
    raise ApiError(422, "no_lines", message, refused_lines=lines)


def text_column(present: list[str]) -> list[str]:
    """The column of the texts: `text` in any case, else the only one; 422 where there is none."""
    named = [name for name in present if name.strip().lower() == COLUMN]
    if len(named) == 1:
        return named
    if len(present) == 1 and not any(mark in present[0] for mark in rows.DELIMITERS):
        return present
    message = f"The table needs one column named '{COLUMN}'; it has {rows.shown(present)}."
    raise ApiError(422, "no_text_column", message)


def _named(event: TextEvent | EventError, name: str, max_bytes: int) -> bytes:
    if isinstance(event, EventError):
        raise event
    named = msgspec.structs.replace(event, id=name, source=event.source or SOURCE)
    try:
        return encode(named, max_bytes)
    except UnicodeEncodeError:
        raise EventError("invalid_utf8", "not UTF-8") from None
