"""The events in an upload, by the same rules that the workers apply."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import msgspec
from msgspec import Struct

from sentiment import events, rows
from sentiment.errors import InputError
from sentiment.event_errors import EventError
from sentiment.events import TextEvent
from web.batches.upload import Format
from web.errors import ApiError
from web.parsing import SOURCE, encode

COLUMN = "text"
# Refused lines, or columns, that one answer names: who has more of them has one mistake many times.
SHOWN = 100
# What Excel writes instead of commas in half of the world.
OTHER_DELIMITERS = ";\t|"


class RefusedLine(Struct, frozen=True):
    """A line that can't be sent, and why."""

    line: int
    code: str
    message: str


@dataclass(frozen=True)
class Limits:
    """What an upload may have.

    Attributes:
        lines: Most lines.
        event_bytes: Largest event, in bytes, as it will stand on the topic.
    """

    lines: int
    event_bytes: int


@dataclass(frozen=True)
class Lines:
    """The lines of an upload, by their numbers; empty ones are left out.

    Attributes:
        events: Those that can be sent, encoded, which takes less memory than objects do.
        refused: The others.
    """

    events: dict[int, bytes]
    refused: dict[int, RefusedLine]


def read(stream: BinaryIO, kind: Format, name: str, limits: Limits) -> Lines:
    """Read an upload.

    Args:
        stream: Its bytes.
        kind: How it is written.
        name: The batch's id; an event's is that and the number of its line.
        limits: What it may have.

    Raises:
        ApiError: 413 or 422: it is too long, empty, or no such table at all.
    """
    found = Lines({}, {})
    try:
        for number, event in _events(stream, kind):
            if len(found.events) + len(found.refused) >= limits.lines:
                raise ApiError(
                    413, "too_many_lines", f"More than {limits.lines:,} lines in one upload."
                )
            try:
                found.events[number] = _encode(event, f"{name}-{number}", limits.event_bytes)
            except EventError as error:
                found.refused[number] = RefusedLine(number, error.code, f"{error.message}.")
    except (rows.BrokenTableError, InputError) as error:
        raise ApiError(422, "broken_table", f"The upload can't be read: {error}.") from None
    if not found.events:
        raise ApiError(
            422,
            "no_lines",
            "No line of the upload can be sent." if found.refused else "The upload has no lines.",
            details={"refused_lines": _shown(found.refused)} if found.refused else None,
        )
    return found


def _shown(refused: dict[int, RefusedLine]) -> list[object]:
    return [msgspec.to_builtins(line) for line in list(refused.values())[:SHOWN]]


def _events(stream: BinaryIO, kind: Format) -> Iterator[tuple[int, TextEvent | EventError]]:
    match kind:
        case "jsonl":
            for number, line in rows.lines(stream):
                if isinstance(line, str):
                    yield number, EventError("too_large", line)
                elif line.strip():
                    yield number, _decoded(line)
        case "text":
            for number, row in rows.of_text(stream):
                if isinstance(row, str) or row[COLUMN].strip():
                    yield number, _event(row, COLUMN)
        case "csv":
            yield from _of_csv(stream)


def _of_csv(stream: BinaryIO) -> Iterator[tuple[int, TextEvent | EventError]]:
    column = ""

    def choose(present: list[str]) -> list[str]:
        nonlocal column
        column = text_column(present)
        return [column]

    for number, row in rows.of_csv(stream, choose):
        # As an editor and a spreadsheet count, where the header is the first line.
        yield number + 1, _event(row, column)


def text_column(present: list[str]) -> str:
    """The column of the texts: `text` in any case, else the only one.

    Raises:
        ApiError: 422: it can't be told; the message names those that there are.
    """
    named = [name for name in present if name.strip().lower() == COLUMN]
    if len(named) == 1:
        return named[0]
    found = ", ".join(repr(name[:SHOWN]) for name in present[:SHOWN]) or "none"
    if len(present) == 1:
        if not any(other in present[0] for other in OTHER_DELIMITERS):
            return present[0]
        found += ", which looks as if something else than commas stood between columns"
    raise ApiError(
        422, "no_text_column", f"The CSV needs one column named '{COLUMN}'; it has {found}."
    )


def _event(row: rows.Row, column: str) -> TextEvent | EventError:
    if isinstance(row, str):
        return EventError("invalid_utf8" if row.startswith("not UTF-8") else "invalid_field", row)
    try:
        return events.convert_event({COLUMN: row[column]})
    except EventError as error:
        return error


def _decoded(line: bytes) -> TextEvent | EventError:
    try:
        return events.decode_event(line)
    except EventError as error:
        return error


def _encode(event: TextEvent | EventError, name: str, max_bytes: int) -> bytes:
    if isinstance(event, EventError):
        raise event
    named = msgspec.structs.replace(event, id=name, source=event.source or SOURCE)
    try:
        return encode(named, max_bytes)
    except UnicodeEncodeError:
        raise EventError("invalid_utf8", "not UTF-8") from None
