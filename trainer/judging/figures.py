"""The figures by which a model is judged: what each is, and the same for many weightings at once.

`measure` is the definition, with scikit-learn's functions. `Weighted` gives the same figures of
texts that count more or less than once, for a whole matrix of such counts: a bootstrap draws
thousands of them, and scikit-learn takes one at a time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from sentiment.errors import InputError
from sentiment.model.scorer import THRESHOLD
from trainer.progress import Say, ticking

Labels = NDArray[np.int8] | NDArray[np.int64]
Domains = NDArray[np.object_]
Scores = NDArray[np.float64]

# Each figure and how people call it, in the order in which they are shown.
NAMES = {
    "accuracy": "accuracy",
    "macro_accuracy": "accuracy, mean of the domains",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "area under the ROC curve",
    "log_loss": "log-loss",
    "calibration_error": "expected calibration error",
}
# Of two models the one with the smaller figure is better; with all others, the larger one.
LOWER_IS_BETTER = frozenset({"log_loss", "calibration_error"})
# What texts of one class alone say nothing about.
_NEED_BOTH_CLASSES = ("precision", "recall", "f1", "roc_auc")

# The usual number of bins (Guo et al. 2017, "On Calibration of Modern Neural Networks").
CALIBRATION_BINS = 15


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


class Part(NamedTuple):
    """The texts of one domain, which stand one after the other once sorted by domain."""

    domain: str
    texts: slice


def parts(domains: Domains) -> tuple[NDArray[np.int64], list[Part]]:
    """How to sort texts by domain, and where each domain's texts stand then.

    Args:
        domains: Shape (texts,).

    Returns:
        The order, shape (texts,), and the parts by name.
    """
    names, numbers = np.unique(domains.astype(str), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=len(names))).tolist()
    starts = [0, *ends[:-1]]
    return order, [
        Part(str(name), slice(start, end))
        for name, start, end in zip(names, starts, ends, strict=True)
    ]


def measure(labels: Labels, scores: Scores) -> dict[str, float]:
    """The figures of one set of texts; what one class alone doesn't allow is left out.

    Args:
        labels: 1 positive, 0 negative; shape (texts,).
        scores: P(positive); shape (texts,).
    """
    decided = scores >= THRESHOLD
    figures = {"accuracy": float(accuracy_score(labels, decided))}
    if len(np.unique(labels)) > 1:
        figures |= {
            "precision": float(precision_score(labels, decided, zero_division=0)),
            "recall": float(recall_score(labels, decided, zero_division=0)),
            "f1": float(f1_score(labels, decided, zero_division=0)),
            "roc_auc": float(roc_auc_score(labels, scores)),
        }
    return figures | {
        "log_loss": float(log_loss(labels, scores, labels=[0, 1])),
        "calibration_error": calibration_error(labels, scores),
    }


def measure_all(labels: Labels, domains: Domains, scores: Scores) -> dict[str, float]:
    """The figures of all texts, with `macro_accuracy`: the mean of the domains' accuracies.

    Args:
        labels: 1 positive, 0 negative; shape (texts,).
        domains: The domain of each; shape (texts,).
        scores: P(positive); shape (texts,).
    """
    right = (scores >= THRESHOLD) == (labels == 1)
    order, found = parts(domains)
    macro = float(np.mean([right[order[part.texts]].mean() for part in found]))
    return measure(labels, scores) | {"macro_accuracy": macro}


def calibration_error(labels: Labels, scores: Scores) -> float:
    """Expected calibration error: mean distance of score and share of positive, over equal bins."""
    distance = np.bincount(_bins(scores), labels - scores, CALIBRATION_BINS)
    return float(np.abs(distance).sum() / len(labels))


class Weighted:
    """The figures of `measure` for texts that count as often as their weights say.

    Everything but the area under the ROC curve comes from sums over texts, so that all weightings
    are one product of matrices. The area is the weighted share of pairs of a positive and a
    negative text in which the positive one scores higher, ties counting half (Mann and Whitney's
    U): with texts sorted by score, that is running sums.

    Args:
        labels: 1 positive, 0 negative; shape (texts,).
        scores: P(positive); shape (texts,).
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
        """Measure under each weighting.

        Args:
            weights: How often each text counts; shape (weightings, texts).

        Returns:
            By figure, shape (weightings,); NaN where only one class has weight and the figure
            needs both.
        """
        hits, false_alarms, misses, loss, *distances = (weights @ self._summed).T
        total = weights.sum(axis=1)
        positives = hits + misses
        negatives = total - positives
        f1 = _ratio(2 * hits, 2 * hits + false_alarms + misses)
        figures = {
            "accuracy": 1 - (false_alarms + misses) / total,
            "precision": _ratio(hits, hits + false_alarms),
            "recall": _ratio(hits, positives),
            "f1": f1,
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


# What models answer, and how fast: many texts with progress, several models in turns.


# From texts to P(positive) of each, shape (texts,).
Score = Callable[[list[str]], NDArray[np.float64]]

# Texts scored between two looks at the clock: a second's work for the slowest model.
_BATCH = 500
# Enough for all domains and lengths, and a second's work for the slowest model.
_SAMPLE = 1000
# The fastest of them counts: whatever disturbs a run only makes it slower.
_REPETITIONS = 3


def scores(score: Score, texts: list[str], what: str, say: Say) -> NDArray[np.float64]:
    """Score many texts.

    Args:
        score: The model.
        texts: Any number but none.
        what: Follows the number of texts in what is said, such as `texts scored by champion`.
        say: Told of progress.

    Returns:
        P(positive) of each; shape (texts,).
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

    Args:
        models: Take turns, so that a slow minute is slow for all.
        texts: What they score, all in one call.
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
