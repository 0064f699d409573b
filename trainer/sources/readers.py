"""Labelled rows of files: of all that `sentiment.rows` reads, and of the aclImdb archive."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Raw

from sentiment import rows as tables
from trainer.params import Columns
from trainer.sources import aclimdb
from trainer.sources.examples import Cells, Fault

Format = Literal["csv", "tsv", "json", "jsonl", "parquet", "aclimdb"]
Row = Cells | Fault

ARCHIVES = (".tar.gz", ".tgz", ".tar")
SUFFIXES = (*(end for end, form in tables.SUFFIXES.items() if form != "lines"), *ARCHIVES)
# Most characters of a row: sixty times the longest review, and the bound of the archive's. As JSON
# of nothing but empty lists it takes 100 MB of memory.
MAX_ROW = 1024 * 1024
# Names of columns that are kept of JSON, where each line may have others.
MAX_COLUMNS = 1000
HINT = "Name the right ones in params.yaml, under `columns` of the source."


def format_of(name: str, asked: Format | Literal["auto"]) -> Format | None:
    """The format of a file by the end of its name.

    Args:
        name: The file's name.
        asked: Only this one; `auto`: any but the archive, which has to be asked for.

    Returns:
        None: not one of these.
    """
    if asked == "aclimdb":
        return asked if name.lower().endswith(ARCHIVES) else None
    found = tables.format_of(name)
    if found is None or found == "lines" or asked not in {"auto", found}:
        return None
    return found


def rows(path: Path, form: Format, columns: Columns, where: str) -> Iterator[tuple[int, Row]]:
    """The rows of a file.

    Args:
        path: The file; it may be compressed by gzip.
        form: How it is written.
        columns: What stands where; an archive has its own order.
        where: Names the file in errors.

    Yields:
        Each row with its number: the line in JSON Lines, else the row; from 1.

    Raises:
        InputError: The file is not what its format says, or lacks a column.
    """
    wanted = (columns.text, columns.label, columns.group, columns.domain)
    with tables.readable(where, form), path.open("rb") as file:
        stream = tables.opened(file, where, path.stat().st_size)
        if form == "aclimdb":
            yield from enumerate(aclimdb.rows(stream), 1)
            return
        names = [name for name in dict.fromkeys(wanted) if name is not None]
        choose = tables.columns(names, (), where, HINT)
        # Of JSON, each row may have other members: what none has is told at the end.
        seen: dict[str, None] | None = {} if form in {"json", "jsonl"} else None
        for number, row in tables.rows(stream, form, choose, where, MAX_ROW):
            if isinstance(row, tables.Fault):
                yield number, Fault(row.reason, row.excerpt)
                continue
            if seen is not None:
                _note(seen, row, names)
            try:
                text, label, group, domain = (name and _value(row, name) for name in wanted)
                yield number, Cells(text, label, group, domain)
            except (msgspec.DecodeError, RecursionError):
                yield number, Fault("malformed", tables.excerpt(repr(row)))
        if seen:
            tables.require(names, list(seen), where, HINT)


def _value(row: dict[str, object], name: str) -> object:
    value = row.get(name)
    return msgspec.json.decode(value) if isinstance(value, Raw) else value


def _note(seen: dict[str, None], row: dict[str, object], names: Sequence[str]) -> None:
    """Remember the members of a row, in their order, which a set doesn't keep."""
    if len(seen) < MAX_COLUMNS:
        seen.update(dict.fromkeys(n if n in names else tables.excerpt(n) for n in row))
    else:
        seen.update(dict.fromkeys(name for name in row if name in names))
