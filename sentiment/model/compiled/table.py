"""A compiled model as arrays: what the loop reads, in memory and on disk."""

from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of the processors that we know.
LINE_BYTES = 64
# Of a table. The bundled model's has 48 MiB; a worker holds up to three while one is swapped,
# beside all else in the 1 GiB of its container.
MOST_BYTES = 128 << 20


class Table(NamedTuple):
    """A model as the loop reads it; the order of the fields is the loop's.

    Attributes:
        pages: See `characters.Characters`.
        entries: Same.
        words: Special words, see `tokenise.special`; uint64.
        cells: The n-grams: keys, and what each weighs or the number of its row; see `build`. Empty
            keys are 0; uint64.
        rows: Weight in short and in long texts, and scale, of n-grams whose numbers fit in no cell;
            shape (n-grams or 0, 3), float64.
        columns: Of the pipeline, for each place that an n-gram may have; int32.
        options: Whole numbers, see `loop.RULES` and those after it; int64.
        fractions: See `loop.INTERCEPT_SHORT` and those after it; float64.
    """

    pages: NDArray[np.uint16]
    entries: NDArray[np.uint32]
    words: NDArray[np.uint64]
    cells: NDArray[np.uint64]
    rows: NDArray[np.float64]
    columns: NDArray[np.int32]
    options: NDArray[np.int64]
    fractions: NDArray[np.float64]


def aligned(size: int) -> NDArray[np.uint64]:
    """That many cells, all 0, which begin where a line of the processor's cache begins."""
    memory = np.zeros(size + LINE_BYTES // 8, np.uint64)
    begin = -memory.ctypes.data % LINE_BYTES // 8
    return memory[begin : begin + size]


def write(table: Table, expected: NDArray[np.float64], file: BinaryIO) -> None:
    """Write a table.

    Args:
        table: The table.
        expected: What the probes must score.
        file: Gets it; begins at its begin.

    Raises:
        OSError: It can't be written.
    """
    np.savez(file, expected=expected, **table._asdict())


def read(file: BinaryIO) -> tuple[Table, NDArray[np.float64]]:
    """The table and what the probes must score.

    Raises:
        OSError: It can't be read.
        ValueError: It is no such file, or too large; much else says the same.
    """
    with np.load(file, allow_pickle=False) as arrays:
        if sum(entry.file_size for entry in arrays.zip.infolist()) > MOST_BYTES:
            raise ValueError(f"it takes more than {MOST_BYTES >> 20} MiB")
        found = Table(*(arrays[name] for name in Table._fields))
        cells = aligned(len(found.cells))
        cells[:] = found.cells
        return found._replace(cells=cells), arrays["expected"]
