"""The hash table of a compiled model: every known n-gram with its weights, found by one 64-bit key.

A line of the table is what a processor fetches from memory at a time: four keys, and what each of
them weighs. So one fetch tells all about an n-gram, known or unknown. What finds its line full goes
to the next one, and the line says so. Most of a text is in a few thousand n-grams: they come first,
in a part of the table that stays in a processor's cache, where the upper bits of their key say.

Known n-grams are told apart for certain: `build` looks for equal keys and takes another seed. An
unknown n-gram is mistaken for one of a million known ones with a chance of 10^6 / 2^64 = 5e-14,
once in some thirty thousand million film reviews.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import SentimentError
from sentiment.model.compiled import lookup, loop
from sentiment.model.compiled.characters import characters
from sentiment.model.compiled.linear import Linear
from sentiment.model.compiled.native import jit
from sentiment.model.compiled.table import Table, aligned
from sentiment.model.compiled.tokenise import FILTER
from sentiment.model.compiled.words import NEGATION, extend, finish, fold, push
from sentiment.model.text import NEGATED

# How many n-grams of one, two, three words may be among the usual ones. Two in three find their
# place free.
USUAL = (8192, 6144, 2048)
# Three times as many places as n-grams: one line in a hundred has more than it can hold.
PLACES = 3
# How far a key may be pushed on, and so as many lines beyond those that keys begin at. By chance it
# is a few; on purpose it would be all of them, and each unknown n-gram would be looked for in all.
SPARE_LINES = 64
# Two equal 64-bit keys among two million have a chance of 1e-7; three seeds in a row never fail.
SEEDS = (0xCBF29CE484222325, 0x84222325CBF29CE4, 0x9E3779B97F4A7C15)


def build(linear: Linear) -> Table:
    """Lay a linear model out as a table."""
    weights = np.column_stack([linear.short, linear.long, linear.scale]).astype(np.float64)
    packed = _packed(weights)
    size = len(weights)
    payloads = np.arange(size, dtype=np.uint64) << np.uint64(1) if packed is None else packed
    lines = PLACES * size // lookup.PER_LINE + 1
    for seed in SEEDS:
        keys = _keys(linear, np.uint64(seed))
        if len(np.unique(keys)) < size or not keys.all():
            continue
        cells = aligned(lookup.HOT_CELLS + (lines + SPARE_LINES) * lookup.LINE_CELLS)
        columns = np.full(len(cells) // 2, -1, np.int32)
        if fill(cells, columns, keys, payloads, _usual(linear), np.uint64(lines)):
            break
    else:
        raise SentimentError("N-grams of the model have the same keys or places with every seed.")
    options = (
        linear.rules, np.uint64(seed).astype(np.int64), linear.scope, linear.fold, linear.longest,
        lines, packed is not None, linear.counting, linear.norm,
    )  # fmt: skip
    return Table(
        *characters(),
        _special_words(linear.special, np.uint64(seed)),
        cells,
        weights if packed is None else weights[:0],
        columns,
        np.array(options, np.int64),
        np.array([*linear.intercepts, *linear.lengths], np.float64),
    )


def _packed(weights: NDArray[np.float64]) -> NDArray[np.uint64] | None:
    """Three numbers in one of 64 bits, where that is exact: our own weights are rounded so."""
    kept = np.uint64(64 - loop.PACKED_BITS)
    bits = np.ascontiguousarray(weights).view(np.uint64) >> kept
    if not np.array_equal((bits << kept).view(np.float64), weights):
        return None
    short, long, scale = (bits << kept).T
    step = np.uint64(loop.PACKED_BITS)
    packed: NDArray[np.uint64] = short | long >> step | scale >> step >> step
    return packed


def _keys(linear: Linear, seed: np.uint64) -> NDArray[np.uint64]:
    """The key of each feature, in the order of the columns."""
    tokens = token_hashes(linear.words, seed)
    keys = np.empty(len(linear.short), np.uint64)
    for columns, grams in linear.grams:
        key = tokens[grams[:, 0]]
        for place in range(1, grams.shape[1]):
            key = extended(key, tokens[grams[:, place]])
        keys[columns] = key
    return keys


def token_hashes(words: list[str], seed: np.uint64) -> NDArray[np.uint64]:
    """The hash of each token as the loop finds it; one that begins with `NEGATED` is marked."""
    marked = np.array([word.startswith(NEGATED) for word in words], bool)
    hashes: NDArray[np.uint64] = finished(_hashes(words, seed), marked)
    return hashes


def _hashes(words: list[str], seed: np.uint64) -> NDArray[np.uint64]:
    """Not finished, and without their marks: that is how special words are looked up."""
    plain = [word.removeprefix(NEGATED) for word in words]
    codes = np.frombuffer("".join(plain).encode("utf-32-le", "surrogatepass"), "<u4")
    ends = np.cumsum([len(word) for word in plain], dtype=np.int64)
    hashes: NDArray[np.uint64] = hashed(codes, ends, seed)
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
def hashed(codes: Any, ends: Any, seed: Any) -> Any:
    """Words' hashes from their code points, one word after the other; see `words.push`."""
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
def finished(hashes: Any, marked: Any) -> Any:
    """Words' hashes as the tokeniser leaves them, those marked as negated with their mark."""
    done = np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        done[i] = finish(hashes[i] ^ NEGATION if marked[i] else hashes[i])
    return done


@jit
def extended(grams: Any, tokens: Any) -> Any:
    """Keys of n-grams that are one token longer; see `words.extend`."""
    longer = np.empty(len(grams), np.uint64)
    for i in range(len(grams)):
        longer[i] = extend(grams[i], tokens[i])
    return longer


def _usual(linear: Linear) -> NDArray[np.int64]:
    """Columns of usual n-grams: our vectoriser numbers those in most texts first."""
    most = dict(enumerate(USUAL, start=1))
    return np.concatenate(
        [columns[: most.get(grams.shape[1], 0)] for columns, grams in linear.grams]
    )


@jit
def fill(cells: Any, columns: Any, keys: Any, payloads: Any, usual: Any, lines: Any) -> bool:
    """Give each key a place; `columns` gets the column of each place.

    Returns:
        Whether each has one, less than `SPARE_LINES` lines from where it begins.
    """
    for column in usual:
        cell = np.int64(lookup.hot_cell(keys[column]))
        if cells[cell] == 0:
            cells[cell], cells[cell + lookup.PER_LINE] = keys[column], payloads[column]
            columns[lookup.number_of(cell)] = column
    for column in range(len(keys)):
        key = keys[column]
        if cells[lookup.hot_cell(key)] == key:
            continue
        first = line = np.int64(lookup.line_of(key, lines))
        while cells[line + lookup.PER_LINE - 1] != 0:
            cells[line + lookup.LINE_CELLS - 1] |= np.uint64(1)
            line += lookup.LINE_CELLS
            if line >= first + (SPARE_LINES - 1) * lookup.LINE_CELLS:
                return False
        cell = line
        while cells[cell] != 0:
            cell += 1
        cells[cell] = key
        cells[cell + lookup.PER_LINE] |= payloads[column]
        columns[lookup.number_of(cell)] = column
    return True
