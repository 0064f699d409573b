"""The rows of a table from its bytes: text lines, CSV and JSON Lines, in constant memory."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

import msgspec

# The fields of one row, or a sentence on why it is none. Values may be `msgspec.Raw`: JSON that
# is sent on as it stands.
Row = dict[str, Any] | str

# Far above any event that a worker takes, far below what hurts: a file without line ends is
# refused line by line and never held in memory.
MAX_ROW_BYTES = 8 * 1024 * 1024


class BrokenTableError(Exception):
    """A CSV that can't be read on; the message says from which line, and why."""


def lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | str]]:
    """Lines as bytes with their numbers from 1, without their ends; or why there are none."""
    number = 0
    while line := stream.readline(MAX_ROW_BYTES):
        number += 1
        if len(line) < MAX_ROW_BYTES or line.endswith(b"\n"):
            yield number, line.removesuffix(b"\n").removesuffix(b"\r")
            continue
        while (rest := stream.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield number, f"longer than {MAX_ROW_BYTES:,} bytes"


def of_text(stream: BinaryIO) -> Iterator[tuple[int, Row]]:
    """Each line as the field `text`."""
    for number, line in lines(stream):
        try:
            # A mark of the byte order is not part of the first text.
            encoding = "utf-8-sig" if number == 1 else "utf-8"
            yield number, line if isinstance(line, str) else {"text": line.decode(encoding)}
        except UnicodeDecodeError as error:
            yield number, f"not UTF-8 at byte {error.start}"


def of_json_lines(stream: BinaryIO) -> Iterator[tuple[int, Row]]:
    """The members of each line's object, as they stand; empty lines are left out."""
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    for number, line in lines(stream):
        if not line.strip():
            continue
        try:
            yield number, line if isinstance(line, str) else cast("Row", decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield number, "not a JSON object"


def of_csv(stream: BinaryIO, choose: Callable[[list[str]], list[str]]) -> Iterator[tuple[int, Row]]:
    """Rows with a header, numbered from 1; the stream is left open.

    Args:
        stream: UTF-8, with or without a mark of the byte order.
        choose: Given the columns that there are, says which ones are read; may raise.

    Raises:
        BrokenTableError: It is no CSV from some line on.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    # Bytes that are no UTF-8 become lone surrogates, which make one bad row and end nothing.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text, restkey="", strict=True)
    try:
        columns = choose(list(reader.fieldnames or []))
        for number, row in enumerate(reader, 1):
            if "" in row and isinstance(row[""], list):
                yield number, "longer than the header"
            elif None in row.values():
                yield number, "without some of the header's fields"
            else:
                yield number, {name: row[name] for name in columns}
    except csv.Error as error:
        raise BrokenTableError(f"after line {reader.line_num}: {error}") from None
    finally:
        # The bytes below are closed by who opened them, and not by the end of this wrapper.
        text.detach()
