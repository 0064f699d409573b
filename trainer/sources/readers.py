"""Rows of CSV, JSON Lines and Parquet files and of the aclImdb archive, bad ones among them."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pyarrow as pa
from pyarrow import parquet

from sentiment.errors import InputError
from trainer.params import Columns
from trainer.sources import aclimdb
from trainer.sources.rows import Cells, Fault, excerpt

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
# Far above any text, far below what hurts: a quote that is closed nowhere ends here.
MAX_FIELD_CHARS = 8 * 1024 * 1024
# Rows of Parquet that are decoded at one time: a few megabytes of reviews.
PARQUET_BATCH = 10_000
# Columns that an error shows: enough to find the right one among.
SHOWN_COLUMNS = 20


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
        with _open(path) as stream:
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


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    # Asked by its first bytes: downloads and archives of all names come through here.
    return cast("BinaryIO", gzip.open(path)) if zipped else path.open("rb")


def _csv(stream: BinaryIO, wanted: Wanted, where: str) -> Iterator[tuple[int, Row]]:
    # Bytes that are no UTF-8 become lone surrogates, which make one bad row and end nothing.
    with io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from enumerate(_csv_rows(text, wanted, where), 1)


def _csv_rows(text: Iterable[str], wanted: Wanted, where: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD_CHARS)
    # Those that the row in work is made of.
    lines: list[str] = []
    reader = csv.reader(_remembered(text, lines), strict=True)
    header = next(reader, [])
    _require(wanted, header, where)
    places = [None if name is None else header.index(name) for name in wanted]
    while True:
        lines.clear()
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error:
            # A quote closed nowhere swallows what follows: each line of it is a row that is lost.
            yield from [Fault("malformed", excerpt(line)) for line in lines]
            continue
        if len(fields) == len(header):
            yield _cells([None if at is None else fields[at] for at in places])
        elif fields:
            yield Fault("ragged", excerpt(",".join(fields)))


def _remembered(text: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in text:
        lines.append(line)
        yield line


def _jsonl(stream: BinaryIO, wanted: Wanted, where: str) -> Iterator[tuple[int, Row]]:
    # A dictionary keeps their order, which a set does not.
    seen: dict[str, None] = {}
    for number, line in enumerate(stream, 1):
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
            seen.update(dict.fromkeys(fields))
            yield number, _cells([None if name is None else fields.get(name) for name in wanted])
        else:
            yield number, Fault("malformed", excerpt(line))
    if seen:
        _require(wanted, list(seen), where)


def _parquet(stream: BinaryIO, wanted: Wanted, where: str) -> Iterator[tuple[int, Row]]:
    file = parquet.ParquetFile(stream)
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
