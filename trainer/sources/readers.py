"""Rows of CSV, JSON Lines and Parquet files and of the aclImdb archive, bad ones among them."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

import pyarrow as pa
from pyarrow import parquet

from sentiment.errors import InputError
from trainer.params import Columns
from trainer.sources import aclimdb
from trainer.sources.rows import Cells, Fault, Reason, excerpt

Format = Literal["csv", "jsonl", "parquet", "aclimdb"]
Row = Cells | Fault
# Names of columns, in the order of the fields of `Cells`; None: it is left out.
Wanted = Sequence[str | None]

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "csv": (".csv", ".csv.gz"),
    "jsonl": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"),
    "parquet": (".parquet",),
    "aclimdb": (".tar.gz", ".tgz", ".tar"),
}
# Most characters of a row of CSV, and bytes of a line of JSON: sixty times the longest review, and
# the bound of the archive's. As JSON of nothing but empty lists it takes 100 MB of memory. A quote
# that is closed nowhere ends here too.
MAX_ROW = 1024 * 1024
# How many times its size a compressed file may have. Texts of people shrink to a third, the same
# sentence again and again to a fiftieth, and what is made to fill memories to a thousandth.
MAX_RATIO = 50
# What a file may have whatever its size: it fits into any memory.
ALWAYS_UNPACKED = 16 * 1024 * 1024
# Rows of Parquet that are decoded at one time: a few megabytes of reviews.
PARQUET_BATCH = 1000
# Columns that an error shows: enough to find the right one among.
SHOWN_COLUMNS = 20
# Names of columns that are kept of JSON, where each line may have others.
MAX_COLUMNS = 1000


def format_of(name: str, asked: Format | Literal["auto"]) -> Format | None:
    """The format of a file by the end of its name.

    Args:
        name: The file's name.
        asked: Only this one; `auto`: any but the archive, which has to be asked for.

    Returns:
        None: not one of these.
    """
    among: Sequence[Format] = ("csv", "jsonl", "parquet") if asked == "auto" else (asked,)
    return next((form for form in among if name.lower().endswith(SUFFIXES[form])), None)


def rows(path: Path, form: Format, columns: Columns, where: str) -> Iterator[tuple[int, Row]]:
    """The rows of a file.

    Args:
        path: The file; CSV, JSON Lines and the archive may be compressed by gzip.
        form: How it is written.
        columns: What stands where; an archive has its own order.
        where: Names the file in errors.

    Yields:
        Each row with its number: the line in JSON Lines, else the row; from 1.

    Raises:
        InputError: The file is not what its format says, or lacks a column.
    """
    wanted = (columns.text, columns.label, columns.group, columns.domain)
    try:
        with _open(path, where) as stream:
            match form:
                case "csv":
                    yield from _csv(stream, wanted, where)
                case "jsonl":
                    yield from _jsonl(stream, wanted, where)
                case "parquet":
                    yield from _parquet(stream, wanted, where)
                case "aclimdb":
                    yield from enumerate(aclimdb.rows(stream), 1)
    except (OSError, EOFError, zlib.error, csv.Error, pa.ArrowException) as error:
        # A damaged gzip file raises any of the first three, a CSV header without an end the fourth.
        raise InputError(
            f"{where} can't be read as {form}: {error}.", "Is it whole, and is it that format?"
        ) from error


def _open(path: Path, where: str) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    # Asked by its first bytes: downloads and archives of all names come through here.
    if not zipped:
        return path.open("rb")
    return cast("BinaryIO", io.BufferedReader(_Unpacked(path, where)))


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, up to the bound.

    Args:
        path: The file.
        where: Names it in errors.
    """

    def __init__(self, path: Path, where: str) -> None:
        self._file = gzip.open(path)  # noqa: SIM115 - closed by `close`
        self._most = path.stat().st_size * MAX_RATIO + ALWAYS_UNPACKED
        self._where = where

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes, forward at the cost of unpacking."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer is one
        """Read some of it.

        Raises:
            InputError: It has more than it may have.
        """
        count = self._file.readinto(buffer)
        self._check(self._file.tell())
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place that is counted from the beginning, or from here.

        Raises:
            InputError: It is beyond what the file may have.
        """
        self._check(offset if whence == io.SEEK_SET else self.tell() + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _check(self, place: int) -> None:
        if place > self._most:
            raise InputError(
                f"{self._where} unpacks to more than {self._most:,} bytes, {MAX_RATIO} times its"
                f" size and {ALWAYS_UNPACKED:,}: it may be made to fill the memory.",
                "Look at what is in it. If it is right all the same, unpack it with `gunzip`, and"
                " name the unpacked file.",
            )


def _csv(stream: BinaryIO, wanted: Wanted, where: str) -> Iterator[tuple[int, Row]]:
    # Bytes that are no UTF-8 become lone surrogates, which make one bad row and end nothing.
    with io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from enumerate(_csv_rows(text, wanted, where), 1)


def _csv_rows(text: TextIO, wanted: Wanted, where: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_ROW)
    lines = _Lines(text)
    reader = csv.reader(lines, strict=True)
    header = next(reader, [])
    _require(wanted, header, where)
    places = [None if name is None else header.index(name) for name in wanted]
    while True:
        lines.begin()
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error:
            # A quote closed nowhere swallows what follows: each line of it is a row that is lost.
            reason: Reason = "too_long" if lines.is_too_long else "malformed"
            yield from [Fault(reason, line) for line in lines.excerpts]
            continue
        if len(fields) == len(header):
            yield _cells([None if at is None else fields[at] for at in places])
        elif fields:
            yield Fault("ragged", excerpt(",".join(fields)))


class _Lines:
    """The lines of a CSV, as many as a row may have.

    Attributes:
        excerpts: Of each line that the row in work is made of.
        is_too_long: Whether they were more than a row may have.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.begin()

    def begin(self) -> None:
        """A row begins."""
        self.excerpts: list[str] = []
        self.is_too_long = False
        self._chars = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        # No generator: it would end with the first error, and the file go on.
        line = self._text.readline(MAX_ROW + 1)
        if not line:
            raise StopIteration
        self.excerpts.append(excerpt(line))
        self._chars += len(line)
        if self._chars > MAX_ROW:
            self.is_too_long = True
            while len(line) > MAX_ROW and not line.endswith("\n"):
                line = self._text.readline(MAX_ROW + 1)
            raise csv.Error(f"a row of more than {MAX_ROW:,} characters")
        return line


def _jsonl(stream: BinaryIO, wanted: Wanted, where: str) -> Iterator[tuple[int, Row]]:
    # A dictionary keeps their order, which a set does not.
    seen: dict[str, None] = {}
    for number, line in enumerate(iter(partial(stream.readline, MAX_ROW + 1), b""), 1):
        if len(line) > MAX_ROW:
            yield number, Fault("too_long", excerpt(line))
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_ROW)  # noqa: PLW2901 - the rest of it
            continue
        if not line.strip():
            continue
        try:
            # A mark of the byte order is not part of the first object.
            fields = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            yield number, Fault("not_utf8", excerpt(line))
            continue
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict):
            if len(seen) < MAX_COLUMNS:
                seen.update(
                    dict.fromkeys(name if name in wanted else excerpt(name) for name in fields)
                )
            else:
                seen.update(dict.fromkeys(name for name in fields if name in wanted))
            yield number, _cells([None if name is None else fields.get(name) for name in wanted])
        else:
            yield number, Fault("malformed", excerpt(line))
    if seen:
        _require(wanted, list(seen), where)


def _parquet(stream: BinaryIO, wanted: Wanted, where: str) -> Iterator[tuple[int, Row]]:
    # Not in advance, and no page of it before it is its turn.
    file = parquet.ParquetFile(stream, buffer_size=2**20)
    _require(wanted, file.schema_arrow.names, where)
    names = sorted({name for name in wanted if name is not None})
    number = 0
    for batch in file.iter_batches(PARQUET_BATCH, columns=names):
        nothing = [None] * batch.num_rows
        columns = [nothing if name is None else _values(batch.column(name)) for name in wanted]
        for values in zip(*columns, strict=True):
            number += 1
            yield number, _cells(values)


def _cells(values: Sequence[object]) -> Cells:
    text, label, group, domain = values
    return Cells(text, label, group, domain)


def _values(column: pa.Array) -> list[object]:
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


def _require(wanted: Wanted, present: Sequence[str], where: str) -> None:
    missing = [repr(name) for name in wanted if name is not None and name not in present]
    if not missing:
        return
    shown = ", ".join(map(repr, present[:SHOWN_COLUMNS])) or "none"
    if len(present) > SHOWN_COLUMNS:
        shown += f" and {len(present) - SHOWN_COLUMNS} more"
    raise InputError(
        f"{where} has no column {' and no column '.join(missing)}; it has {shown}.",
        "Name the right ones in params.yaml, under `columns` of the source.",
    )
