"""Rows of files, one reader for everybody: text lines, CSV, TSV, JSON, JSON Lines and Parquet.

Each of them may be compressed by gzip. Memory is constant, whatever the file's size (JSON apart,
which is bounded), and a bad row costs itself alone: it is a `Fault` in its place. A file that isn't
what it is taken for, or lacks a column, is one `InputError`, which says what it looks like.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import PurePath
from typing import Any, BinaryIO, Literal, NamedTuple, cast, get_args

import msgspec
from msgspec import Raw

from sentiment import wire
from sentiment.errors import InputError
from sentiment.wire import ErrorCode, EventError, TextEvent

Format = Literal["lines", "csv", "tsv", "json", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[str, Format] = {
    ".txt": "lines",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
GZIP = ".gz"

# Far above any event that a worker takes: a file without line ends is never held in memory.
MAX_ROW_BYTES = 8 * 1024 * 1024
# A JSON document is read whole, and its values take some times its size.
MAX_JSON_BYTES = 64 * 1024 * 1024
# How many times its size a compressed file may have. Texts of people shrink to a third, one
# sentence many times to a fiftieth, and what is made to fill memories to a thousandth.
MAX_RATIO = 50
# What a compressed file may have whatever its size: it fits into any memory.
ALWAYS_UNPACKED = 16 * 1024 * 1024
# Marks of byte orders, the longest first.
MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
MARK_BYTES = 4
# What is taken for text by a wrong name or content type.
BINARY = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip archive, as Excel's files are"}
# Of lines that are read at a time: about 1,000 tweets, so that a batch costs little more than them.
CHUNK_BYTES = 256 * 1024
# Rows of Parquet that are decoded at one time: a few megabytes of reviews.
PARQUET_ROWS = 1000
# Enough to recognise a row by, too little to make a list of faults a copy of the data.
EXCERPT_CHARS = 100
# Columns that an error shows: enough to find the right one among.
SHOWN_COLUMNS = 20
# What Excel and databases write instead of commas.
DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}

Reason = Literal["malformed", "ragged", "not_utf8", "too_long"]
CODES: dict[Reason, ErrorCode] = {
    "malformed": "invalid_field",
    "ragged": "invalid_field",
    "not_utf8": "invalid_utf8",
    "too_long": "too_large",
}


class Fault(NamedTuple):
    """Why a row can't be read."""

    reason: Reason
    message: str  # for people; goes on "the row is …"
    excerpt: str  # its beginning, printable and short


# The fields of a row, or why it has none.
Row = dict[str, Any] | Fault
# Rows with their numbers: each an event, or why it is none.
Numbered = list[tuple[int, TextEvent | EventError]]
# Given the columns that a file has, says which ones are read; may raise.
Choose = Callable[[list[str]], Sequence[str]]


def format_of(name: str) -> Format | None:
    """The format of a file, by the end of its name; None: unknown."""
    # A key of S3 that ends in a slash is a folder.
    path = PurePath("" if name.endswith("/") else name.lower())
    return SUFFIXES.get(path.with_suffix("").suffix if path.suffix == GZIP else path.suffix)


def opened(stream: BinaryIO, where: str, size: int = 0, most: int | None = None) -> BinaryIO:
    """A stream of what a file holds: unpacked where its first bytes say that it is compressed.

    The file may be a pipe that has `peek`. Its size in bytes bounds what it may have unpacked,
    where `most` is no other bound; `where` names it in errors.
    """
    if _head(stream, 2) != b"\x1f\x8b":
        return stream
    bound = size * MAX_RATIO + ALWAYS_UNPACKED if most is None else most
    return cast("BinaryIO", io.BufferedReader(_Unpacked(stream, where, bound)))


def _head(stream: BinaryIO, count: int) -> bytes:
    """The first bytes of a stream that stands at its beginning, where it still stands then."""
    if hasattr(stream, "peek"):
        return cast("bytes", stream.peek(count)[:count])
    head = stream.read(count)
    stream.seek(0)
    return head


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, up to the bound; beyond it, an `InputError`."""

    def __init__(self, stream: BinaryIO, where: str, most: int) -> None:
        self._file = gzip.GzipFile(fileobj=stream)
        self._most = most
        self._where = where

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer is one
        count = self._file.readinto(buffer)
        self._check(self._file.tell())
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        # Forward, at the cost of unpacking.
        self._check(offset if whence == io.SEEK_SET else self._file.tell() + offset)
        return self._file.seek(offset, whence)

    def _check(self, place: int) -> None:
        if place > self._most:
            raise InputError(
                f"{self._where} unpacks to more than {self._most:,} bytes: it may be made to fill"
                " the memory.",
                "Look at what is in it. If it is right all the same, unpack it with `gunzip`, and"
                " name the unpacked file.",
            )


def rows(
    stream: BinaryIO, form: Format, choose: Choose, where: str, max_row: int = MAX_ROW_BYTES
) -> Iterator[tuple[int, Row]]:
    """The rows of a file with their numbers: lines count from 1, rows of tables from their first.

    Of a table the chosen columns are read. Of JSON all members are, as `Raw`, since each row may
    have others; of lines there is only `text`. The longest row is counted in bytes, of CSV in
    characters. The stream is left open.

    Raises:
        InputError: The file is not what its format says.
    """
    with readable(where, form):
        match form:
            case "lines" | "jsonl":
                make = _text if form == "lines" else _object
                for number, line in lines(stream, where, max_row):
                    if form == "lines" or not _is_empty(line):
                        yield number, line if isinstance(line, Fault) else make(line)
            case "json":
                yield from ((number, _object(value)) for number, value in _json(stream, where))
            case "csv" | "tsv":
                yield from _csv(stream, form, choose, where, max_row)
            case "parquet":
                yield from _parquet(stream, choose)


def events(
    stream: BinaryIO, form: Format, choose: Choose, where: str, max_row: int = MAX_ROW_BYTES
) -> Iterator[Numbered]:
    """The events in a file, in batches; of lines as soon as they are there. See `rows`.

    A line of JSON Lines is an event by all rules of the wire. The first column that is chosen is
    the text; others are fields by their names. A text longer than a row is too large as well.
    """
    if form in ("jsonl", "json"):
        with readable(where, form):
            values = (
                [_json(stream, where)] if form == "json" else line_batches(stream, where, max_row)
            )
            for some in values:
                yield [(at, _event(value, max_row)) for at, value in some if not _is_empty(value)]
        return
    batch: Numbered = []
    for number, row in rows(stream, form, choose, where, max_row):
        # The first of the columns that were chosen, and the only one of lines.
        if isinstance(row, dict) and (first := next(iter(row), "text")) != "text":
            row["text"] = row.pop(first)
        batch.append((number, _event(row, max_row)))
        if len(batch) == PARQUET_ROWS:
            yield batch
            batch = []
    yield batch


def columns(required: Sequence[str], optional: Sequence[str], where: str, hint: str) -> Choose:
    """A choice of columns by name; the hint says how the user names others."""

    def choose(present: list[str]) -> Sequence[str]:
        require(required, present, where, hint)
        return [*required, *(name for name in optional if name in present and name not in required)]

    return choose


def require(required: Sequence[str], present: Sequence[str], where: str, hint: str) -> None:
    """Refuse, by an `InputError`, a file that lacks a column, or has two of a name."""
    missing = [repr(name) for name in dict.fromkeys(required) if name not in present]
    if missing:
        none = " and no column ".join(missing)
        raise InputError(f"{where} has no column {none}; it has {shown(present)}.", hint)
    twice = next((name for name in required if list(present).count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"{where} has more than one column named {twice!r}: which one is meant can't be told.",
            "Rename the others.",
        )


def shown(present: Sequence[str]) -> str:
    """The columns of a file, for people; a hint where they look like one."""
    names = ", ".join(repr(name[:EXCERPT_CHARS]) for name in present[:SHOWN_COLUMNS]) or "none"
    if len(present) > SHOWN_COLUMNS:
        names += f" and {len(present) - SHOWN_COLUMNS} more"
    if len(present) == 1:
        for mark, name in DELIMITERS.items():
            if mark in present[0]:
                return f"{names}, which looks as if {name} stood between columns"
    return names


def excerpt(text: str | bytes) -> str:
    """The start of a row that could not be read, printable and short."""
    start = text[: EXCERPT_CHARS + 1]
    if isinstance(start, bytes):
        start = start.decode("utf-8", "backslashreplace")
    start = start.encode("utf-8", "backslashreplace").decode()
    return start if len(start) <= EXCERPT_CHARS else start[:EXCERPT_CHARS] + "…"


@contextmanager
def readable(where: str, form: str) -> Iterator[None]:
    """What a damaged file raises, as one `InputError`."""
    try:
        yield
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"{where} can't be read as {form}: {reason}.", "Is it whole, and is it that format?"
        ) from error


def line_batches(
    stream: BinaryIO, where: str, max_row: int = MAX_ROW_BYTES
) -> Iterator[list[tuple[int, bytes | Fault]]]:
    """Lines with their numbers from 1, without their ends, as many as there are at a time.

    The stream may be a pipe that somebody still writes to. A line longer than a row is a fault;
    text of another encoding is an `InputError`.
    """
    number, rest, first = 0, b"", True
    while chunk := stream.read1(CHUNK_BYTES):  # type: ignore[attr-defined]  # as all files have
        rest += chunk
        if first and len(rest) < MARK_BYTES and b"\n" not in rest:
            continue
        if first:
            rest, first = _without_mark(rest, where), False
        *whole, rest = rest.split(b"\n")
        # Of a longer line, enough to see that it is longer.
        rest = rest[: max_row + 2]
        if whole:
            yield [(at, _line(line, max_row)) for at, line in enumerate(whole, number + 1)]
        number += len(whole)
    if first:
        rest = _without_mark(rest, where)
    if rest:
        yield [(number + 1, _line(rest, max_row))]


def lines(
    stream: BinaryIO, where: str, max_row: int = MAX_ROW_BYTES
) -> Iterator[tuple[int, bytes | Fault]]:
    """The same, one by one."""
    return chain.from_iterable(line_batches(stream, where, max_row))


def _line(line: bytes, max_row: int) -> bytes | Fault:
    line = line.removesuffix(b"\r")
    if len(line) > max_row:
        return Fault("too_long", f"longer than {max_row:,} bytes", excerpt(line))
    return line


def _is_empty(line: bytes | Fault) -> bool:
    return isinstance(line, bytes) and not line.strip()


def _without_mark(chunk: bytes, where: str) -> bytes:
    """The first bytes of a text without the mark of their order; they must be UTF-8."""
    encoding = next((name for mark, name in MARKS.items() if chunk.startswith(mark)), "")
    for start, kind in BINARY.items():
        if chunk.startswith(start):
            raise InputError(f"{where} is {kind}, and no text.", "Save it as CSV, in UTF-8.")
    # Latin letters in UTF-16 are every second byte, whichever comes first.
    if not encoding and len(chunk) > 1 and b"\x00" in chunk[:2] and chunk[:2] != b"\x00\x00":
        encoding = "UTF-16LE" if chunk[1] == 0 else "UTF-16BE"
    if encoding:
        raise InputError(
            f"{where} is {encoding}, and only UTF-8 is read.",
            f"Convert it: iconv -f {encoding} -t UTF-8 FILE > NEW",
        )
    return chunk.removeprefix(b"\xef\xbb\xbf")


def _not_utf8(raw: bytes, error: UnicodeDecodeError) -> Fault:
    said = f"not UTF-8 at byte {error.start}"
    with suppress(UnicodeDecodeError):
        guess = excerpt(raw[error.start : error.start + 12].decode("cp1252"))
        said += f" (in Windows' encoding cp1252 it would be {guess!r}: iconv -f cp1252 -t UTF-8)"
    return Fault("not_utf8", said, excerpt(raw))


def _text(line: bytes) -> Row:
    try:
        return {"text": line.decode()}
    except UnicodeDecodeError as error:
        return _not_utf8(line, error)


def _event(row: bytes | Row, max_bytes: int) -> TextEvent | EventError:
    """The event of a line of JSON, or of a table's row; or why it is none."""
    if isinstance(row, Fault):
        return EventError(CODES[row.reason], row.message)
    if isinstance(row, bytes):
        is_large = len(row) > max_bytes
    else:
        text = row.get("text")
        # A character is at most four bytes, so that most texts needn't be encoded to be measured.
        is_large = isinstance(text, str) and len(text) * 4 > max_bytes < len(text.encode())
    if is_large:
        return EventError("too_large", f"more than {max_bytes} bytes")
    try:
        return wire.decode_event(row) if isinstance(row, bytes) else wire.convert_event(row)
    except EventError as error:
        return error


_members = msgspec.json.Decoder(dict[str, Raw]).decode


def _object(value: bytes) -> Row:
    try:
        # Values that are passed on as they stand are not looked at by the decoder.
        value.decode()
        return cast("Row", _members(value))
    except UnicodeDecodeError as error:
        return _not_utf8(value, error)
    except (msgspec.DecodeError, RecursionError):
        return Fault("malformed", "not a JSON object", excerpt(value))


def _json(stream: BinaryIO, where: str) -> list[tuple[int, bytes]]:
    """The values of one list, as they stand."""
    whole = stream.read(MAX_JSON_BYTES + 1)
    if len(whole) > MAX_JSON_BYTES:
        raise InputError(
            f"{where} has more than {MAX_JSON_BYTES:,} bytes, and JSON is read whole.",
            "Make JSON Lines of it: jq -c '.[]' FILE > NEW.jsonl",
        )
    try:
        values = msgspec.json.decode(_without_mark(whole, where), type=list[Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"{where} is no JSON list of objects: {error}.",
            "Where each line is an object, its name should end in .jsonl.",
        ) from None
    return [(number, bytes(value)) for number, value in enumerate(values, 1)]


def _csv(
    stream: BinaryIO, form: Format, choose: Choose, where: str, max_row: int
) -> Iterator[tuple[int, Row]]:
    _without_mark(_head(stream, MARK_BYTES), where)
    # Bytes that are no UTF-8 become lone surrogates, which make one bad row and end nothing.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from enumerate(_csv_rows(text, form, choose, max_row), 1)
    finally:
        # Who opened the bytes below closes them.
        text.detach()


def _csv_rows(text: io.TextIOWrapper, form: Format, choose: Choose, max_row: int) -> Iterator[Row]:
    # The whole process', and so never lowered: `_Lines` bounds the rows, and with them the fields.
    csv.field_size_limit(max(csv.field_size_limit(), max_row))
    source = _Lines(text, max_row)
    reader = csv.reader(source, strict=True, delimiter="\t" if form == "tsv" else ",")
    header = next(reader, [])
    places = {name: header.index(name) for name in choose(header)}
    while True:
        source.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote closed nowhere swallows what follows: each line of it is a row that is lost.
            reason: Reason = "too_long" if source.is_too_long else "malformed"
            yield from [Fault(reason, f"no CSV: {error}", line) for line in source.excerpts]
            continue
        if len(fields) != len(header):
            if fields:
                longer = len(fields) > len(header)
                said = "longer than the header" if longer else "without some of the header's fields"
                yield Fault("ragged", said, excerpt(",".join(fields)))
            continue
        yield _checked({name: fields[at] for name, at in places.items()})


class _Lines:
    """The lines of a CSV, as many as a row may have."""

    def __init__(self, text: io.TextIOWrapper, max_row: int) -> None:
        self._text = text
        self._max = max_row
        self.begin()

    def begin(self) -> None:
        # Of each line that the row is made of; and whether they are more than a row may have.
        self.excerpts: list[str] = []
        self.is_too_long = False
        self._chars = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        # No generator: it would end with the first error, and the file go on.
        line = self._text.readline(self._max + 1)
        if not line:
            raise StopIteration
        self.excerpts.append(excerpt(line))
        self._chars += len(line)
        if self._chars > self._max:
            self.is_too_long = True
            while len(line) > self._max and not line.endswith("\n"):
                line = self._text.readline(self._max + 1)
            raise csv.Error(f"a row of more than {self._max:,} characters")
        return line


def _checked(row: dict[str, Any]) -> Row:
    """A row, unless a value has bytes that are no UTF-8, as lone surrogates."""
    for value in row.values():
        if isinstance(value, str) and not value.isascii():
            raw = value.encode("utf-8", "surrogateescape")
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                return _not_utf8(raw, error)
    return row


def _parquet(stream: BinaryIO, choose: Choose) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # Not in advance, and no page of it before it is its turn.
        file = parquet.ParquetFile(stream, buffer_size=2**20)
        named = list(choose(list(file.schema_arrow.names)))
        number = 0
        for batch in file.iter_batches(PARQUET_ROWS, columns=named):
            for values in zip(*(_values(batch.column(name)) for name in named), strict=True):
                number += 1
                yield number, _checked(dict(zip(named, values, strict=True)))
    except pa.ArrowException as error:
        raise OSError(str(error)) from error


def _values(column: Any) -> list[object]:  # noqa: ANN401 - a library without types
    import pyarrow as pa

    try:
        values: list[object] = column.to_pylist()
    except UnicodeDecodeError:
        # Other writers call any bytes a string; one such row must not cost the others.
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        values = [
            value if value is None else value.decode("utf-8", "surrogateescape")
            for value in column.cast(pa.large_binary()).to_pylist()
        ]
    return values
