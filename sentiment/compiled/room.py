"""What a native loop needs beside the model: texts as bytes, and scratch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Scratch is kept for texts of up to this many bytes, the worker's own limit for an event; a longer
# one gets scratch of its own, which goes when it is done.
ROOM_BYTES = 65536

# The loop reads 64 bytes at a time.
_PADDING = b"\n" * 64


class Room(NamedTuple):
    """Scratch of one call; what each is for, see `loop`."""

    cuts: NDArray[np.int32]
    keys: NDArray[np.uint64]
    entries: NDArray[np.uint64]
    found: NDArray[np.int32]
    counts: NDArray[np.int32]
    seen: NDArray[np.int32]
    marks: NDArray[np.uint64]
    spans: NDArray[np.int32]
    where: NDArray[np.int32]


class Page(NamedTuple):
    """Further scratch of a call that explains, and what it writes; see `explain`."""

    slots: NDArray[np.int32]
    order: NDArray[np.int32]
    amounts: NDArray[np.float64]
    words: NDArray[np.uint64]
    lengths: NDArray[np.int64]
    json: NDArray[np.uint8]


def new_room(size: int, longest: int, places: int, *, explains: bool = False) -> Room:
    """Scratch for a text of that many bytes, which has at most as many tokens.

    What is never touched costs no memory, and most of it never is.
    """
    grams = size * longest
    rows = (size, grams) if explains else (0, 0)
    return Room(
        np.empty(size + 2, np.int32),
        np.empty(grams, np.uint64),
        np.empty(grams, np.uint64),
        # One more: what may be found is written before it is known to be.
        np.empty(grams + 1, np.int32),
        np.empty(grams + 1, np.int32),
        np.empty(max(64, 1 << (4 * grams).bit_length()), np.int32),
        np.zeros(places // 64 + 1, np.uint64),
        np.empty((rows[0], 2), np.int32),
        np.empty((2, rows[1] + explains), np.int32),
    )


def new_page(size: int, longest: int, json_bytes: int) -> Page:
    """The same for what a call that explains needs beside a room."""
    grams = size * longest
    return Page(
        np.empty(grams, np.int32),
        np.empty((3, grams + 1), np.int32),
        np.empty(grams, np.float64),
        np.empty((2, size), np.uint64),
        np.empty((2, size), np.int64),
        np.empty(json_bytes, np.uint8),
    )


def encoded(texts: Sequence[str]) -> list[bytes]:
    """Texts in UTF-8."""
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError:
        # Halves of surrogate pairs are no characters, but Python's strings may hold them.
        return [text.encode("utf-8", "surrogatepass") for text in texts]


def padded(texts: Sequence[bytes]) -> NDArray[np.uint8]:
    """Texts with a line feed after each, and with what the loop may read beyond the last one."""
    return np.frombuffer(b"\n".join((*texts, _PADDING)), np.uint8)
