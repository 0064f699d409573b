"""From the row of a file to the JSON of an event."""

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from producer.validation import encode
from sentiment.errors import InputError
from sentiment.rows import Row


@dataclass(frozen=True)
class Columns:
    """Which columns of a file, or fields of its JSON objects, hold what.

    Attributes:
        text: The text.
        id: The event's id; empty: `id` where there is one.
        key: The record's key; empty: the event's id.
        source: Where the texts come from, for rows that don't say it themselves.
    """

    text: str = "text"
    id: str = ""
    key: str = ""
    source: str = ""

    def required(self) -> set[str]:
        """Columns that a file must have."""
        return {self.text, self.id, self.key} - {""}


def to_event(row: Row, columns: Columns) -> tuple[bytes, str | None]:
    """Make an event of a row. Fields that the wire doesn't know stay in it.

    Args:
        row: Its fields, or why it has none.
        columns: What stands where.

    Returns:
        The event's JSON and its key; None leaves the key to the event's id.

    Raises:
        InputError: The row can't be an event.
    """
    if isinstance(row, str):
        raise InputError(f"The row is {row}.")
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
