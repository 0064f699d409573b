"""Makes the drift reference that workers compare what they see with: see `sentiment.drift`.

It is made from the test texts as the judged twin scored them, since texts that a model was fitted
on are scored too surely.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sentiment.compiled.build import build
from sentiment.compiled.linear import NotCompilableError, read
from sentiment.compiled.scorer import CompiledScorer
from sentiment.drift import FILE, Reference, bins, sizes
from sentiment.scoring import Scorer, SklearnScorer
from trainer import report
from trainer.judging.figures import THRESHOLD

# Ten equal bins, as the population stability index is usually taken over.
SCORE_BINS = 10
# Tokens of a tweet, a paragraph, a review, a long review; each about twice the one before.
LENGTH_EDGES = (5, 10, 20, 40, 80, 160, 320, 640)
# A millionth is far below what any comparison of shares tells apart.
_DIGITS = 6


def reference(pipeline: Pipeline, texts: Sequence[str], scores: NDArray[np.float64]) -> Reference:
    """Make the reference.

    Args:
        pipeline: The model.
        texts: Texts that the scores' model was not fitted on.
        scores: P(positive) of each; shape (texts,).
    """
    lengths, known = sizes(_scorer(pipeline), texts)
    score_edges = np.linspace(0, 1, SCORE_BINS + 1)[1:-1].round(_DIGITS).tolist()
    return Reference(
        len(texts),
        score_edges,
        _shares(scores, score_edges),
        list(LENGTH_EDGES),
        _shares(lengths, LENGTH_EDGES),
        round(float(np.mean(scores >= THRESHOLD)), _DIGITS),
        None if known is None else round(known / max(int(lengths.sum()), 1), _DIGITS),
    )


def write(made: Reference, directory: Path) -> None:
    """Write it into a model directory."""
    report.write(made, directory / FILE)


def _scorer(pipeline: Pipeline) -> Scorer:
    """The model as a worker runs it, so that both count the same tokens."""
    try:
        return CompiledScorer(build(read(pipeline)))
    except NotCompilableError:
        return SklearnScorer(pipeline)


def _shares(values: NDArray[np.float64] | NDArray[np.int64], edges: Sequence[float]) -> list[float]:
    shares: list[float] = (bins(values, edges) / len(values)).round(_DIGITS).tolist()
    return shares
