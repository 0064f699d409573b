"""Every code point of Unicode as the rules of `sentiment.model.text` see it, in one small table.

Made from this Python's own `str.lower` and regular expressions, so that the compiled loop and the
rules agree whatever version of Unicode the interpreter has.
"""

import re
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.model.text import APOSTROPHES

# What a code point is to the loop.
OTHER, WORD, APOSTROPHE, SHOUT, MARK, PICTURE, SPACE, AT, LESS, CONTEXT = range(10)

# Lower-casing these depends on their neighbours, or makes two of one: texts that hold one are
# lower-cased by Python first (`str.lower`), which leaves none of them.
CONTEXTUAL = "\u0130\u03a3"

# Code points are found by page and place: most of the 4,352 pages are alike and are kept once.
PAGE_BITS = 8
CODE_POINTS = 0x110000
# An entry's upper bits hold the kind; the lower ones what to add to get the lower-case code point,
# so that pages of code points without a case are alike.
KIND_SHIFT = 24
SHIFT_MASK = (1 << KIND_SHIFT) - 1

# In the order in which they are written, so that a later rule wins.
_KINDS = (
    (PICTURE, "[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"),
    # Some pictographs are digits too, and those are words.
    (WORD, r"\w"),
    (SPACE, r"\s"),
    (APOSTROPHE, f"[{APOSTROPHES}]"),
    (SHOUT, "[!?]"),
    (MARK, r"""[.,;:()"*]"""),
    (AT, "@"),
    (LESS, "<"),
    (CONTEXT, f"[{CONTEXTUAL}]"),
)


class Characters(NamedTuple):
    """The table; a code point's entry is `entries[(pages[code >> 8] << 8) + (code & 255)]`.

    Attributes:
        pages: The number of each page's content; shape (4352,), uint16. ASCII's is 0.
        entries: The contents, one after the other; shape (256 x contents,), uint32.
    """

    pages: NDArray[np.uint16]
    entries: NDArray[np.uint32]


@cache
def characters() -> Characters:
    """The table of this interpreter; made once, in about a tenth of a second."""
    codes = np.arange(CODE_POINTS, dtype="<u4")
    every = codes.tobytes().decode("utf-32-le", "surrogatepass")
    lower = _codes(re.sub(f"[{CONTEXTUAL}]", "\0", every).lower())
    entries = (lower - codes) & SHIFT_MASK
    for kind, pattern in _KINDS:
        found = _codes("".join(re.findall(pattern, every)))
        entries[found] = entries[found] & SHIFT_MASK | kind << KIND_SHIFT
    numbers: dict[bytes, int] = {}
    contents = entries.reshape(-1, 1 << PAGE_BITS)
    pages = [numbers.setdefault(page.tobytes(), len(numbers)) for page in contents]
    # A copy, which may be written to like what is read from disk: for what may not, native code is
    # another, and a second start would compile all of it again.
    distinct = np.frombuffer(b"".join(numbers), np.uint32).copy()
    return Characters(np.array(pages, np.uint16), distinct)


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
