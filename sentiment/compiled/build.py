"""The hash table of a compiled model: every known n-gram with its weights, found by one 64-bit key.

A slot holds a row's number in its lower bits and the key's lower bits above; the slot's place is
the key's upper bits. Together they are the whole key, so known n-grams are told apart for certain
(`build` looks for equal keys and takes another seed), and an unknown n-gram is mistaken for a known
one with a chance of about 2^-(64 - bits) per slot that is looked at: for a million n-grams 1.1e-13,
which is one n-gram in ten thousand million film reviews.

Most of what a text has is in a few thousand n-grams. They have a small table of their own, which
stays in the processor's nearer caches; the large one is asked for the rest.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.compiled.characters import characters
from sentiment.compiled.linear import Linear
from sentiment.compiled.lookup import shift_of
from sentiment.compiled.native import jit
from sentiment.compiled.table import Table
from sentiment.compiled.tokenise import FILTER
from sentiment.compiled.words import NEGATION, extend, finish, fold, push
from sentiment.errors import SentimentError
from sentiment.text import NEGATED

# 256 KiB, with as much again for the rows: half of a usual second-level cache.
HOT_SLOTS = 1 << 15
# How many n-grams of one, two, three words may be hot. Two in three find their slot empty.
HOT = (8192, 6144, 2048)
# Three to six slots per row: an unknown n-gram then mostly ends at the first one.
SLOTS_PER_ROW = 3
# Two equal 64-bit keys among two million have a chance of 1e-7; three seeds in a row never fail.
SEEDS = (0xCBF29CE484222325, 0x84222325CBF29CE4, 0x9E3779B97F4A7C15)


def build(linear: Linear) -> Table:
    """Lay a linear model out as a table."""
    for seed in SEEDS:
        keys = _keys(linear, np.uint64(seed))
        if len(np.unique(keys)) == len(keys):
            break
    else:
        raise SentimentError("Two n-grams of the model have the same key with every seed.")
    bits = len(keys).bit_length()
    hot = np.zeros(HOT_SLOTS, np.uint64)
    slots = np.zeros(1 << (SLOTS_PER_ROW * len(keys)).bit_length(), np.uint64)
    columns = np.empty(len(keys), np.int64)
    _fill(hot, slots, keys, _usual(linear), np.uint64(bits), columns)
    weights = linear.short, linear.long, linear.scale, np.arange(len(keys))
    rows = np.column_stack(weights).astype(np.float64)[columns]
    options = (
        linear.rules, np.uint64(seed).astype(np.int64), linear.scope, linear.fold, linear.longest,
        bits, linear.counting, linear.norm,
    )  # fmt: skip
    return Table(
        *characters(),
        _special_words(linear.special, np.uint64(seed)),
        hot,
        slots,
        rows,
        np.array(options, np.int64),
        np.array([*linear.intercepts, *linear.lengths], np.float64),
    )


def _keys(linear: Linear, seed: np.uint64) -> NDArray[np.uint64]:
    """The key of each feature, in the order of the columns."""
    tokens = token_hashes(linear.words, seed)
    keys = np.empty(len(linear.short), np.uint64)
    for columns, grams in linear.grams:
        key = tokens[grams[:, 0]]
        for place in range(1, grams.shape[1]):
            key = _extended(key, tokens[grams[:, place]])
        keys[columns] = key
    return keys


def token_hashes(words: list[str], seed: np.uint64) -> NDArray[np.uint64]:
    """The hash of each token as the loop finds it; one that begins with `NEGATED` is marked."""
    marked = np.array([word.startswith(NEGATED) for word in words], bool)
    hashes: NDArray[np.uint64] = _finished(_hashes(words, seed), marked)
    return hashes


def _hashes(words: list[str], seed: np.uint64) -> NDArray[np.uint64]:
    """Not finished, and without their marks: that is how special words are looked up."""
    plain = [word.removeprefix(NEGATED) for word in words]
    codes = np.frombuffer("".join(plain).encode("utf-32-le", "surrogatepass"), "<u4")
    ends = np.cumsum([len(word) for word in plain], dtype=np.int64)
    hashes: NDArray[np.uint64] = _hashed(codes, ends, seed)
    return hashes


def _special_words(special: dict[str, int], seed: np.uint64) -> NDArray[np.uint64]:
    """See `tokenise.special`: the filter, then hash and kind of each word."""
    table = np.zeros(FILTER + 2 * len(special), np.uint64)
    for i, h in enumerate(_hashes(list(special), seed)):
        table[int(h) >> 6 & FILTER - 1] |= np.uint64(1) << (h & np.uint64(63))
        table[FILTER + 2 * i] = h
    table[FILTER + 1 :: 2] = list(special.values())
    return table


@jit
def _hashed(codes: Any, ends: Any, seed: Any) -> Any:
    hashes = np.empty(len(ends), np.uint64)
    begin = 0
    for number in range(len(ends)):
        h, chunk, bits = seed, np.uint64(0), np.uint64(0)
        for i in range(begin, ends[number]):
            h, chunk, bits = push(h, chunk, bits, np.int64(codes[i]))
        hashes[number] = fold(h, chunk) if bits != 0 else h
        begin = ends[number]
    return hashes


@jit
def _finished(hashes: Any, marked: Any) -> Any:
    """Words' hashes as the tokeniser leaves them, those marked as negated with their mark."""
    done = np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        done[i] = finish(hashes[i] ^ NEGATION if marked[i] else hashes[i])
    return done


@jit
def _extended(grams: Any, tokens: Any) -> Any:
    longer = np.empty(len(grams), np.uint64)
    for i in range(len(grams)):
        longer[i] = extend(grams[i], tokens[i])
    return longer


def _usual(linear: Linear) -> NDArray[np.int64]:
    """Columns that may be hot: our vectoriser numbers the n-grams in most texts first."""
    most = dict(enumerate(HOT, start=1))
    return np.concatenate(
        [columns[: most.get(grams.shape[1], 0)] for columns, grams in linear.grams]
    )


@jit
def _fill(hot: Any, slots: Any, keys: Any, usual: Any, bits: Any, columns: Any) -> None:
    """Give each key a slot and a row; `columns` gets the column of each row."""
    done = np.zeros(len(keys), np.bool_)
    row = 0
    for column in usual:
        key = keys[column]
        place = key >> shift_of(hot)
        if hot[place] == 0:
            hot[place] = key << bits | np.uint64(row + 1)
            columns[row], done[column] = column, True
            row += 1
    mask = np.uint64(len(slots) - 1)
    for column in range(len(keys)):
        if not done[column]:
            key = keys[column]
            place = key >> shift_of(slots)
            while slots[place] != 0:
                place = (place + np.uint64(1)) & mask
            slots[place] = key << bits | np.uint64(row + 1)
            columns[row] = column
            row += 1
