"""The hash table of a compiled model: every known n-gram with its weights, found by one 64-bit key.

A slot of 64 bits holds a feature's number in its lower bits and the key's lower bits above; the
slot's place is the key's upper bits. Together they are the whole key, so known n-grams are told
apart for certain (`build` looks for equal keys and takes another seed), and an unknown n-gram is
mistaken for a known one with a chance of about 2^-(64 - bits) per slot that is looked at: for a
million features 1.1e-13, which is one n-gram in ten thousand million film reviews.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.compiled import loop
from sentiment.compiled.characters import characters
from sentiment.compiled.linear import Linear
from sentiment.compiled.native import jit
from sentiment.compiled.table import Table
from sentiment.compiled.words import NEGATION, extend, finish, fold, push
from sentiment.errors import SentimentError
from sentiment.text import NEGATED

# A third of the slots are in use at most: an unknown n-gram is then mostly told by one look.
SLOTS_PER_FEATURE = 3
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
    size = 1 << int(np.ceil(np.log2(max(SLOTS_PER_FEATURE * len(keys), 64))))
    shift = 64 - int(np.log2(size))
    bits = len(keys).bit_length()
    slots = np.zeros(size, np.uint64)
    _fill(slots, keys, np.uint64(shift), np.uint64(bits))
    weights = np.zeros((len(keys), loop.WEIGHT_COLUMNS))
    weights[:, loop.WEIGHT_SHORT] = linear.short
    weights[:, loop.WEIGHT_LONG] = linear.long
    weights[:, loop.SCALE] = linear.scale
    options = (
        linear.rules, np.uint64(seed).astype(np.int64), linear.scope, linear.fold, linear.longest,
        shift, bits, linear.counting, linear.norm,
    )  # fmt: skip
    return Table(
        *characters(),
        _special_words(linear.special, np.uint64(seed)),
        slots,
        weights,
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
    size = 1 << max(4 * len(special), 4).bit_length()
    table = np.zeros((size, 2), np.uint64)
    hashes = _hashes(list(special), seed)
    for h, kind in zip(hashes.tolist(), special.values(), strict=True):
        place = h % size
        while table[place, 1]:
            place = (place + 1) % size
        table[place] = h, kind
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


@jit
def _fill(slots: Any, keys: Any, shift: Any, bits: Any) -> None:
    mask = np.uint64(len(slots) - 1)
    for feature in range(len(keys)):
        place = keys[feature] >> shift
        while slots[place] != 0:
            place = (place + np.uint64(1)) & mask
        slots[place] = keys[feature] << bits | np.uint64(feature + 1)
