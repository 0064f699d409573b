"""Hashes of words: of their UTF-8 in lower case, eight bytes at a time."""

from typing import Any

import numpy as np

from sentiment.model.compiled.characters import (
    APOSTROPHE,
    CONTEXT,
    KIND_SHIFT,
    OTHER,
    PAGE_BITS,
    SHIFT_MASK,
    SPACE,
    WORD,
)
from sentiment.model.compiled.native import jit, load8, step, trailing_zeros

# Instead of the end of a word whose lower case depends on context: see `characters.CONTEXTUAL`.
IN_CONTEXT = -1

# Odd numbers with well-mixed bits: those of SplitMix64 and of the golden ratio.
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Distinguishes the hash of a negated word from that of the word itself.
NEGATION = np.uint64(0x5851F42D4C957F2D)

# Called by the compiler once and not in the loop, where each would cost a string.
_A, _D, _E, _L, _M, _N, _R, _S, _T, _V, _Z = map(ord, "adelmnrstvz")
_BLANK, _QUOTE, _GRAVE, _LINE = map(ord, " '`_")

_REPLACEMENT = 0xFFFD
_0, _1, _8 = np.uint64(0), np.uint64(1), np.uint64(8)
_7, _56, _63 = np.uint64(7), np.uint64(56), np.uint64(63)
_U29, _U32 = np.uint64(29), np.uint64(32)
# Multiplied by it, the lowest bits of eight bytes meet in the top byte, in their order.
_GATHER = np.uint64(0x0102040810204080)

# The same byte eight times: arithmetic on them is arithmetic on eight bytes at once (SWAR).
_TOP = np.uint64(0x8080808080808080)
_LOW_7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = np.uint64(0x0101010101010101)
_CASE = np.uint64(0x2020202020202020)
# Added to a byte below 128, the first sets its top bit from "a" on, the second after "z".
_FROM_A, _AFTER_Z = np.uint64(0x1F1F1F1F1F1F1F1F), np.uint64(0x0505050505050505)
_FROM_0, _AFTER_9 = np.uint64(0x5050505050505050), np.uint64(0x4646464646464646)
_LAST_2 = np.uint64(0xFFFF000000000000)


@step
def fold(h: Any, chunk: Any) -> Any:
    """Take eight more bytes of a word into its hash."""
    h = (h ^ chunk) * MIX_1
    return h ^ (h >> _U32)


@step
def finish(h: Any) -> Any:
    """Mix all bits of a hash into all bits."""
    h = (h ^ (h >> _U29)) * MIX_2
    return h ^ (h >> _U32)


@step
def extend(gram: Any, token: Any) -> Any:
    """The hash of an n-gram from that of its first n-1 tokens and of its last one."""
    h = (gram + GOLDEN) * MIX_1 ^ token
    return finish(h)


@jit
def decode(text: Any, at: int, end: int) -> Any:
    """One code point and its number of bytes; a bad byte is U+FFFD, as Python's `replace` has it.

    Halves of surrogate pairs are taken as they are: Python's strings may hold them.
    """
    lead = np.int64(text[at])
    if lead < 0x80:
        return lead, 1
    if lead < 0xC2 or lead > 0xF4:
        return _REPLACEMENT, 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if at + size > end:
        return _REPLACEMENT, 1
    code = lead & (0x7F >> size)
    for place in range(1, size):
        byte = np.int64(text[at + place])
        if byte & 0xC0 != 0x80:
            return _REPLACEMENT, 1
        code = code << 6 | byte & 0x3F
    if (size == 3 and code < 0x800) or (size == 4 and not 0x10000 <= code < 0x110000):
        return _REPLACEMENT, 1
    return code, size


@step
def look(text: Any, at: int, end: int, pages: Any, entries: Any) -> Any:
    """The kind, the lower case and the number of bytes of the code point that stands there."""
    if at >= end:
        return OTHER, 0, 0
    code: Any = np.int64(text[at])
    if code < 0x80:
        # A branch that is foreseen, where a size that is looked up would hold up the next step.
        entry = np.int64(entries[code])
        return entry >> KIND_SHIFT, (code + entry) & SHIFT_MASK, 1
    code, size = decode(text, at, end)
    entry = np.int64(entries[(np.int64(pages[code >> PAGE_BITS]) << PAGE_BITS) + (code & 255)])
    return entry >> KIND_SHIFT, (code + entry) & SHIFT_MASK, size


@step
def push(h: Any, chunk: Any, bits: Any, code: Any) -> Any:
    """Take one code point into a hash: the hash, the bytes not yet in it, and 8 times how many."""
    last = 0 if code < 0x80 else 1 if code < 0x800 else 2 if code < 0x10000 else 3
    for left in range(last, -1, -1):
        byte = code >> 6 * left
        if last > 0:
            # The first byte of a sequence says how many there are, the others begin with 10.
            byte = (0xF00 >> last & 0xFF | byte) if left == last else (0x80 | byte & 0x3F)
        chunk |= np.uint64(byte) << bits
        bits += _8
        if bits == np.uint64(64):
            h, chunk, bits = fold(h, chunk), _0, _0
    return h, chunk, bits


@jit
def joins(text: Any, at: int, end: int, pages: Any, entries: Any) -> bool:
    """Whether a split-off `n't`, `'s`, `'re`, `'ve`, `'ll`, `'d` or `'m` begins there."""
    kind, first, size = look(text, at, end, pages, entries)
    negates = first == _N
    if negates:
        at += size
        kind, _, size = look(text, at, end, pages, entries)
    if kind != APOSTROPHE:
        return False
    at += size
    _, letter, size = look(text, at, end, pages, entries)
    at += size
    kind, second, size = look(text, at, end, pages, entries)
    if negates:
        return letter == _T and kind != WORD
    if kind != WORD:
        return letter == _S or letter == _D or letter == _M
    pair = (second == _E and (letter == _R or letter == _V)) or (letter == _L and second == _L)
    return pair and look(text, at + size, end, pages, entries)[0] != WORD


@jit
def any_word(text: Any, at: int, end: int, pages: Any, entries: Any, seed: Any) -> tuple[Any, int]:
    """The hash, not finished, and the end of the word that begins there; or `IN_CONTEXT`."""
    h, chunk, bits = seed, _0, _0
    last, run = 0, 0
    kind, lower, size = look(text, at, end, pages, entries)
    while True:
        while kind == WORD:
            run = run + 1 if lower == last and _A <= lower <= _Z else 1
            last = lower
            # Of an elongation, two letters count.
            if run <= 2:
                h, chunk, bits = push(h, chunk, bits, lower)
            at += size
            kind, lower, size = look(text, at, end, pages, entries)
        after, next_lower, next_size = look(text, at + size, end, pages, entries)
        if kind == CONTEXT or (kind == APOSTROPHE and after == CONTEXT):
            return h, IN_CONTEXT
        if kind == APOSTROPHE and after == WORD:
            h, chunk, bits = push(h, chunk, bits, _QUOTE)
            last = 0
            at += size
            kind, lower, size = after, next_lower, next_size
        elif kind == SPACE and lower == _BLANK and joins(text, at + 1, end, pages, entries):
            at += size
            kind, lower, size = after, next_lower, next_size
        else:
            return (fold(h, chunk) if bits != _0 else h), at


@jit
def cut(text: Any, begin: int, end: int, cuts: Any) -> int:
    """Find the runs of ASCII letters and digits, 64 bytes at a time.

    Args:
        text: See `tokenise.our_tokens`; 64 bytes may be read beyond the end.
        begin: Where the text begins.
        end: Where it ends.
        cuts: Gets where each run begins and ends; int32, two more than the text has bytes.

    Returns:
        How many runs there are.
    """
    count: Any = 0
    before = _0
    for block in range(begin, end, 64):
        inside = _0
        for part in range(8):
            chunk = load8(text, block + 8 * part)
            seven = chunk & _LOW_7
            lower = seven | _CASE
            letters = (lower + _FROM_A) & ~(lower + _AFTER_Z)
            digits = (seven + _FROM_0) & ~(seven + _AFTER_9)
            word = (letters | digits) & ~chunk & _TOP
            # The eight top bits side by side.
            inside |= ((word >> _7) * _GATHER >> _56) << np.uint64(8 * part)
        if end - block < 64:
            inside &= (_1 << np.uint64(end - block)) - _1
        changes = inside ^ (inside << _1 | before)
        before = inside >> _63
        while changes != _0:
            cuts[count] = block + np.int64(trailing_zeros(changes))
            count += 1
            changes &= changes - _1
    if count & 1:
        cuts[count] = end
        count += 1
    return count // 2


@step
def is_tripled(chunk: Any) -> bool:
    """Whether three bytes in a row are the same; now and then also where none are."""
    pairs = chunk ^ chunk >> _8
    triples = pairs | pairs >> _8 | _LAST_2
    return (triples - _ONES) & ~triples & _TOP != _0


@step
def is_plain(text: Any, at: Any, stop: Any) -> bool:
    """Whether the run of letters and digits from `at` to `stop` surely is a word by itself.

    Up to 16 bytes, no elongation, and nothing after it that may belong to it. All is worked out
    without a branch: words are long or short as they like, and guessing wrong costs most.
    """
    size, byte, after, third = stop - at, text[stop], text[stop + 1], text[stop + 2]
    odd = (size > 16) | (byte >= 0x80) | (byte == _QUOTE) | (byte == _GRAVE) | (byte == _LINE)
    # Before an apostrophe of any kind, perhaps with an "n" between, it may be a split contraction.
    after = third if after | 0x20 == _N else after
    odd |= (byte == _BLANK) & ((after >= 0x80) | (after == _QUOTE) | (after == _GRAVE))
    odd |= is_tripled(load8(text, at) | _CASE)
    beyond = is_tripled(load8(text, at + 6) | _CASE) | is_tripled(load8(text, at + 8) | _CASE)
    return not odd | ((size > 8) & beyond)


@step
def plain_word(text: Any, at: Any, stop: Any, seed: Any) -> Any:
    """What `any_word` finds, for a plain one, eight bytes at a time."""
    size = stop - at
    chunk = load8(text, at) | _CASE
    if size > 8:
        seed = fold(seed, chunk)
        chunk = load8(text, at + 8) | _CASE
        size -= 8
    # Of the last bytes, those beyond the word are left out.
    return fold(seed, chunk << np.uint64(64 - 8 * size) >> np.uint64(64 - 8 * size))
