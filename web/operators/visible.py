r"""Foreign bytes as text that can be seen: what would act or hide is shown as Python writes it.

An escape in the text itself (`\n` as two characters) looks the same as one of ours; so ours are
apart, and the page marks them.
"""

from typing import NamedTuple

# How surrogateescape brings the bytes 0x80 to 0xff, which are no UTF-8.
_BYTES = range(0xDC80, 0xDD00)
_BYTES_BASE = 0xDC00

# Some screens of text: whoever needs all of it wants the bytes, not a page.
LIMIT = 10_000


class Part(NamedTuple):
    """Characters that are all shown as they are, or that are all escaped."""

    text: str
    escaped: bool


class Visible(NamedTuple):
    """What can be seen of a value: its parts, and how many characters were left out."""

    parts: list[Part]
    more: int


def visible(value: str | bytes | None, limit: int = LIMIT) -> Visible:
    """Split a value into what shows and what is escaped.

    Args:
        value: Bytes are read as UTF-8; those that are none are escaped one by one.
        limit: Most characters to show.
    """
    text = value.decode(errors="surrogateescape") if isinstance(value, bytes) else value or ""
    parts: list[Part] = []
    for character in text[:limit]:
        plain = character.isprintable()
        shown = character if plain else _escape(character)
        if parts and parts[-1].escaped != plain:
            parts[-1] = Part(parts[-1].text + shown, not plain)
        else:
            parts.append(Part(shown, not plain))
        if character == "\n":
            # A line end is shown, and ends the line too.
            parts.append(Part("\n", escaped=False))
    return Visible(parts, max(0, len(text) - limit))


def _escape(character: str) -> str:
    code = ord(character)
    if code in _BYTES:
        return f"\\x{code - _BYTES_BASE:02x}"
    return character.encode("unicode_escape").decode()
