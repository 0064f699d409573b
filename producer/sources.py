"""From files to the events that are sent: where texts come from, and what stands where in a row."""

import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from sentiment import rows
from sentiment.errors import InputError
from sentiment.kafka.producer import encode
from sentiment.rows import Fault, Format, Row

HINT = "Name the right ones with --text-column, --id-column and --key-column."


class Source:
    """One file, or standard input (`-`); the format `auto` goes by the name's ending.

    Raises:
        InputError: It can't be read, or its format can't be told.
    """

    def __init__(self, name: str, format: Format | Literal["auto"]) -> None:  # noqa: A002 - the word users know
        self.name = "standard input" if name == "-" else name
        path = Path(name)
        # A name without an ending has lines, as standard input has.
        known = rows.format_of(name) or ("lines" if not path.suffix else None)
        form = known if format == "auto" else format
        if form is None:
            raise InputError(
                f"The format of {name} can't be told from its name.",
                f"Say it with --format {', '.join(rows.FORMATS)}.",
            )
        self.format: Format = form
        if name == "-" and form == "parquet":
            raise InputError("Parquet can't be read from standard input.", "Give a file instead.")
        try:
            self._file: BinaryIO = sys.stdin.buffer if name == "-" else path.open("rb")
            self._size = os.fstat(self._file.fileno()).st_size if name != "-" else 0
            self._stream = rows.opened(self._file, self.name, self._size)
        except OSError as error:
            raise InputError(f"{name} can't be read: {error.strerror}.") from None

    def share_read(self) -> float | None:
        """How much of it has been read, from 0 to 1; None where that can't be known."""
        if not self._size or self._file.closed:
            return None
        return min(1.0, self._file.tell() / self._size)

    def raw_lines(self) -> Iterator[tuple[int, bytes | Fault]]:
        """Lines as bytes with their numbers from 1, without their ends; or why there are none."""
        return rows.lines(self._stream, self.name)

    def rows(self, required: set[str], optional: set[str]) -> Iterator[tuple[int, Row]]:
        """Rows with their numbers: lines count from 1, rows of tables from their first.

        A file with columns must have the required ones.

        Raises:
            InputError: The file is not what its format says.
        """
        choose = rows.columns(sorted(required), sorted(optional), self.name, HINT)
        return rows.rows(self._stream, self.format, choose, self.name)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Columns:
    """Which columns of a file, or fields of its JSON objects, hold what.

    Without one for the id it is `id`, where there is one; without one for the record's key, the
    event's id. The source is that of rows that don't say it themselves.
    """

    text: str = "text"
    id: str = ""
    key: str = ""
    source: str = ""

    def required(self) -> set[str]:
        """Columns that a file must have."""
        return {self.text, self.id, self.key} - {""}


def to_event(row: Row, columns: Columns) -> tuple[bytes, str | None]:
    """The JSON and the key of a row's event; None leaves the key to the event's id.

    Fields that the wire doesn't know stay in it.

    Raises:
        InputError: The row can't be an event.
    """
    if isinstance(row, Fault):
        raise InputError(f"The row is {row.message}.")
    fields: dict[str, Any] = dict(row)
    key = _string(fields, columns.key) if columns.key else None
    if columns.id:
        fields["id"] = _string(fields, columns.id)
    # Without an id nobody could tell an event that was sent twice from two events.
    if _value(fields.get("id")) is None:
        fields["id"] = str(uuid.uuid4())
    if columns.text != "text":
        fields["text"] = _field(fields, columns.text)
        del fields[columns.text]
    if columns.source:
        fields.setdefault("source", columns.source)
    return encode(fields), key


def _field(fields: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - JSON
    if name not in fields:
        raise InputError(f"The row has no {name!r}.")
    return fields[name]


def _value(field: Any) -> Any:  # noqa: ANN401 - JSON
    try:
        return msgspec.json.decode(field) if isinstance(field, msgspec.Raw) else field
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("The row is not valid JSON.") from None


def _string(fields: dict[str, Any], name: str) -> str | None:
    """Identifiers are numbers in many files, and strings on the wire."""
    value = _value(_field(fields, name))
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"The row's {name!r} is neither a string nor a whole number.")
