"""Train the model: judged by cross-validation, fitted on everything, saved as a model directory."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import GroupKFold

from sentiment.errors import InputError
from sentiment.model import build
from trainer import card, saving
from trainer.data import Dataset
from trainer.report import Params, Report

Scores = NDArray[np.float64]

# The usual number: each fit sees four fifths of the data, and the whole takes a few minutes.
FOLDS = 5
# The usual number of bins (Guo et al. 2017, "On Calibration of Modern Neural Networks").
CALIBRATION_BINS = 15


def cross_validate(dataset: Dataset, params: Params, folds: int = FOLDS) -> Iterator[Scores]:
    """Score each text with a model that saw no text of its group.

    Yields:
        After each fold: P(positive) of its texts, NaN for all others; shape (texts,).

    Raises:
        InputError: There are fewer groups than folds, or a fold lacks a class.
    """
    groups = len(np.unique(dataset.groups))
    if groups < folds:
        raise InputError(
            f"{dataset.name} has {groups} groups, too few for {folds} folds.",
            "Give more data, fewer --folds, or another --group column.",
        )
    texts = np.array(dataset.texts, object)
    for train, test in GroupKFold(folds).split(texts, dataset.labels, dataset.groups):
        if len(np.unique(dataset.labels[train])) < 2:  # noqa: PLR2004 - positive and negative
            raise InputError(f"{dataset.name}: without one fold, only one class is left to learn.")
        pipeline = build(**asdict(params)).fit(texts[train], dataset.labels[train])
        scores = np.full(len(texts), np.nan)
        scores[test] = pipeline.predict_proba(texts[test])[:, 1]
        yield scores


def train(
    dataset: Dataset,
    directory: Path,
    params: Params | None = None,
    folds: int = FOLDS,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Cross-validate, fit on all texts, and save.

    Args:
        dataset: The labelled texts.
        directory: Where the model goes; replaced whole, at the very end.
        params: None: the defaults.
        folds: Number of folds.
        progress: Told a line at a time what is being done.

    Raises:
        InputError: The data doesn't allow it, or the directory can't be written.
    """
    saving.check_target(directory)
    params = params or Params()
    held_out = np.full(len(dataset.texts), np.nan)
    accuracies = []
    for number, scores in enumerate(cross_validate(dataset, params, folds), start=1):
        tested = ~np.isnan(scores)
        held_out[tested] = scores[tested]
        accuracies.append(_accuracy(dataset.labels[tested], scores[tested]))
        progress(f"Fold {number} of {folds}: accuracy {accuracies[-1]:.4f}")
    progress(f"Fitting on all {len(dataset.texts):,} texts …")
    pipeline = build(**asdict(params)).fit(dataset.texts, dataset.labels)
    report = Report(
        dataset.name,
        dataset.sha256,
        len(dataset.texts),
        len(np.unique(dataset.groups)),
        params,
        pipeline.named_steps["ngrams"].sizes,
        accuracies,
        measure(dataset.labels, held_out),
        str(directory),
    )
    saving.save(pipeline, directory, card.render(report, dataset.about), card.metadata(report))
    progress(f"Saved in {directory}")
    return report


def measure(labels: NDArray[np.int64], scores: Scores) -> dict[str, float]:
    """The figures by which a model is judged.

    Args:
        labels: 1 positive, 0 negative; shape (texts,).
        scores: P(positive); shape (texts,).
    """
    decided = scores >= 0.5  # noqa: PLR2004 - the decision's threshold
    return {
        "accuracy": _accuracy(labels, scores),
        "precision": float(precision_score(labels, decided)),
        "recall": float(recall_score(labels, decided)),
        "f1": float(f1_score(labels, decided)),
        "roc_auc": float(roc_auc_score(labels, scores)),
        "log_loss": float(log_loss(labels, scores)),
        "calibration_error": calibration_error(labels, scores),
    }


def calibration_error(labels: NDArray[np.int64], scores: Scores) -> float:
    """Expected calibration error: mean distance of score and share of positive, over equal bins."""
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    distance = np.bincount(bins, labels - scores, CALIBRATION_BINS)
    return float(np.abs(distance).sum() / len(labels))


def _accuracy(labels: NDArray[np.int64], scores: Scores) -> float:
    return float(accuracy_score(labels, scores >= 0.5))  # noqa: PLR2004 - as above
