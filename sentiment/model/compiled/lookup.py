"""From the tokens of a text to its known n-grams, each once: see `build` for the table's layout."""

from typing import Any

import numpy as np

from sentiment.model.compiled.native import jit, step, trailing_zeros
from sentiment.model.compiled.words import GOLDEN, extend

# Four keys, and then what each of them weighs: a line of the processor's cache.
PER_LINE = 4
LINE_CELLS = 2 * PER_LINE
# The usual n-grams have a place by their key's upper bits; 512 KiB, half of a usual second-level
# cache.
HOT_BITS = 15
HOT_CELLS = (1 << HOT_BITS) // PER_LINE * LINE_CELLS

_HOT_SHIFT = np.uint64(64 - HOT_BITS)
_HOT = np.uint64(HOT_CELLS)
_ZERO, _ONE, _HALF = np.uint64(0), np.uint64(1), np.uint64(32)
_2, _3, _4, _6, _7, _8, _63 = (np.uint64(n) for n in (2, 3, 4, 6, 7, 8, 63))
_NONE = np.uint64(1 << PER_LINE)


@jit
def look_up(
    count: int,
    cells: Any,
    longest: int,
    lines: Any,
    keys: Any,
    entries: Any,
    found: Any,
    where: Any,
) -> int:
    """Find the known n-grams of a text.

    Args:
        count: How many tokens it has.
        cells: See `table.Table`.
        longest: Longest n-gram.
        lines: How many lines a key may begin at; uint64.
        keys: Begins with the tokens' hashes, with space for all n-grams; uint64.
        entries: Scratch buffer of the same size, for keys of the table; uint64.
        found: Gets the cell of what each n-gram weighs, as often as it stands there; int32.
        where: Gets in its first row which n-gram each is, counted by length and then by place; the
            second row is scratch. Shape (2, as many), int32, or no columns: not wanted.

    Returns:
        How many were found.
    """
    with_places = where.shape[1] > 0
    total, begin = count, 0
    for length in range(2, longest + 1):
        for i in range(count - length + 1):
            keys[total + i] = extend(keys[begin + i], keys[i + length - 1])
        begin = total
        total += max(count - length + 1, 0)
    # Loads without a branch between them, so that many are under way at once.
    for i in range(total):
        entries[i] = cells[hot_cell(keys[i])]
    hits: Any = 0
    left: Any = 0
    for i in range(total):
        key = keys[i]
        known = entries[i] == key
        # Written in any case and kept or not: what is known can't be foreseen.
        found[hits] = np.int64(hot_cell(key) + _4)
        if with_places:
            where[0, hits], where[1, left] = i, i
        hits += np.int64(known)
        keys[left] = key
        left += np.int64(not known)
    for i in range(left):
        entries[i] = cells[line_of(keys[i], lines)]
    for i in range(left):
        key = keys[i]
        line = line_of(key, lines)
        match = matches(cells, line, key)
        # One branch, and a rare one.
        if (match == _NONE) & has_more(cells, line):
            line, match = probe(cells, line, key)
        found[hits] = np.int64(line + _4 + trailing_zeros(match))
        if with_places:
            where[0, hits] = where[1, i]
        hits += np.int64(match != _NONE)
    return hits


@step
def hot_cell(key: Any) -> Any:
    """The cell where a key is if it is a usual one."""
    place = key >> _HOT_SHIFT
    return place >> _2 << _3 | place & _3


@step
def number_of(cell: Any) -> Any:
    """Which of all places for an n-gram a cell belongs to."""
    return cell >> 3 << 2 | cell & 3


@step
def line_of(key: Any, lines: Any) -> Any:
    """The first cell of the line that a key begins at: the upper half spread over all lines."""
    return _HOT + ((key >> _HALF) * lines >> _HALF) * _8


@step
def matches(cells: Any, line: Any, key: Any) -> Any:
    """A bit for the key of a line that is the one given; the bit beyond them if none is."""
    first, second = np.uint64(cells[line] == key), np.uint64(cells[line + _ONE] == key)
    third, fourth = np.uint64(cells[line + _2] == key), np.uint64(cells[line + _3] == key)
    found = first | second << _ONE | third << _2 | fourth << _3
    return found if found != _ZERO else _NONE


@step
def has_more(cells: Any, line: Any) -> Any:
    """Whether a key that begins at this line, or before it, had to go on to the next one."""
    return cells[line + _7] & _ONE != _ZERO


@step
def probe(cells: Any, line: Any, key: Any) -> Any:
    """The line, after one that has more, that has the key or no more, and what matches there."""
    while True:
        line += _8
        match = matches(cells, line, key)
        if match != _NONE or not has_more(cells, line):
            return line, match


@jit
def distinct(found: Any, hits: int, marks: Any) -> int:
    """Keep each n-gram once, in the order of first sight.

    Args:
        found: Cells; afterwards the different ones come first.
        hits: How many there are.
        marks: A bit for each place of the table; all 0, and left so; uint64.

    Returns:
        The number of different n-grams.
    """
    kept: Any = 0
    for i in range(hits):
        cell = np.int64(found[i])
        number = np.uint64(number_of(cell))
        bit = _ONE << (number & _63)
        new = marks[number >> _6] & bit == _ZERO
        marks[number >> _6] |= bit
        found[kept] = cell
        kept += np.int64(new)
    for i in range(kept):
        marks[np.uint64(number_of(np.int64(found[i]))) >> _6] = _ZERO
    return kept


@jit
def count(found: Any, hits: int, counts: Any, seen: Any, where: Any) -> int:
    """The same, and count how often each stands there.

    Args:
        found: As above.
        hits: Same.
        counts: Gets how often each stands there; int32.
        seen: Scratch for a hash set of them; a power of two, at least four times as many, int32.
        where: Gets in its second row which of the different ones each is; or has no columns.

    Returns:
        The number of different n-grams.
    """
    with_places = where.shape[1] > 0
    # As small a part as serves, so that it stays in the first cache.
    size = 64
    while size < 4 * hits:
        size *= 2
    seen[:size] = 0
    shift = np.uint64(64) - trailing_zeros(np.uint64(size))
    kept: Any = 0
    for i in range(hits):
        cell = np.int64(found[i])
        place = np.uint64(cell) * GOLDEN >> shift
        entry = seen[place]
        if (entry != 0) & (found[entry - 1] != cell):
            place = free_or_same(seen, size, place, found, cell)
            entry = seen[place]
        # Whether it is new can't be foreseen: all is written in any case.
        new = entry == 0
        other = kept if new else np.int64(entry) - 1
        seen[place] = other + 1
        found[kept] = cell
        counts[kept] = 0
        counts[other] += 1
        if with_places:
            where[1, i] = other
        kept += np.int64(new)
    return kept


@step
def free_or_same(seen: Any, size: int, place: Any, found: Any, cell: Any) -> Any:
    """The place of a cell in the set after one that is another's."""
    mask = np.uint64(size - 1)
    while True:
        place = (place + _ONE) & mask
        entry = seen[place]
        if entry == 0 or found[entry - 1] == cell:
            return place
