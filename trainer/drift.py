"""The drift reference: what texts and scores looked like when a model was made.

Workers compare what they see with it. It is made from the test texts as the judged twin scored
them, since texts that a model was fitted on are scored too surely.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sentiment.text import tokens
from trainer import report
from trainer.judging import ngrams
from trainer.judging.figures import THRESHOLD
from trainer.layout import DRIFT

# Ten equal bins, as the population stability index is usually taken over.
SCORE_BINS = 10
# Tokens of a tweet, a paragraph, a review, a long review; each about twice the one before.
LENGTH_EDGES = (5, 10, 20, 40, 80, 160, 320, 640)
# A millionth is far below what any comparison of shares tells apart.
_DIGITS = 6


class Reference(Struct, frozen=True):
    """Shares of texts and of tokens. A value on an edge is in the bin above it.

    Attributes:
        texts: How many texts it was made from.
        score_edges: Inner edges of the bins of scores.
        score_shares: Share of texts in each bin, one more than edges.
        length_edges: Inner edges of the bins of lengths, in tokens.
        length_shares: Share of texts in each bin.
        positive_share: Share of texts called positive.
        known_token_share: Share of tokens that the model knows; None where it doesn't tell.
    """

    texts: int
    score_edges: list[float]
    score_shares: list[float]
    length_edges: list[int]
    length_shares: list[float]
    positive_share: float
    known_token_share: float | None


def reference(pipeline: Pipeline, texts: Sequence[str], scores: NDArray[np.float64]) -> Reference:
    """Make the reference.

    Args:
        pipeline: The model.
        texts: Texts that the scores' model was not fitted on.
        scores: P(positive) of each; shape (texts,).
    """
    split = [tokens(text) for text in texts]
    lengths = np.array([len(found) for found in split])
    score_edges = np.linspace(0, 1, SCORE_BINS + 1)[1:-1]
    names, share = ngrams.known(pipeline), None
    if names is not None:
        known = set(names.tolist())
        count = sum(token in known for found in split for token in found)
        share = round(float(count / max(lengths.sum(), 1)), _DIGITS)
    return Reference(
        len(texts),
        score_edges.round(_DIGITS).tolist(),
        _shares(scores, score_edges),
        list(LENGTH_EDGES),
        _shares(lengths, np.array(LENGTH_EDGES)),
        round(float(np.mean(scores >= THRESHOLD)), _DIGITS),
        share,
    )


def write(made: Reference, directory: Path) -> None:
    """Write it into a model directory."""
    report.write(made, directory / DRIFT)


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> list[float]:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    shares: list[float] = (counts / len(values)).round(_DIGITS).tolist()
    return shares
