"""From what stands in a source's row to a labelled text, or the reason why it is none.

| reason | what is wrong with the row |
|---|---|
| `malformed` | it is no JSON object, or its quotes are no CSV |
| `ragged` | it has more or fewer fields than the CSV header |
| `not_utf8` | bytes that are no UTF-8, or half of a surrogate pair |
| `not_text` | where the text should be is nothing, a number or a list |
| `empty_text` | the text is empty or white space |
| `no_label` | it has no label |
| `unknown_label` | its label is none of the source's `labels` |
| `too_long` | far longer than any text of its kind |
"""

import math
import re
import reprlib
from collections.abc import Mapping
from typing import Literal, NamedTuple

from sentiment.errors import InputError
from sentiment.rows import EXCERPT_CHARS
from trainer.params import Source

Reason = Literal[
    "malformed",
    "ragged",
    "not_utf8",
    "not_text",
    "empty_text",
    "no_label",
    "unknown_label",
    "too_long",
]
Split = Literal["auto", "train", "test"]

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0*")
_BOOLEANS = {"true": "1", "false": "0"}


class Cells(NamedTuple):
    """What a reader found in one row; `None` where there is nothing."""

    text: object
    label: object
    group: object = None
    domain: object = None
    # Where the source itself has a split.
    split: Split = "auto"


class Fault(NamedTuple):
    """Why a row is unusable, and a short excerpt of it."""

    reason: Reason
    excerpt: str


class Example(NamedTuple):
    """A labelled text; `group` and `domain` are None where the row has none."""

    text: str
    label: int
    group: str | None
    domain: str | None
    split: Split


def label_table(source: Source) -> dict[str, int]:
    """The source's labels as they are looked up.

    Raises:
        InputError: Two of them are the same but for case, white space or `.0`, and differ in
            meaning.
    """
    table: dict[str, int] = {}
    for written, meaning in source.labels.items():
        if table.setdefault(_key(written), meaning) != meaning:
            raise InputError(f"Source {source.name!r}: its labels give {written!r} two meanings.")
    return table


def example(cells: Cells, labels: Mapping[str, int]) -> Example | Fault:
    """Check one row.

    Args:
        cells: The row.
        labels: Of `label_table`.
    """
    if not isinstance(cells.text, str):
        return _fault("not_text", cells)
    if not cells.text.strip():
        return _fault("empty_text", cells)
    label = _key(cells.label)
    if not label:
        return _fault("no_label", cells)
    meaning = labels.get(label, labels.get(_BOOLEANS.get(label, "")))
    if meaning is None:
        return _fault("unknown_label", cells)
    group, domain = _name(cells.group), _name(cells.domain)
    if not all(map(_is_unicode, (cells.text, group or "", domain or ""))):
        return _fault("not_utf8", cells)
    return Example(cells.text, meaning, group, domain, cells.split)


def _fault(reason: Reason, cells: Cells) -> Fault:
    return Fault(reason, f"label={_short.repr(cells.label)} text={_short.repr(cells.text)}")


def _key(value: object) -> str:
    """A label as it is compared: `1`, `1.0`, "1" and " 1.0 " are the same; empty: none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = str(value).strip().casefold()
    whole = _WHOLE_NUMBER.fullmatch(text)
    return whole[1] if whole else text


def _name(value: object) -> str | None:
    """A group or domain; numbers that a missing value elsewhere made fractions are whole again."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    return None if value is None else str(value).strip() or None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_short = reprlib.Repr()
_short.maxstring = _short.maxother = EXCERPT_CHARS
