"""From UTF-8 bytes to explanations in JSON, in one native loop over a batch of texts.

Each text is read once, for its score and its explanation; the score is the one of `loop.score` to
the last bit. See `sentiment.events.Explanation` for what is written.
"""

from typing import Any

import numpy as np

from sentiment.compiled.lookup import count, look_up
from sentiment.compiled.loop import (
    COUNTING,
    INTERCEPT_LONG,
    INTERCEPT_SHORT,
    L2,
    LINES,
    LONGEST,
    NORM,
    PACKED,
    log_odds,
    root,
    share_long,
    tokens,
    value,
    weights,
)
from sentiment.compiled.native import jit, load8
from sentiment.compiled.words import IN_CONTEXT
from sentiment.compiled.writing import (
    FRAME_BYTES,
    PART_BYTES,
    TOO_FAR,
    TOO_LARGE,
    in_digits,
    write,
)

# Where a text's explanation ends, for one that Python has to lower-case first.
NOT_DONE = -1

_TOP = np.uint64(0x8080808080808080)
_0 = np.uint64(0)


@jit
def explain(
    text: Any, sizes: Any, first: int, begin: int, model: Any, room: Any, page: Any, most: int,
    scores: Any, ends: Any,
) -> tuple[int, int]:  # fmt: skip
    """Scores and explanations of as many texts of a batch as there is room for; one at least.

    Args:
        text: As in `loop.score`.
        sizes: Same.
        first: Number of the text to begin with.
        begin: Where that one begins.
        model: As in `loop.score`.
        room: Same, with room for spans and places.
        page: Scratch, and where the JSON goes; see `explainer.Page`.
        most: Most parts of one explanation; at least 1.
        scores: Gets P(positive) of each text.
        ends: Gets where the explanation of each text ends on the page; where the one before it
            ends, if there is none; or `NOT_DONE`; int64.

    Returns:
        Number of the first text that is left, and where it begins.
    """
    cuts, keys, entries, found, counts, seen, _, spans, where = room
    slots, order, amounts, words, lengths, json = page
    cells, options = model[3], model[6]
    longest, lines = options[LONGEST], np.uint64(options[LINES])
    at: Any = 0
    for number in range(first, len(sizes)):
        if at + min(most, sizes[number] * longest) * PART_BYTES + FRAME_BYTES > len(json):
            return number, begin
        end = begin + sizes[number]
        size = tokens(text, begin, end, model, cuts, keys, spans)
        if size == IN_CONTEXT:
            ends[number] = NOT_DONE
        else:
            hits = look_up(size, cells, longest, lines, keys, entries, found, where)
            kept = count(found, hits, counts, seen, where)
            z = log_odds(found, counts, kept, model)
            scores[number] = 1.0 / (1.0 + np.exp(-z))
            intercept, largest = contributions(found, counts, kept, model, amounts)
            # Where a number is none, this is false too.
            if abs(intercept) + largest < TOO_LARGE and sizes[number] < TOO_FAR:
                in_text_order(hits, size, longest, where, slots, order)
                in_characters(text, begin, end, spans, size)
                in_digits(spans, size, words, lengths)
                parts, rest = keep_largest(order, hits, amounts, most)
                at = write(
                    z, intercept, words, lengths, order, parts, amounts, rest, parts < hits, json,
                    at,
                )  # fmt: skip
            ends[number] = at
        # Between two texts is a line feed.
        begin = end + 1
    return len(sizes), begin


@jit
def contributions(
    found: Any, counts: Any, kept: int, model: Any, amounts: Any
) -> tuple[float, float]:
    """What each n-gram adds to the log-odds each time that it stands in the text.

    Args:
        found: The cells of the different n-grams.
        counts: How often each stands there.
        kept: How many they are.
        model: As in `loop.score`.
        amounts: Gets the contributions; float64.

    Returns:
        The intercept, and the sum of all contributions' magnitudes.
    """
    cells, rows, options, fractions = model[3], model[4], model[6], model[7]
    far = share_long(kept, fractions)
    length = total = 0.0
    for i in range(kept):
        short, long, scale = weights(cells[found[i]], rows, options[PACKED])
        v = value(counts[i], options[COUNTING], scale)
        length += v * v if options[NORM] == L2 else abs(v)
        amount = v * ((1.0 - far) * short + far * long)
        total += abs(amount)
        amounts[i] = amount / counts[i]
    length = root(length, options[NORM])
    amounts[:kept] /= length
    intercept = (1.0 - far) * fractions[INTERCEPT_SHORT] + far * fractions[INTERCEPT_LONG]
    return intercept, total / length


@jit
def in_text_order(hits: int, size: int, longest: int, where: Any, slots: Any, order: Any) -> None:
    """Sort n-grams by their first word and then by their length.

    Args:
        hits: How many there are.
        size: How many tokens the text has.
        longest: Longest n-gram.
        where: See `lookup.look_up` and `lookup.count`.
        slots: Room for one number per token and length; int32.
        order: Gets the first and the last token of each, and which of the different ones it is;
            shape (3, one more than there may be), int32.
    """
    slots[: size * longest] = -1
    for i in range(hits):
        place, shorter, of_length = np.int64(where[0, i]), 0, size
        while place >= of_length:
            place -= of_length
            of_length -= 1
            shorter += 1
        slots[place * longest + shorter] = where[1, i]
    parts: Any = 0
    for token in range(size):
        for shorter in range(longest):
            which = slots[token * longest + shorter]
            # Written in any case and kept or not: what is known can't be foreseen.
            order[0, parts], order[1, parts], order[2, parts] = token, token + shorter, which
            parts += np.int64(which >= 0)


@jit
def in_characters(text: Any, begin: int, end: int, spans: Any, size: int) -> None:
    """Change tokens' begins and ends from bytes to code points."""
    together = _0
    for at in range(begin, end, 8):
        together |= load8(text, at)
    if together & _TOP == _0:
        return
    at, characters = begin, np.int64(0)
    for token in range(size):
        for side in range(2):
            until = begin + spans[token, side]
            while at < until:
                # All bytes of a code point but the first one begin with 10.
                characters += np.int64(text[at] & 0xC0 != 0x80)
                at += 1
            spans[token, side] = characters


@jit
def keep_largest(order: Any, parts: int, amounts: Any, most: int) -> tuple[int, float]:
    """Leave the smallest contributions out where there are too many.

    Args:
        order: See `in_text_order`; afterwards those that are kept come first.
        parts: How many there are.
        amounts: See `contributions`.
        most: How many are kept, by their magnitude and, of the same one, the first ones.

    Returns:
        How many are kept, and the sum of the others.
    """
    if parts <= most:
        return parts, 0.0
    sizes = np.empty(parts)
    for i in range(parts):
        sizes[i] = abs(amounts[order[2, i]])
    least = np.partition(sizes, parts - most)[parts - most]
    spare = most - np.sum(sizes > least)
    kept: Any = 0
    rest = 0.0
    for i in range(parts):
        if sizes[i] > least or (sizes[i] == least and spare > 0):
            spare -= np.int64(sizes[i] == least)
            order[:, kept] = order[:, i]
            kept += 1
        else:
            rest += amounts[order[2, i]]
    return kept, rest
