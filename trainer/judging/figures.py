"""The figures by which a model is judged, and their intervals.

They are scikit-learn's, of texts that count more or less than once, for a whole matrix of such
counts: a bootstrap draws thousands of them, and scikit-learn's functions take one at a time.

A resampling draws as many texts of each domain as the test table has of it, with replacement: the
shares of the domains were chosen, so they are no matter of chance. Intervals are percentiles of
what the resamplings gave (B. Efron, R. Tibshirani: An Introduction to the Bootstrap, 1993, chapter
13). Two candidates are measured on the same resamplings, so what makes a text easy or hard for both
cancels out.

The expected calibration error tends upwards in resamplings, as chance adds to the distance in each
bin; where it is small, its value may stand below its interval. Texts are drawn, not groups of them:
where many texts of the test are about one thing, the true intervals are somewhat wider.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from sentiment.errors import InputError
from sentiment.model.scorer import THRESHOLD
from trainer.params import Evaluate
from trainer.reports import Interval, McNemar, Say, ticking

# Each of shape (texts,): 1 positive and 0 negative, the domain, P(positive).
Labels = NDArray[np.int8] | NDArray[np.int64]
Domains = NDArray[np.object_]
Scores = NDArray[np.float64]

# What texts of one class alone say nothing about.
_NEED_BOTH_CLASSES = ("precision", "recall", "f1", "roc_auc")

# The usual number of bins (Guo et al. 2017, "On Calibration of Modern Neural Networks").
CALIBRATION_BINS = 15

# Resamplings in one matrix: 11 MB with 26,500 texts, so that the steps between work in the cache.
_CHUNK = 50

# Of a figure in a report: a millionth is far below the width of any interval, and sums of many
# numbers differ after it from one machine to another.
DIGITS = 6

# By figure, one value per resampling.
Draws = dict[str, NDArray[np.float64]]


def labels_of(test: pd.DataFrame) -> NDArray[np.int64]:
    """The labels of a test table; shape (texts,).

    Raises:
        InputError: It is empty or of one class only, which leaves most figures undefined.
    """
    labels = test["label"].to_numpy(np.int64)
    if len(np.unique(labels)) < 2:  # noqa: PLR2004 - positive and negative
        raise InputError(
            "The test table is empty or has texts of one class only.",
            "Look at 'split' of the sources in params.yaml.",
        )
    return labels


def parts(domains: Domains) -> tuple[NDArray[np.int64], dict[str, slice]]:
    """How to sort texts by domain, shape (texts,), and where each domain's texts stand then."""
    names, numbers = np.unique(domains.astype(str), return_inverse=True)
    ends = np.cumsum(np.bincount(numbers)).tolist()
    found = map(slice, [0, *ends], ends)
    return np.argsort(numbers, kind="stable"), dict(zip(names.tolist(), found, strict=True))


def measure(labels: Labels, scores: Scores) -> dict[str, float]:
    """The figures of one set of texts; what one class alone doesn't allow is left out."""
    once = Weighted(labels, scores)(np.ones((1, len(labels))))
    return {name: float(value) for name, (value,) in once.items() if not np.isnan(value)}


def measure_all(labels: Labels, domains: Domains, scores: Scores) -> dict[str, float]:
    """The figures of all texts, with `macro_accuracy`: the mean of the domains' accuracies."""
    right = pd.Series((scores >= THRESHOLD) == (labels == 1))
    macro = float(right.groupby(domains.astype(str)).mean().mean())
    return measure(labels, scores) | {"macro_accuracy": macro}


class Weighted:
    """The figures of texts that count as often as their weights say.

    Everything but the area under the ROC curve comes from sums over texts, so that all weightings
    are one product of matrices. The area is the weighted share of pairs of a positive and a
    negative text in which the positive one scores higher, ties counting half (Mann and Whitney's
    U): with texts sorted by score, that is running sums.
    """

    def __init__(self, labels: Labels, scores: Scores) -> None:
        positive, decided = labels == 1, scores >= THRESHOLD
        # As scikit-learn does: a certain answer that is wrong costs much but not infinitely much.
        tiny = np.finfo(scores.dtype).eps
        of_label = np.clip(np.where(positive, scores, 1 - scores), tiny, 1 - tiny)
        distances = np.zeros((len(labels), CALIBRATION_BINS))
        distances[np.arange(len(labels)), _bins(scores)] = labels - scores
        counted = (positive & decided, ~positive & decided, positive & ~decided)
        # Shape (texts, 4 + bins).
        self._summed = np.column_stack([*counted, -np.log(of_label), distances])
        self._order = np.argsort(scores, kind="stable")
        self._positive = positive[self._order]
        ordered = scores[self._order]
        # Where each run of equal scores begins.
        self._ties = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def __call__(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Measure under each weighting: how often each text counts, shape (weightings, texts).

        Returns:
            By figure, shape (weightings,); NaN where only one class has weight and the figure
            needs both.
        """
        hits, false_alarms, misses, loss, *distances = (weights @ self._summed).T
        total = weights.sum(axis=1)
        positives = hits + misses
        negatives = total - positives
        figures = {
            "accuracy": 1 - (false_alarms + misses) / total,
            "precision": _ratio(hits, hits + false_alarms),
            "recall": _ratio(hits, positives),
            "f1": _ratio(2 * hits, 2 * hits + false_alarms + misses),
            "roc_auc": _ratio(self._pairs(weights), positives * negatives),
            "log_loss": loss / total,
            "calibration_error": np.abs(distances).sum(axis=0) / total,
        }
        for name in _NEED_BOTH_CLASSES:
            figures[name][(positives == 0) | (negatives == 0)] = np.nan
        return figures

    def _pairs(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weight of pairs in which the positive text scores higher; ties half."""
        ordered = weights[:, self._order]
        positive = np.add.reduceat(ordered * self._positive, self._ties, axis=1)
        negative = np.add.reduceat(ordered, self._ties, axis=1) - positive
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs: NDArray[np.float64] = np.einsum("ij,ij->i", positive, below)
        return pairs


def calibration(labels: Labels, scores: Scores) -> Iterator[tuple[float, float, int]]:
    """For each bin with texts: the mean score, the share of positive texts, how many texts."""
    bins = _bins(scores)
    for number in np.unique(bins):
        inside = bins == number
        yield float(scores[inside].mean()), float(labels[inside].mean()), int(inside.sum())


def _bins(scores: Scores) -> NDArray[np.int64]:
    return np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def _ratio(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    """A division in which nothing of nothing is 0, as with scikit-learn's `zero_division=0`."""
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)


# Bootstrap intervals, differences between candidates, McNemar's test.


def bootstrap(
    labels: Labels, domains: Domains, scores: Scores, params: Evaluate
) -> tuple[dict[str, Interval], dict[str, dict[str, Interval]]]:
    """The figures of all texts with their intervals, and those of each domain.

    A resampling of one class only doesn't count for figures that need both.
    """
    order, found = parts(domains)
    overall, by_domain = _resample(labels[order], found, scores[order], params)
    figures = measure_all(labels, domains, scores)
    return _intervals(figures, overall, params), {
        domain: _intervals(
            measure(labels[order][texts], scores[order][texts]), by_domain[domain], params
        )
        for domain, texts in found.items()
    }


def differences(
    labels: Labels, domains: Domains, scores_a: Scores, scores_b: Scores, params: Evaluate
) -> dict[str, Interval]:
    """How much larger each figure of candidate a is than that of b, on the same texts."""
    order, found = parts(domains)
    both = scores_a, scores_b
    a, b = (_resample(labels[order], found, scores[order], params)[0] for scores in both)
    of_a, of_b = (measure_all(labels, domains, scores) for scores in both)
    return _intervals(
        {name: value - of_b[name] for name, value in of_a.items()},
        {name: a[name] - b[name] for name in of_a},
        params,
    )


def mcnemar(labels: Labels, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> McNemar:
    """McNemar's test, mid-p version: do two candidates err on equally many texts?

    Only texts on which one of them is right and the other wrong count. If neither were better,
    each would be right on half of these: a binomial test, in which the outcome seen counts half.
    The exact test is too cautious, the one by chi-square fails with few texts (M. Fagerland,
    S. Lydersen, P. Laake: The McNemar test for binary matched-pairs data, BMC Medical Research
    Methodology 13:91, 2013). `a` and `b`: whether they call each text positive; shape (texts,).
    """
    right_a, right_b = a == (labels == 1), b == (labels == 1)
    only_a, only_b = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    fewer, both = min(only_a, only_b), only_a + only_b
    p_value = 2 * binom.cdf(fewer - 1, both, 0.5) + binom.pmf(fewer, both, 0.5)
    return McNemar(only_a, only_b, float(f"{p_value:.{DIGITS}g}"))


def _resample(
    labels: Labels, found: dict[str, slice], scores: Scores, params: Evaluate
) -> tuple[Draws, dict[str, Draws]]:
    """The figures of all texts and of each domain on resamplings of texts sorted by domain."""
    whole = Weighted(labels, scores)
    measures = {domain: Weighted(labels[at], scores[at]) for domain, at in found.items()}
    overall: list[Draws] = []
    domains: list[dict[str, Draws]] = []
    for weights in resamplings(found, params):
        drawn = {domain: measures[domain](weights[:, at]) for domain, at in found.items()}
        macro = np.mean([draws["accuracy"] for draws in drawn.values()], axis=0)
        overall.append(whole(weights) | {"macro_accuracy": macro})
        domains.append(drawn)
    return _joined(overall), {
        domain: _joined([drawn[domain] for drawn in domains]) for domain in found
    }


def resamplings(found: dict[str, slice], params: Evaluate) -> Iterator[NDArray[np.float64]]:
    """How often each text was drawn; a chunk of resamplings at a time, shape (chunk, texts)."""
    chance = np.random.default_rng(params.seed)
    for done in range(0, params.bootstrap, _CHUNK):
        rows, chunk = min(_CHUNK, params.bootstrap - done), []
        for texts in found.values():
            size = texts.stop - texts.start
            drawn = chance.integers(size, size=(rows, size)) + np.arange(rows)[:, None] * size
            counts = np.bincount(drawn.ravel(), minlength=rows * size)
            chunk.append(counts.reshape(rows, size))
        yield np.hstack(chunk).astype(np.float64)


def _joined(chunks: Sequence[Draws]) -> Draws:
    return {name: np.concatenate([draws[name] for draws in chunks]) for name in chunks[0]}


def _intervals(figures: dict[str, float], draws: Draws, params: Evaluate) -> dict[str, Interval]:
    outside = (1 - params.confidence) / 2
    intervals = {}
    for name, value in figures.items():
        known = draws[name][~np.isnan(draws[name])]
        # Two texts of two classes, resampled once, may be the same text twice.
        ends = np.quantile(known, [outside, 1 - outside]) if len(known) else [value, value]
        intervals[name] = Interval(*(round(float(number), DIGITS) for number in (value, *ends)))
    return intervals


# What models answer, and how fast: many texts with progress, several models in turns.


# From texts to P(positive) of each, shape (texts,).
Score = Callable[[list[str]], NDArray[np.float64]]

# Texts scored between two progress lines at least: a second's work for the slowest model.
_BATCH = 500
# Enough for all domains and lengths, and a second's work for the slowest model.
_SAMPLE = 1000
# The fastest of them counts: whatever disturbs a run only makes it slower.
_REPETITIONS = 3


def scores(score: Score, texts: list[str], what: str, say: Say) -> NDArray[np.float64]:
    """P(positive) of any number of texts but none, with progress; shape (texts,).

    `what` follows the number of texts in what is said, such as `texts scored by champion`.
    """
    starts = range(0, len(texts), _BATCH)
    batches = ticking(
        (texts[start : start + _BATCH] for start in starts), say, what, total=len(texts), size=len
    )
    return np.concatenate([score(batch) for batch in batches])


def sample(texts: list[str]) -> list[str]:
    """Some of the texts, evenly spread."""
    return texts[:: max(1, len(texts) // _SAMPLE)]


def speeds(models: Sequence[Score], texts: list[str]) -> list[float]:
    """Texts a second of one core's time: what others do on the machine doesn't count.

    The models take turns, so that a slow minute is slow for all; each scores all texts in one call.
    """
    spent: list[list[float]] = [[] for _ in models]
    for score in models:
        score(texts)
    for _ in range(_REPETITIONS):
        for score, times in zip(models, spent, strict=True):
            started = time.process_time()
            score(texts)
            times.append(time.process_time() - started)
    return [round(len(texts) / max(min(times), 1e-9), 1) for times in spent]
