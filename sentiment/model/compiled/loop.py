"""From UTF-8 bytes to the log-odds of being positive, in one native loop over a batch of texts."""

from typing import Any

import numpy as np

from sentiment.model.compiled.lookup import count, distinct, look_up, number_of
from sentiment.model.compiled.native import as_float, jit, step
from sentiment.model.compiled.tokenise import SKLEARN, our_tokens, sklearn_tokens
from sentiment.model.compiled.words import IN_CONTEXT

# Places in the table of whole numbers that describes a model.
RULES, SEED, SCOPE, FOLD, LONGEST, LINES, PACKED, COUNTING, NORM = range(9)
# How often a token counts: whether it is there, how often, or 1 + ln of how often.
BINARY, COUNT, SUBLINEAR = range(3)
NO_NORM, L1, L2 = range(3)
# Places in the table of fractions.
INTERCEPT_SHORT, INTERCEPT_LONG, SHORT, LONG = range(4)
# What a column weighs in short and in long texts, and what it is multiplied by before.
WEIGHT_SHORT, WEIGHT_LONG, SCALE = range(3)
# The upper bits of a float64: sign, exponent and nine of the mantissa. Three of them share a cell,
# whose lowest bit is left: see `lookup.has_more`.
PACKED_BITS = 21
_PACK = np.uint64(PACKED_BITS)
_PACKED = np.uint64((1 << PACKED_BITS) - 1 << 64 - PACKED_BITS)

# Log-odds nearer to zero are worked out again in scikit-learn's own order of operations, so that
# rounding never decides. A million times above the rounding of a sum of a thousand terms.
NEAR_TIE = 1e-6


@step
def value(count: int, counting: int, scale: float) -> float:
    """What an n-gram's column holds before the row is brought to length 1."""
    if counting == BINARY:
        return scale
    if counting == COUNT:
        return count * scale
    return (np.log(float(count)) + 1.0) * scale


@step
def root(length: float, norm: int) -> float:
    """What a row is divided by, from the sum of its squares or of its magnitudes."""
    if norm == NO_NORM or length == 0.0:
        return 1.0
    return np.sqrt(length) if norm == L2 else length


@step
def share_long(kept: int, fractions: Any) -> float:
    """How far a text of that many different known n-grams counts as a long one; 0 to 1."""
    if kept <= fractions[SHORT]:
        return 0.0
    return min((kept - fractions[SHORT]) / (fractions[LONG] - fractions[SHORT]), 1.0)


@step
def weights(cell: Any, rows: Any, packed: Any) -> Any:
    """What an n-gram weighs in short texts and in long ones, and its scale."""
    if packed:
        short, long = as_float(cell & _PACKED), as_float(cell << _PACK & _PACKED)
        return short, long, as_float(cell << _PACK << _PACK & _PACKED)
    row = cell >> np.uint64(1)
    return rows[row, WEIGHT_SHORT], rows[row, WEIGHT_LONG], rows[row, SCALE]


@jit
def log_odds(found: Any, counts: Any, kept: int, model: Any) -> float:
    """The log-odds of a text from its different n-grams, in one pass over them."""
    _, _, _, cells, rows, _, options, fractions = model
    counting, squares, packed = options[COUNTING], options[NORM] == L2, options[PACKED]
    # Sums of every other n-gram, side by side: one addition needn't wait for the one before.
    for_short = for_long = length = other_short = other_long = other_length = 0.0
    for i in range(0, kept - 1, 2):
        short, long, scale = weights(cells[found[i]], rows, packed)
        v = value(counts[i], counting, scale)
        for_short += v * short
        for_long += v * long
        length += v * v if squares else abs(v)
        short, long, scale = weights(cells[found[i + 1]], rows, packed)
        v = value(counts[i + 1], counting, scale)
        other_short += v * short
        other_long += v * long
        other_length += v * v if squares else abs(v)
    if kept % 2:
        short, long, scale = weights(cells[found[kept - 1]], rows, packed)
        v = value(counts[kept - 1], counting, scale)
        for_short += v * short
        for_long += v * long
        length += v * v if squares else abs(v)
    for_short += other_short
    for_long += other_long
    length += other_length
    length = root(length, options[NORM])
    far = share_long(kept, fractions)
    z = (1.0 - far) * (for_short / length + fractions[INTERCEPT_SHORT])
    z += far * (for_long / length + fractions[INTERCEPT_LONG])
    if abs(z) < NEAR_TIE:
        return exact_log_odds(found, counts, kept, model)
    return z


@jit
def exact_log_odds(found: Any, counts: Any, kept: int, model: Any) -> float:
    """The same to the last bit: scikit-learn divides each column, and adds them in their order."""
    _, _, _, cells, rows, columns, options, fractions = model
    order = np.argsort(np.array([columns[number_of(found[i])] for i in range(kept)]))
    found, counts = found[order], counts[order]
    length = measure(found, counts, kept, model)
    for_short = for_long = 0.0
    for i in range(kept):
        short, long, scale = weights(cells[found[i]], rows, options[PACKED])
        v = value(counts[i], options[COUNTING], scale) / length
        for_short += v * short
        for_long += v * long
    far = share_long(kept, fractions)
    z = (1.0 - far) * (for_short + fractions[INTERCEPT_SHORT])
    return z + far * (for_long + fractions[INTERCEPT_LONG])


@jit
def measure(found: Any, counts: Any, kept: int, model: Any) -> float:
    """What the row is divided by."""
    _, _, _, cells, rows, _, options, _ = model
    length = 0.0
    for i in range(kept):
        _, _, scale = weights(cells[found[i]], rows, options[PACKED])
        v = value(counts[i], options[COUNTING], scale)
        length += v * v if options[NORM] == L2 else abs(v)
    return root(length, options[NORM])


@step
def tokens(text: Any, begin: int, end: int, model: Any, cuts: Any, hashes: Any, spans: Any) -> int:
    """The tokens of a text, by the rules of the model; see `tokenise.our_tokens`."""
    pages, characters, words, options = model[0], model[1], model[2], model[6]
    seed = np.uint64(options[SEED])
    if options[RULES] == SKLEARN:
        return sklearn_tokens(
            text, begin, end, pages, characters, words, seed, options[FOLD] != 0, hashes, spans
        )
    return our_tokens(
        text, begin, end, pages, characters, words, seed, options[SCOPE], cuts, hashes, spans
    )


@jit
def score(text: Any, sizes: Any, model: Any, scratch: Any, out: Any) -> int:
    """P(positive) of each text of a batch.

    Args:
        text: The texts in UTF-8, see `tokenise.our_tokens`; uint8.
        sizes: How many bytes each has; int64.
        model: The fields of a `table.Table`.
        scratch: Scratch for the longest text; see `scorer.Scratch`.
        out: Gets the probabilities; NaN where Python has to lower-case a text first.

    Returns:
        How many such texts there are.
    """
    cuts, keys, entries, found, counts, seen, marks, spans, where = scratch
    cells, options = model[3], model[6]
    begin = in_context = 0
    for number in range(len(sizes)):
        end = begin + sizes[number]
        size = tokens(text, begin, end, model, cuts, keys, spans)
        if size == IN_CONTEXT:
            out[number] = np.nan
            in_context += 1
        else:
            hits = look_up(
                size, cells, options[LONGEST], np.uint64(options[LINES]), keys, entries, found,
                where,
            )  # fmt: skip
            if options[COUNTING] == BINARY:
                kept = distinct(found, hits, marks)
            else:
                kept = count(found, hits, counts, seen, where)
            out[number] = 1.0 / (1.0 + np.exp(-log_odds(found, counts, kept, model)))
        # Between two texts is a line feed.
        begin = end + 1
    return in_context


@jit
def coverage(text: Any, sizes: Any, model: Any, scratch: Any, out: Any) -> int:
    """How many tokens each text of a batch has, and how many of them the model knows.

    Args:
        text: As in `score`.
        sizes: As in `score`.
        model: As in `score`.
        scratch: As in `score`.
        out: Gets both counts, `IN_CONTEXT` where Python has to lower-case a text first; shape
            (texts, 2), int64.

    Returns:
        How many such texts there are.
    """
    cuts, keys, entries, found, _, _, _, spans, where = scratch
    cells, options = model[3], model[6]
    begin = in_context = 0
    for number in range(len(sizes)):
        end = begin + sizes[number]
        size = tokens(text, begin, end, model, cuts, keys, spans)
        out[number, 0] = out[number, 1] = size
        if size == IN_CONTEXT:
            in_context += 1
        else:
            lines = np.uint64(options[LINES])
            # Of all n-grams the single tokens.
            out[number, 1] = look_up(size, cells, 1, lines, keys, entries, found, where)
        begin = end + 1
    return in_context
