"""How sure a figure is: bootstrap intervals, differences between two candidates, McNemar's test.

A resampling draws as many texts of each domain as the test table has of it, with replacement: the
shares of the domains were chosen, so they are no matter of chance. What comes out is a matrix of
how often each text was drawn, and every figure is worked out for all rows of it at once (see
`trainer.judging.figures.Weighted`). Intervals are percentiles of what the resamplings gave
(B. Efron, R. Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13). Two candidates are
measured on the same resamplings, so what makes a text easy or hard for both cancels out.

The expected calibration error tends upwards in resamplings, as chance adds to the distance in each
bin; where it is small, its value may stand below its interval.

Texts are drawn, not groups of them: where many texts of the test are about one thing, the true
intervals are somewhat wider.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from trainer.judging.figures import (
    Domains,
    Labels,
    Part,
    Scores,
    Weighted,
    measure,
    measure_all,
    parts,
)
from trainer.params import Evaluate
from trainer.report import Interval, McNemar

# Resamplings in one matrix: 11 MB with 26,500 texts, so that the steps between work in the cache.
_CHUNK = 50

# Of a figure in a report: a millionth is far below what any interval tells apart, and sums of many
# numbers differ after it from one machine to another.
DIGITS = 6

# By figure, one value per resampling.
Draws = dict[str, NDArray[np.float64]]


def bootstrap(
    labels: Labels, domains: Domains, scores: Scores, params: Evaluate
) -> tuple[dict[str, Interval], dict[str, dict[str, Interval]]]:
    """All figures with their intervals.

    Args:
        labels: 1 positive, 0 negative; shape (texts,).
        domains: The domain of each; shape (texts,).
        scores: P(positive); shape (texts,).
        params: How many resamplings, from which seed, and how much an interval holds of them.

    Returns:
        The figures of all texts, and those of each domain. A resampling of one class only doesn't
        count for figures that need both.
    """
    order, found = parts(domains)
    (overall,), by_domain = _resample(labels[order], found, [scores[order]], params)
    figures = measure_all(labels, domains, scores)
    return _intervals(figures, overall, params), {
        part.domain: _intervals(
            measure(labels[order][part.texts], scores[order][part.texts]), draws, params
        )
        for part, draws in zip(found, by_domain, strict=True)
    }


def differences(
    labels: Labels, domains: Domains, scores_a: Scores, scores_b: Scores, params: Evaluate
) -> dict[str, Interval]:
    """How much larger each figure of candidate a is than that of b, on the same texts.

    Args:
        labels: 1 positive, 0 negative; shape (texts,).
        domains: The domain of each; shape (texts,).
        scores_a: P(positive) by candidate a; shape (texts,).
        scores_b: The same by b.
        params: See `bootstrap`.
    """
    order, found = parts(domains)
    (a, b), _ = _resample(labels[order], found, [scores_a[order], scores_b[order]], params)
    of_a, of_b = (measure_all(labels, domains, scores) for scores in (scores_a, scores_b))
    return _intervals(
        {name: value - of_b[name] for name, value in of_a.items()},
        {name: a[name] - b[name] for name in of_a},
        params,
    )


def difference(  # noqa: PLR0913, PLR0917 - the texts, two candidates and how to compare them
    metric: str,
    labels: Labels,
    domains: Domains,
    scores_a: Scores,
    scores_b: Scores,
    params: Evaluate,
) -> Interval:
    """How much larger one figure of candidate a is than that of b; see `differences`.

    Mind `trainer.judging.figures.LOWER_IS_BETTER`: there, a difference below zero speaks for a.
    """
    return differences(labels, domains, scores_a, scores_b, params)[metric]


def mcnemar(labels: Labels, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> McNemar:
    """McNemar's test, mid-p version: do two candidates err on equally many texts?

    Only texts on which one of them is right and the other wrong count. If neither were better,
    each would be right on half of these: a binomial test, in which the outcome seen counts half.
    The exact test is too cautious, the one by chi-square fails with few texts (M. Fagerland,
    S. Lydersen, P. Laake: The McNemar test for binary matched-pairs data, BMC Medical Research
    Methodology 13:91, 2013).

    Args:
        labels: 1 positive, 0 negative; shape (texts,).
        a: Whether candidate a calls the text positive; shape (texts,).
        b: The same of b.
    """
    right_a, right_b = a == (labels == 1), b == (labels == 1)
    only_a, only_b = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    fewer, both = min(only_a, only_b), only_a + only_b
    p_value = 2 * binom.cdf(fewer - 1, both, 0.5) + binom.pmf(fewer, both, 0.5)
    return McNemar(only_a, only_b, float(f"{p_value:.{DIGITS}g}"))


def _resample(
    labels: Labels, found: list[Part], candidates: Sequence[Scores], params: Evaluate
) -> tuple[list[Draws], list[Draws]]:
    """Measure candidates on resamplings of texts that are sorted by domain.

    Returns:
        For each candidate the draws of all texts, and for each domain those of the first candidate.
    """
    measures = [Weighted(labels, scores) for scores in candidates]
    by_domain = [
        [Weighted(labels[part.texts], scores[part.texts]) for part in found]
        for scores in candidates
    ]
    overall: list[list[Draws]] = [[] for _ in candidates]
    domains: list[list[Draws]] = [[] for _ in found]
    for weights in resamplings(found, params):
        for number, measure_texts in enumerate(measures):
            of_domains = [
                measure_part(weights[:, part.texts])
                for part, measure_part in zip(found, by_domain[number], strict=True)
            ]
            macro = np.mean([draws["accuracy"] for draws in of_domains], axis=0)
            overall[number].append(measure_texts(weights) | {"macro_accuracy": macro})
            if number == 0:
                for collected, draws in zip(domains, of_domains, strict=True):
                    collected.append(draws)
    return [_joined(draws) for draws in overall], [_joined(draws) for draws in domains]


def resamplings(found: list[Part], params: Evaluate) -> Iterator[NDArray[np.float64]]:
    """How often each text was drawn; a chunk of resamplings at a time, shape (chunk, texts)."""
    chance = np.random.default_rng(params.seed)
    for done in range(0, params.bootstrap, _CHUNK):
        rows = min(_CHUNK, params.bootstrap - done)
        weights = np.empty((rows, found[-1].texts.stop))
        for part in found:
            size = part.texts.stop - part.texts.start
            drawn = chance.integers(size, size=(rows, size))
            drawn += np.arange(rows)[:, None] * size
            counts = np.bincount(drawn.ravel(), minlength=rows * size)
            weights[:, part.texts] = counts.reshape(rows, size)
        yield weights


def _joined(chunks: list[Draws]) -> Draws:
    joined = defaultdict(list)
    for draws in chunks:
        for name, values in draws.items():
            joined[name].append(values)
    return {name: np.concatenate(values) for name, values in joined.items()}


def _intervals(figures: dict[str, float], draws: Draws, params: Evaluate) -> dict[str, Interval]:
    outside = (1 - params.confidence) / 2
    intervals = {}
    for name, value in figures.items():
        known = draws[name][~np.isnan(draws[name])]
        # Two texts of two classes, resampled once, may be the same text twice.
        ends = np.quantile(known, [outside, 1 - outside]) if len(known) else [value, value]
        intervals[name] = Interval(*(round(float(number), DIGITS) for number in (value, *ends)))
    return intervals
