"""The rules of `sentiment.model.text`, and scikit-learn's own, in one pass over UTF-8 bytes.

A token is only ever its 64-bit hash here. The tests hold all of it against the regular expressions,
over all of Unicode.
"""

from typing import Any

import numpy as np

from sentiment.model.compiled.characters import AT, CONTEXT, LESS, MARK, PICTURE, SHOUT, SPACE, WORD
from sentiment.model.compiled.native import jit, step
from sentiment.model.compiled.words import (
    IN_CONTEXT,
    NEGATION,
    any_word,
    cut,
    decode,
    finish,
    fold,
    is_plain,
    look,
    plain_word,
    push,
)

# Rules of tokens.
OURS, SKLEARN = 0, 1
# What a word is beside being a word: in the table of special words, by its hash.
NEGATOR, STOP_WORD = 1, 2

_B, _R, _SLASH, _GREATER, _BLANK, _BANG, _QUESTION = map(ord, "br/> !?")
_0, _1, _6, _8 = (np.uint64(n) for n in (0, 1, 6, 8))
# 64 numbers of 64 bits: sixty negators leave 98 of 100 other words out.
FILTER = 64
_FILTER_MASK, _BIT_MASK = np.uint64(FILTER - 1), np.uint64(63)


@step
def special(table: Any, h: Any) -> Any:
    """What the table of special words says of a hash; 0 if it isn't there.

    The table begins with a filter of one bit per hash, so that hardly any other word is looked up.
    """
    if table[h >> _6 & _FILTER_MASK] >> (h & _BIT_MASK) & _1 == _0:
        return 0
    for i in range(FILTER, len(table), 2):
        if table[i] == h:
            return np.int64(table[i + 1])
    return 0


@jit
def line_break(text: Any, at: int, end: int, pages: Any, entries: Any) -> int:
    """Where a `<br>` that begins there ends; after the `<` if it is none."""
    start = at + 1
    at = start
    for letter in (_B, _R):
        _, lower, size = look(text, at, end, pages, entries)
        if lower != letter:
            return start
        at += size
    kind, code, size = look(text, at, end, pages, entries)
    while kind == SPACE:
        at += size
        kind, code, size = look(text, at, end, pages, entries)
    if code == _SLASH:
        at += size
        _, code, size = look(text, at, end, pages, entries)
    return at + size if code == _GREATER else start


@jit
def shout(text: Any, at: int, end: int, seed: Any) -> tuple[Any, int]:
    """The hash, not finished, and the end of a run of ! and ?: `!`, `?`, `!!`, `??` or `?!`."""
    start, asks, calls = at, False, False
    while at < end and (text[at] == _BANG or text[at] == _QUESTION):
        asks |= text[at] == _QUESTION
        calls |= text[at] == _BANG
        at += 1
    chunk = np.uint64(_QUESTION if asks else _BANG)
    if at > start + 1:
        chunk |= np.uint64(_BANG if calls else _QUESTION) << _8
    return fold(seed, chunk), at


@jit
def our_tokens(
    text: Any, begin: int, end: int, pages: Any, entries: Any, words: Any, seed: Any, scope: int,
    cuts: Any, hashes: Any, spans: Any,
) -> int:  # fmt: skip
    """`sentiment.model.text.tokens`.

    Args:
        text: UTF-8; uint8. The texts in it have a line feed after each, and the last one 64 bytes
            more.
        begin: Where the text begins.
        end: Where it ends.
        pages: See `characters.Characters`.
        entries: Same.
        words: Negators by hash, see `special`.
        seed: Where hashes begin; uint64.
        scope: How many words a negator marks.
        cuts: Scratch, see `words.cut`.
        hashes: Gets the tokens' hashes; uint64, as long as the text at least.
        spans: Gets each token's begin and end; shape (as long, 2), int32, or no rows: not wanted.

    Returns:
        The number of tokens, or `IN_CONTEXT`.
    """
    runs = cut(text, begin, end, cuts)
    at: Any = begin
    count, left, run = 0, 0, 0
    with_spans = len(spans) > 0
    while at < end:
        if text[at] == _BLANK:
            at += 1
            continue
        start = at
        while run < runs and cuts[2 * run] < at:
            # What was taken together with something else.
            run += 1
        if run < runs and cuts[2 * run] == at:
            stop: Any = np.int64(cuts[2 * run + 1])
            kind = WORD
            if is_plain(text, at, stop):
                h, at = plain_word(text, at, stop, seed), stop
            else:
                h, at = any_word(text, at, end, pages, entries, seed)
            run += 1
        else:
            kind, lower, size = look(text, at, end, pages, entries)
            if kind == WORD:
                h, at = any_word(text, at, end, pages, entries, seed)
            elif kind == MARK:
                h = fold(seed, np.uint64(lower))
                at += size
            elif kind == PICTURE:
                h, chunk, _ = push(seed, _0, _0, lower)
                h = fold(h, chunk)
                at += size
            elif kind == SHOUT:
                h, at = shout(text, at, end, seed)
            elif kind == AT and look(text, at + 1, end, pages, entries)[0] == WORD:
                h, at = any_word(text, at + 1, end, pages, entries, seed)
            elif kind == LESS:
                h, at = seed, line_break(text, at, end, pages, entries)
            else:
                h, at = seed, (IN_CONTEXT if kind == CONTEXT else at + size)
        if at == IN_CONTEXT:
            return IN_CONTEXT
        if kind == WORD:
            if special(words, h) == NEGATOR:
                left = scope
            elif left > 0:
                left -= 1
                h ^= NEGATION
        elif kind == MARK or kind == PICTURE or kind == SHOUT:
            left = 0
        else:
            continue
        hashes[count] = finish(h)
        if with_spans:
            spans[count, 0], spans[count, 1] = start - begin, at - begin
        count += 1
    return count


@jit
def sklearn_tokens(
    text: Any, begin: int, end: int, pages: Any, entries: Any, words: Any, seed: Any,
    lowers: bool, hashes: Any, spans: Any,
) -> int:  # fmt: skip
    r"""scikit-learn's `(?u)\b\w\w+\b` without stop words, lower-cased or not. Else as above."""
    count, at = 0, begin
    with_spans = len(spans) > 0
    while at < end:
        start, length, h, chunk, bits = at, 0, seed, _0, _0
        kind, lower, size = look(text, at, end, pages, entries)
        while kind == WORD or kind == CONTEXT:
            if not lowers:
                lower = decode(text, at, end)[0]
            elif kind == CONTEXT:
                return IN_CONTEXT
            h, chunk, bits = push(h, chunk, bits, lower)
            length += 1
            at += size
            kind, lower, size = look(text, at, end, pages, entries)
        if bits != _0:
            h = fold(h, chunk)
        if length > 1 and special(words, h) != STOP_WORD:
            hashes[count] = finish(h)
            if with_spans:
                spans[count, 0], spans[count, 1] = start - begin, at - begin
            count += 1
        if length == 0:
            at += size
    return count
