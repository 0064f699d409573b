"""Where events come from: text lines, CSV, JSON Lines and Parquet, in constant memory."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from sentiment import rows
from sentiment.errors import InputError
from sentiment.rows import Row

Format = Literal["lines", "csv", "jsonl", "parquet"]

SUFFIXES: dict[str, Format] = {
    "": "lines",
    ".txt": "lines",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
# Rows of Parquet that are decoded at one time: a few megabytes of reviews.
PARQUET_BATCH = 1000


class Source:
    """One file, or standard input.

    Args:
        name: A path; `-` is standard input.
        format: How it is written; `auto` goes by the name's ending.

    Raises:
        InputError: It can't be read, or its format can't be told.
    """

    def __init__(self, name: str, format: Format | Literal["auto"]) -> None:  # noqa: A002 - the word users know
        self.name = "standard input" if name == "-" else name
        suffix = Path(name).suffix.lower()
        if format == "auto" and suffix not in SUFFIXES:
            raise InputError(
                f"The format of {name} can't be told from its name.",
                "Say it with --format lines, csv, jsonl or parquet.",
            )
        self.format: Format = SUFFIXES[suffix] if format == "auto" else format
        if name == "-" and self.format == "parquet":
            raise InputError("Parquet can't be read from standard input.", "Give a file instead.")
        try:
            self._stream: BinaryIO = (
                sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - see close
            )
            self._size = os.fstat(self._stream.fileno()).st_size if name != "-" else 0
        except OSError as error:
            raise InputError(f"{name} can't be read: {error.strerror}.") from None
        self._parquet_share: float | None = None

    def share_read(self) -> float | None:
        """How much of it has been read, from 0 to 1; None where that can't be known."""
        if self._parquet_share is not None or not self._size or self._stream.closed:
            return self._parquet_share
        return min(1.0, self._stream.tell() / self._size)

    def raw_lines(self) -> Iterator[tuple[int, bytes | str]]:
        """Lines as bytes with their numbers from 1, without their ends; or why there are none."""
        return rows.lines(self._stream)

    def rows(self, required: set[str], optional: set[str]) -> Iterator[tuple[int, Row]]:
        """Rows with their numbers: lines count from 1, rows of CSV and Parquet from their first.

        Args:
            required: Columns that a file with columns must have.
            optional: Columns that are read too where there are any.

        Raises:
            InputError: The file is not what its format says.
        """
        match self.format:
            case "lines":
                return rows.of_text(self._stream)
            case "jsonl":
                return rows.of_json_lines(self._stream)
            case "csv":
                return self._csv(required, optional)
            case "parquet":
                return self._parquet(required, optional)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _csv(self, required: set[str], optional: set[str]) -> Iterator[tuple[int, Row]]:
        try:
            yield from rows.of_csv(
                self._stream, lambda present: self._columns(present, required, optional)
            )
        except rows.BrokenTableError as error:
            raise InputError(f"{self.name}, {error}.") from None

    def _parquet(self, required: set[str], optional: set[str]) -> Iterator[tuple[int, Row]]:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            file = parquet.ParquetFile(self._stream)
            columns = self._columns(file.schema_arrow.names, required, optional)
            number = 0
            for batch in file.iter_batches(PARQUET_BATCH, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    self._parquet_share = number / file.metadata.num_rows
                    yield number, row
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} can't be read as Parquet: {error}.") from None

    def _columns(self, present: list[str], required: set[str], optional: set[str]) -> list[str]:
        missing = sorted(required - set(present))
        if missing:
            raise InputError(
                f"{self.name} has no column {', '.join(map(repr, missing))};"
                f" it has {', '.join(map(repr, present)) or 'none'}.",
                "Name the right ones with --text-column, --id-column and --key-column.",
            )
        return sorted(required | (optional & set(present)))
