"""From UTF-8 bytes to the log-odds of being positive, in one native loop over a batch of texts."""

from typing import Any

import numpy as np

from sentiment.compiled.native import jit, step
from sentiment.compiled.tokenise import SKLEARN, our_tokens, sklearn_tokens
from sentiment.compiled.words import IN_CONTEXT, extend

# Places in the table of whole numbers that describes a model.
RULES, SEED, SCOPE, FOLD, LONGEST, SHIFT, BITS, COUNTING, NORM = range(9)
# How often a token counts: whether it is there, how often, or 1 + ln of how often.
BINARY, COUNT, SUBLINEAR = range(3)
NO_NORM, L1, L2 = range(3)
# Places in the table of fractions.
INTERCEPT_SHORT, INTERCEPT_LONG, SHORT, LONG = range(4)
# Columns of the weights; the fourth fills a row up to half a cache line.
WEIGHT_SHORT, WEIGHT_LONG, SCALE, WEIGHT_COLUMNS = 0, 1, 2, 4

# Log-odds nearer to zero are worked out again in scikit-learn's own order of operations, so that
# rounding never decides. A million times above the rounding of a sum of a thousand terms.
NEAR_TIE = 1e-6

# Of an entry in the set of n-grams seen: which text it is about above, the n-gram's place below.
EPOCH_SHIFT = np.uint64(28)
PLACE_MASK = np.uint64((1 << 28) - 1)
LAST_EPOCH = np.uint64((1 << 36) - 1)

_ZERO, _ONE = np.uint64(0), np.uint64(1)


@jit
def look_up(
    count: int, longest: int, slots: Any, shift: Any, bits: Any, keys: Any, entries: Any,
    found: Any, where: Any,
) -> int:  # fmt: skip
    """Find the known n-grams of a text.

    Args:
        count: How many tokens it has.
        longest: Longest n-gram.
        slots: See `table.Table`.
        shift: Upper bits of a key that are no part of a place.
        bits: Lower bits of a slot that are a feature's number.
        keys: Begins with the tokens' hashes, and has room for all n-grams; uint64.
        entries: As much room; uint64.
        found: Gets the features, as often as they stand there; int32.
        where: Gets the place of the first token and the length of each; shape (as long, 2), int32,
            or no rows: not wanted.

    Returns:
        How many were found.
    """
    asked = count
    begin = 0
    for length in range(2, longest + 1):
        for i in range(count - length + 1):
            keys[asked + i] = extend(keys[begin + i], keys[i + length - 1])
        begin = asked
        asked += max(count - length + 1, 0)
    # All loads without a branch between them: the table is larger than the processor's caches, and
    # a dozen are under way at once.
    for i in range(asked):
        entries[i] = slots[keys[i] >> shift]
    mask = np.uint64(len(slots) - 1)
    features = (_ONE << bits) - _ONE
    with_places = len(where) > 0
    length, end = 1, count
    hits: Any = 0
    begin = 0
    for i in range(asked):
        if with_places and i == end:
            begin, length = end, length + 1
            end += count - length + 1
        entry, tag = entries[i], keys[i] << bits
        # 1 to `features` where the slot is the key's: the feature's number and one more.
        feature = entry ^ tag
        if entry != _ZERO and feature > features:
            place = keys[i] >> shift
            while entry != _ZERO and feature > features:
                place = (place + _ONE) & mask
                entry = slots[place]
                feature = entry ^ tag
        # Written in any case and kept or not: whether a key is known can't be foreseen.
        found[hits] = np.int64(feature) - 1
        if with_places:
            where[hits, 0], where[hits, 1] = i - begin, length
        hits += np.int64(feature - _ONE < features)
    return hits


@jit
def distinct(found: Any, hits: int, counts: Any, seen: Any, epoch: Any) -> int:
    """Keep each feature once, in the order of first sight, and count it.

    Args:
        found: Features; afterwards the different ones come first.
        hits: How many there are.
        counts: Gets how often each stands there; int32.
        seen: A hash set that is never emptied: entries of other epochs count as empty; uint64.
        epoch: The number of this text; shape (1,), uint64.

    Returns:
        The number of different features.
    """
    epoch[0] += _ONE
    if epoch[0] == LAST_EPOCH:
        seen[:] = 0
        epoch[0] = _ONE
    # As small a part as serves, so that it stays in the first cache.
    size = 64
    while size < 2 * hits:
        size *= 2
    mask = np.uint64(size - 1)
    kept = 0
    for i in range(hits):
        feature = found[i]
        place = np.uint64(feature) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32) & mask
        while True:
            entry = seen[place]
            if entry >> EPOCH_SHIFT != epoch[0]:
                seen[place] = epoch[0] << EPOCH_SHIFT | np.uint64(kept)
                found[kept], counts[kept] = feature, 1
                kept += 1
                break
            other = entry & PLACE_MASK
            if found[other] == feature:
                counts[other] += 1
                break
            place = (place + _ONE) & mask
    return kept


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
def measure(found: Any, counts: Any, kept: int, weights: Any, options: Any) -> float:
    """What the row is divided by."""
    length = 0.0
    for i in range(kept):
        v = value(counts[i], options[COUNTING], weights[found[i], SCALE])
        length += v * v if options[NORM] == L2 else abs(v)
    return root(length, options[NORM])


@jit
def log_odds(
    found: Any, counts: Any, kept: int, weights: Any, options: Any, fractions: Any
) -> float:
    """The log-odds of a text from its different features, in one pass over them."""
    counting, squares = options[COUNTING], options[NORM] == L2
    for_short = for_long = length = 0.0
    for i in range(kept):
        row = found[i]
        v = value(counts[i], counting, weights[row, SCALE])
        for_short += v * weights[row, WEIGHT_SHORT]
        for_long += v * weights[row, WEIGHT_LONG]
        length += v * v if squares else abs(v)
    length = root(length, options[NORM])
    far = share_long(kept, fractions)
    z = (1.0 - far) * (for_short / length + fractions[INTERCEPT_SHORT])
    z += far * (for_long / length + fractions[INTERCEPT_LONG])
    if abs(z) < NEAR_TIE:
        return exact_log_odds(found, counts, kept, weights, options, fractions)
    return z


@jit
def exact_log_odds(
    found: Any, counts: Any, kept: int, weights: Any, options: Any, fractions: Any
) -> float:
    """The same to the last bit: scikit-learn divides each column, and adds them in their order."""
    order = np.argsort(found[:kept])
    found, counts = found[order], counts[order]
    length = measure(found, counts, kept, weights, options)
    for_short = for_long = 0.0
    for i in range(kept):
        row = found[i]
        v = value(counts[i], options[COUNTING], weights[row, SCALE]) / length
        for_short += v * weights[row, WEIGHT_SHORT]
        for_long += v * weights[row, WEIGHT_LONG]
    far = share_long(kept, fractions)
    z = (1.0 - far) * (for_short + fractions[INTERCEPT_SHORT])
    return z + far * (for_long + fractions[INTERCEPT_LONG])


@jit
def find(
    text: Any, begin: int, end: int, model: Any, keys: Any, entries: Any, spans: Any, found: Any,
    where: Any,
) -> tuple[int, int]:  # fmt: skip
    """Tokens and known n-grams of one text: how many there are of each; see `look_up`."""
    pages, characters, words, slots, _, options, _ = model
    seed = np.uint64(options[SEED])
    if options[RULES] == SKLEARN:
        count = sklearn_tokens(
            text, begin, end, pages, characters, words, seed, options[FOLD] != 0, keys, spans
        )
    else:
        count = our_tokens(
            text, begin, end, pages, characters, words, seed, options[SCOPE], keys, spans
        )
    if count == IN_CONTEXT:
        return IN_CONTEXT, 0
    hits = look_up(
        count, options[LONGEST], slots, np.uint64(options[SHIFT]), np.uint64(options[BITS]),
        keys, entries, found, where,
    )  # fmt: skip
    return count, hits


@jit
def score(text: Any, sizes: Any, model: Any, room: Any, out: Any) -> None:
    """P(positive) of each text of a batch.

    Args:
        text: The texts in UTF-8, see `tokenise.our_tokens`; uint8.
        sizes: How many bytes each has; int64.
        model: Pages, entries, special words, slots, weights, options, fractions; see `table.Table`.
        room: Scratch for the longest text; see `scorer.Room`.
        out: Gets the probabilities; NaN where Python has to lower-case a text first.
    """
    keys, entries, found, counts, seen, epoch, spans, where = room
    weights, options, fractions = model[4], model[5], model[6]
    begin = 0
    for number in range(len(sizes)):
        end = begin + sizes[number]
        count, hits = find(text, begin, end, model, keys, entries, spans, found, where)
        if count == IN_CONTEXT:
            out[number] = np.nan
        else:
            kept = distinct(found, hits, counts, seen, epoch)
            z = log_odds(found, counts, kept, weights, options, fractions)
            out[number] = 1.0 / (1.0 + np.exp(-z))
        # Between two texts is a line feed.
        begin = end + 1


@jit
def explain(text: Any, end: int, model: Any, room: Any, parts: Any) -> tuple[int, float, float]:
    """Contributions of the known n-grams of one text.

    Args:
        text: In UTF-8; uint8.
        end: Where it ends.
        model: As in `score`.
        room: As in `score`, with room for spans and places.
        parts: Gets what the feature of each hit adds to the log-odds, as often as it stands there.

    Returns:
        How many hits there are, the log-odds, and the intercept; `IN_CONTEXT` as the first, see
        there.
    """
    keys, entries, found, counts, seen, epoch, spans, where = room
    weights, options, fractions = model[4], model[5], model[6]
    count, hits = find(text, 0, end, model, keys, entries, spans, found, where)
    if count == IN_CONTEXT:
        return IN_CONTEXT, 0.0, 0.0
    every = found[:hits].copy()
    kept = distinct(found, hits, counts, seen, epoch)
    length = measure(found, counts, kept, weights, options)
    far = share_long(kept, fractions)
    order = np.argsort(found[:kept])
    ordered = found[order]
    for i in range(hits):
        row = every[i]
        times = counts[order[np.searchsorted(ordered, row)]]
        v = value(times, options[COUNTING], weights[row, SCALE]) / length
        parts[i] = v * ((1.0 - far) * weights[row, WEIGHT_SHORT] + far * weights[row, WEIGHT_LONG])
    intercept = (1.0 - far) * fractions[INTERCEPT_SHORT] + far * fractions[INTERCEPT_LONG]
    z = log_odds(found, counts, kept, weights, options, fractions)
    found[:hits] = every
    return hits, z, intercept
