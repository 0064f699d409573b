"""From UTF-8 bytes to explanations in JSON, in one native loop over a batch of texts.

Each text is read once, for its score and its explanation; the score is the one of `loop.score` to
the last bit. See `sentiment.wire.Explanation` for what is written.
"""

from typing import Any

import numpy as np

from sentiment.model.compiled.lookup import count, look_up
from sentiment.model.compiled.loop import (
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
from sentiment.model.compiled.native import jit, load8, step
from sentiment.model.compiled.words import IN_CONTEXT

# Where a text's explanation ends, for one that Python has to lower-case first.
NOT_DONE = -1

_TOP = np.uint64(0x8080808080808080)


@jit
def explain(
    text: Any, sizes: Any, first: int, begin: int, model: Any, scratch: Any, page: Any, most: int,
    scores: Any, ends: Any,
) -> tuple[int, int]:  # fmt: skip
    """Scores and explanations of as many texts of a batch as the buffers hold; one at least.

    Args:
        text: As in `loop.score`.
        sizes: Same.
        first: Number of the text to begin with.
        begin: Where that one begins.
        model: As in `loop.score`.
        scratch: Same, with space for spans and places.
        page: Scratch, and where the JSON goes; see `explainer.Page`.
        most: Most parts of one explanation; at least 1.
        scores: Gets P(positive) of each text.
        ends: Gets where the explanation of each text ends on the page; where the one before it
            ends, if there is none; or `NOT_DONE`; int64.

    Returns:
        Number of the first text that is left, and where it begins.
    """
    cuts, keys, entries, found, counts, seen, _, spans, where = scratch
    slots, order, amounts, json = page
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
                parts, rest = keep_largest(order, hits, amounts, most)
                cut = parts < hits
                at = write(z, intercept, spans, order, parts, amounts, rest, cut, json, at)
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
        slots: Scratch buffer of one number per token and length; int32.
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


# Writes explanations as JSON. Objects that msgspec writes would, for this alone, take four to five
# times as long as the texts' scores; here, a whole explanation takes three times.


# What parts are multiples of.
UNITS = 100_000_000
# Numbers from here on might be rounded to more than eight digits before the point. No honest model
# has log-odds of ten million, and an explanation with them is not written.
TOO_LARGE = 1e7
# Places have at most six digits. A text of a million characters is no event: brokers take records
# of up to a mebibyte by default.
TOO_FAR = 1_000_000
# Two brackets, three commas, a sign, sixteen digits and a point, and two places in a text.
PART_BYTES = 48
# Everything else of an explanation: names, two numbers of 26 characters, the rest.
FRAME_BYTES = 192

_LOG_ODDS, _INTERCEPT, _PARTS, _REST, _END, _NO_REST = (
    np.frombuffer(piece, np.uint8)
    for piece in (
        b'{"log_odds":', b',"intercept":', b',"parts":[', b'],"rest":', b"}", b"]",
    )
)  # fmt: skip
_POINT, _MINUS, _COMMA, _OPEN, _CLOSE, _ZERO = map(ord, ".-,[]0")
_0, _10 = np.uint64(0), np.uint64(10)
# In 10^-16, a whole of one.
_WHOLE = np.uint64(UNITS * UNITS)


@step
def write_digits(number: Any, digits: int, text: Any, at: Any) -> Any:
    """Write a uint64 as so many digits; where they end."""
    for place in range(at + digits - 1, at - 1, -1):
        text[place] = np.uint64(_ZERO) + number % _10
        number //= _10
    return at + digits


@step
def write_whole(number: Any, text: Any, at: Any) -> Any:
    """Write a uint64 below 10^8 without leading zeros; where it ends."""
    digits, bound = 1, _10
    while number >= bound:
        digits += 1
        bound *= _10
    return write_digits(number, digits, text, at)


@jit
def write_units(units: Any, text: Any, at: Any) -> Any:
    """Write an int64 of 10^-8 as a number of one; its size is below 10^16. Where it ends."""
    text[at] = _MINUS
    size = np.uint64(abs(units))
    at = write_whole(size // np.uint64(UNITS), text, at + np.int64(units < 0))
    text[at] = _POINT
    return write_digits(size % np.uint64(UNITS), 8, text, at + 1)


@jit
def write_float(number: float, text: Any, at: Any) -> Any:
    """Write a float below `TOO_LARGE` with sixteen digits after the point; where it ends."""
    text[at] = _MINUS
    at += np.int64(number < 0.0)
    whole = np.floor(abs(number))
    rest = np.uint64(np.rint((abs(number) - whole) * 1e16))
    if rest == _WHOLE:
        whole, rest = whole + 1.0, _0
    at = write_whole(np.uint64(whole), text, at)
    text[at] = _POINT
    return write_digits(rest, 16, text, at + 1)


@jit
def write(
    z: float, intercept: float, spans: Any, order: Any, parts: int, amounts: Any, rest: float,
    cut: bool, json: Any, at: Any,
) -> Any:  # fmt: skip
    """Write an explanation from `at` on.

    What is written is the sum so far, rounded, less what was written before: so the parts add up to
    the whole with an error of half a unit, however many they are.

    Returns:
        Where it ends.
    """
    at = write_float(z, json, put(_LOG_ODDS, json, at))
    at = write_float(intercept, json, put(_INTERCEPT, json, at))
    at = put(_PARTS, json, at)
    total, written = 0.0, np.int64(0)
    for i in range(parts):
        total += amounts[order[2, i]]
        units = np.int64(np.rint(total * UNITS))
        json[at] = _OPEN
        at = write_units(units - written, json, at + 1)
        written = units
        json[at] = _COMMA
        at = write_whole(np.uint64(spans[order[0, i], 0]), json, at + 1)
        json[at] = _COMMA
        at = write_whole(np.uint64(spans[order[1, i], 1]), json, at + 1)
        json[at], json[at + 1] = _CLOSE, _COMMA
        at += 2
    # The last comma goes.
    at -= np.int64(parts > 0)
    if cut:
        at = put(_REST, json, at)
        at = write_units(np.int64(np.rint((total + rest) * UNITS)) - written, json, at)
    else:
        at = put(_NO_REST, json, at)
    return put(_END, json, at)


@step
def put(piece: Any, json: Any, at: Any) -> Any:
    """Copy a piece of JSON, and return where it ends."""
    for i in range(len(piece)):
        json[at + i] = piece[i]
    return at + len(piece)
