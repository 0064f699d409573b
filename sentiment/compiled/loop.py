"""From UTF-8 bytes to the log-odds of being positive, in one native loop over a batch of texts."""

from typing import Any

import numpy as np

from sentiment.compiled.lookup import distinct, look_up
from sentiment.compiled.native import jit, step
from sentiment.compiled.tokenise import SKLEARN, our_tokens, sklearn_tokens
from sentiment.compiled.words import IN_CONTEXT

# Places in the table of whole numbers that describes a model.
RULES, SEED, SCOPE, FOLD, LONGEST, BITS, COUNTING, NORM = range(8)
# How often a token counts: whether it is there, how often, or 1 + ln of how often.
BINARY, COUNT, SUBLINEAR = range(3)
NO_NORM, L1, L2 = range(3)
# Places in the table of fractions.
INTERCEPT_SHORT, INTERCEPT_LONG, SHORT, LONG = range(4)
# Columns of the rows; the last one is the n-gram's column in the pipeline.
WEIGHT_SHORT, WEIGHT_LONG, SCALE, COLUMN = range(4)

# Log-odds nearer to zero are worked out again in scikit-learn's own order of operations, so that
# rounding never decides. A million times above the rounding of a sum of a thousand terms.
NEAR_TIE = 1e-6

# Texts under way at the same time in `score`.
LANES = 2


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


@jit
def measure(found: Any, counts: Any, kept: int, rows: Any, options: Any) -> float:
    """What the row is divided by."""
    length = 0.0
    for i in range(kept):
        v = value(counts[i], options[COUNTING], np.float64(rows[found[i], SCALE]))
        length += v * v if options[NORM] == L2 else abs(v)
    return root(length, options[NORM])


@jit
def log_odds(found: Any, counts: Any, kept: int, rows: Any, options: Any, fractions: Any) -> float:
    """The log-odds of a text from its different n-grams, in one pass over them."""
    counting, squares = options[COUNTING], options[NORM] == L2
    for_short = for_long = length = 0.0
    for i in range(kept):
        row = found[i]
        v = value(counts[i], counting, rows[row, SCALE])
        for_short += v * rows[row, WEIGHT_SHORT]
        for_long += v * rows[row, WEIGHT_LONG]
        length += v * v if squares else abs(v)
    length = root(length, options[NORM])
    far = share_long(kept, fractions)
    z = (1.0 - far) * (for_short / length + fractions[INTERCEPT_SHORT])
    z += far * (for_long / length + fractions[INTERCEPT_LONG])
    if abs(z) < NEAR_TIE:
        return exact_log_odds(found, counts, kept, rows, options, fractions)
    return z


@jit
def exact_log_odds(
    found: Any, counts: Any, kept: int, rows: Any, options: Any, fractions: Any
) -> float:
    """The same to the last bit: scikit-learn divides each column, and adds them in their order."""
    order = np.argsort(np.array([rows[found[i], COLUMN] for i in range(kept)]))
    found, counts = found[order], counts[order]
    length = measure(found, counts, kept, rows, options)
    for_short = for_long = 0.0
    for i in range(kept):
        row = found[i]
        v = value(counts[i], options[COUNTING], rows[row, SCALE]) / length
        for_short += v * rows[row, WEIGHT_SHORT]
        for_long += v * rows[row, WEIGHT_LONG]
    far = share_long(kept, fractions)
    z = (1.0 - far) * (for_short + fractions[INTERCEPT_SHORT])
    return z + far * (for_long + fractions[INTERCEPT_LONG])


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
def score(text: Any, sizes: Any, model: Any, room: Any, out: Any) -> int:
    """P(positive) of each text of a batch.

    Three texts are under way at any time: while the slots of one are fetched from memory the next
    one is tokenised, and while its rows are, the sum of the one before is taken.

    Args:
        text: The texts in UTF-8, see `tokenise.our_tokens`; uint8.
        sizes: How many bytes each has; int64.
        model: The fields of a `table.Table`.
        room: Scratch for the longest text; see `scorer.Room`.
        out: Gets the probabilities; NaN where Python has to lower-case a text first.

    Returns:
        How many such texts there are.
    """
    cuts, keys, entries, found, counts, seen, spans, where, state = room
    hot, slots, rows, options, fractions = model[3], model[4], model[5], model[6], model[7]
    begin = in_context = 0
    for number in range(len(sizes) + 1):
        if number < len(sizes):
            lane = number % LANES
            end = begin + sizes[number]
            count = tokens(text, begin, end, model, cuts, keys, spans)
            state[lane] = count
            if count != IN_CONTEXT:
                state[lane] = look_up(
                    count,
                    hot,
                    slots,
                    rows,
                    options[LONGEST],
                    np.uint64(options[BITS]),
                    keys,
                    entries,
                    found[lane],
                    where,
                )
            # Between two texts is a line feed.
            begin = end + 1
        if number > 0:
            lane = (number - 1) % LANES
            if state[lane] == IN_CONTEXT:
                out[number - 1] = np.nan
                in_context += 1
            else:
                kept = distinct(found[lane], state[lane], counts, seen)
                z = log_odds(found[lane], counts, kept, rows, options, fractions)
                out[number - 1] = 1.0 / (1.0 + np.exp(-z))
    return in_context


@jit
def explain(
    text: Any, end: int, model: Any, room: Any, parts: Any
) -> tuple[int, int, float, float]:
    """Contributions of the known n-grams of one text.

    Args:
        text: In UTF-8; uint8.
        end: Where it ends.
        model: As in `score`.
        room: As in `score`, with room for spans and places.
        parts: Gets what the n-gram of each hit adds to the log-odds, as often as it stands there.

    Returns:
        How many tokens there are, or `IN_CONTEXT`; how many hits; the log-odds; the intercept.
    """
    cuts, keys, entries, found, counts, seen, spans, where, _ = room
    hot, slots, rows, options, fractions = model[3], model[4], model[5], model[6], model[7]
    count = tokens(text, 0, end, model, cuts, keys, spans)
    if count == IN_CONTEXT:
        return IN_CONTEXT, 0, 0.0, 0.0
    hits = look_up(
        count, hot, slots, rows, options[LONGEST], np.uint64(options[BITS]), keys, entries,
        found[0], where,
    )  # fmt: skip
    different = found[1]
    different[:hits] = found[0, :hits]
    kept = distinct(different, hits, counts, seen)
    length = measure(different, counts, kept, rows, options)
    far = share_long(kept, fractions)
    order = np.argsort(different[:kept])
    ordered = different[order]
    for i in range(hits):
        row = found[0, i]
        times = counts[order[np.searchsorted(ordered, row)]]
        v = value(times, options[COUNTING], rows[row, SCALE]) / length
        parts[i] = v * (1.0 - far) * rows[row, WEIGHT_SHORT]
        parts[i] += v * far * rows[row, WEIGHT_LONG]
    intercept = (1.0 - far) * fractions[INTERCEPT_SHORT] + far * fractions[INTERCEPT_LONG]
    z = log_odds(different, counts, kept, rows, options, fractions)
    return count, hits, z, intercept
