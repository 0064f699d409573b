"""A compiled model as arrays: what the loop reads, in memory and on disk."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Table(NamedTuple):
    """A model as the loop reads it; the order of the fields is the loop's.

    Attributes:
        pages: See `characters.Characters`.
        entries: Same.
        words: Special words, see `tokenise.special`; uint64.
        hot: Slots of the usual n-grams; a power of two of them, uint64, 0 where empty.
        slots: Those of all others; the same.
        rows: Per n-gram: weight in short and in long texts, scale, and its column in the pipeline;
            the usual n-grams first; shape (n-grams, 4), float64.
        options: Whole numbers, see `loop.RULES` and those after it; int64.
        fractions: See `loop.INTERCEPT_SHORT` and those after it; float64.
    """

    pages: NDArray[np.uint16]
    entries: NDArray[np.uint32]
    words: NDArray[np.uint64]
    hot: NDArray[np.uint64]
    slots: NDArray[np.uint64]
    rows: NDArray[np.float64]
    options: NDArray[np.int64]
    fractions: NDArray[np.float64]


def save(table: Table, expected: NDArray[np.float64], path: Path) -> None:
    """Keep a table on disk, whole or not at all.

    Args:
        table: The table.
        expected: What the probes must score.
        path: Ends in `.npz`.

    Raises:
        OSError: It can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, expected=expected, **table._asdict())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load(path: Path) -> tuple[Table, NDArray[np.float64]]:
    """The table and what the probes must score.

    Raises:
        OSError: It can't be read.
        ValueError: It is no such file; `zipfile.BadZipFile` and `KeyError` say the same.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return Table(*(arrays[name] for name in Table._fields)), arrays["expected"]
