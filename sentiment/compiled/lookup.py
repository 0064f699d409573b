"""From the tokens of a text to its known n-grams, each once: two hash tables, see `build`."""

from typing import Any

import numpy as np

from sentiment.compiled.native import jit, prefetch, step, trailing_zeros
from sentiment.compiled.words import GOLDEN, extend

# Of a row, two to the power of this are its numbers: see `loop.SCALE`.
_ROW_BITS = np.uint64(2)

_ZERO, _ONE = np.uint64(0), np.uint64(1)


@jit
def look_up(
    count: int, hot: Any, slots: Any, rows: Any, longest: int, bits: Any, keys: Any,
    entries: Any, found: Any, where: Any,
) -> int:  # fmt: skip
    """Find the known n-grams of a text.

    Args:
        count: How many tokens it has.
        hot: See `table.Table`.
        slots: Same.
        rows: Same.
        longest: Longest n-gram.
        bits: Lower bits of a slot that are a row's number.
        keys: Begins with the tokens' hashes, and has room for all n-grams; uint64.
        entries: As much room for what the slots hold; uint64.
        found: Gets the rows, as often as their n-grams stand there; int32.
        where: Gets in its first row which n-gram each is, counted by length and then by place;
            shape (2, as many), int32, or no columns: not wanted.

    Returns:
        How many were found.
    """
    hot_shift, shift = shift_of(hot), shift_of(slots)
    last = (_ONE << bits) - _ONE
    with_places = where.shape[1] > 0
    total, begin = count, 0
    for length in range(2, longest + 1):
        for i in range(count - length + 1):
            keys[total + i] = extend(keys[begin + i], keys[i + length - 1])
        begin = total
        total += max(count - length + 1, 0)
    # Loads without a branch between them, so that many are under way at once: the tables are larger
    # than the processor's caches.
    for i in range(total):
        entries[i] = hot[keys[i] >> hot_shift]
    hits: Any = 0
    left: Any = 0
    for i in range(total):
        key = keys[i]
        # 1 to `last` where the slot is the key's: the row's number and one more.
        row = entries[i] ^ key << bits
        known = row - _ONE < last
        # Written in any case and kept or not: what is known can't be foreseen.
        found[hits] = np.int64(row - _ONE if known else _ZERO)
        if with_places:
            where[0, hits], where[1, left] = i, i
        hits += np.int64(known)
        keys[left] = key
        left += np.int64(not known)
    for i in range(left):
        entries[i] = slots[keys[i] >> shift]
    for i in range(left):
        entry, key = entries[i], keys[i]
        row = entry ^ key << bits
        # One branch, and a rare one.
        if (entry != _ZERO) & (row > last):
            row = probe(slots, key, shift, bits)
        known = row - _ONE < last
        row = row - _ONE if known else _ZERO
        prefetch(rows, row << _ROW_BITS)
        found[hits] = np.int64(row)
        if with_places:
            where[0, hits] = where[1, i]
        hits += np.int64(known)
    return hits


@step
def shift_of(slots: Any) -> Any:
    """By how much a key is shifted to get its slot: the upper bits are the slot's number."""
    return np.uint64(64) - trailing_zeros(np.uint64(len(slots)))


@step
def probe(slots: Any, key: Any, shift: Any, bits: Any) -> Any:
    """A key's slot less the key, where its first slot is another's; beyond all rows if none."""
    mask = np.uint64(len(slots) - 1)
    place = key >> shift
    while True:
        place = (place + _ONE) & mask
        row = slots[place] ^ key << bits
        if slots[place] == _ZERO:
            return ~_ZERO
        if row < _ONE << bits:
            return row


@jit
def distinct(found: Any, hits: int, counts: Any, seen: Any) -> int:
    """Keep each n-gram once, in the order of first sight, and count it.

    Args:
        found: Rows; afterwards the different ones come first.
        hits: How many there are.
        counts: Gets how often each stands there; int32.
        seen: Room for a hash set of them; a power of two, at least four times as many, int32.

    Returns:
        The number of different rows.
    """
    # As small a part as serves, so that it stays in the first cache.
    size = 64
    while size < 4 * hits:
        size *= 2
    seen[:size] = 0
    shift = np.uint64(64) - trailing_zeros(np.uint64(size))
    kept: Any = 0
    for i in range(hits):
        row = np.int64(found[i])
        place = np.uint64(row) * GOLDEN >> shift
        entry = seen[place]
        if (entry != 0) & (found[entry - 1] != row):
            place = free_or_same(seen, size, place, found, row)
            entry = seen[place]
        # Whether it is new can't be foreseen: all is written in any case.
        new = entry == 0
        other = kept if new else np.int64(entry) - 1
        seen[place] = other + 1
        found[kept] = row
        counts[kept] = 0
        counts[other] += 1
        kept += np.int64(new)
    return kept


@step
def free_or_same(seen: Any, size: int, place: Any, found: Any, row: Any) -> Any:
    """The place of a row in the set after one that is another's."""
    mask = np.uint64(size - 1)
    while True:
        place = (place + _ONE) & mask
        entry = seen[place]
        if entry == 0 or found[entry - 1] == row:
            return place
