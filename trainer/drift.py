"""The drift reference: what texts and scores looked like when a model was made.

Workers compare what they see with it. It is made from the test texts as the judged twin scored
them, since texts that a model was fitted on are scored too surely.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sentiment.text import tokens

FILE = "drift.json"

# Ten equal bins, as the population stability index is usually taken over.
SCORE_BINS = 10
# Tokens of a tweet, a paragraph, a review, a long review; each about twice the one before.
LENGTH_EDGES = (5, 10, 20, 40, 80, 160, 320, 640)


class Reference(Struct, frozen=True):
    """Shares of texts and of tokens.

    Attributes:
        texts: How many texts it was made from.
        score_edges: Inner edges of the bins of scores.
        score_shares: Share of texts in each bin, one more than edges.
        length_edges: Inner edges of the bins of lengths, in tokens.
        length_shares: Share of texts in each bin.
        positive_share: Share of texts called positive.
        known_token_share: Share of tokens that the model knows.
    """

    texts: int
    score_edges: list[float]
    score_shares: list[float]
    length_edges: list[int]
    length_shares: list[float]
    positive_share: float
    known_token_share: float


def reference(pipeline: Pipeline, texts: Sequence[str], scores: NDArray[np.float64]) -> Reference:
    """Make the reference.

    Args:
        pipeline: The model; its first step knows its words.
        texts: Texts that it was not fitted on.
        scores: P(positive) of each; shape (texts,).
    """
    known = set(pipeline[0].get_feature_names_out())
    counts = [(len(found), sum(token in known for token in found)) for found in map(tokens, texts)]
    lengths, known_tokens = np.array(counts).T
    score_edges = np.linspace(0, 1, SCORE_BINS + 1)[1:-1]
    return Reference(
        len(texts),
        score_edges.round(6).tolist(),
        _shares(scores, score_edges),
        list(LENGTH_EDGES),
        _shares(lengths, np.array(LENGTH_EDGES)),
        round(float(np.mean(scores >= 0.5)), 6),  # noqa: PLR2004 - the decision's threshold
        round(float(known_tokens.sum() / max(lengths.sum(), 1)), 6),
    )


def write(made: Reference, directory: Path) -> None:
    """Write it into a model directory."""
    text = msgspec.json.format(msgspec.json.encode(made))
    (directory / FILE).write_bytes(text + b"\n")


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> list[float]:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    shares: list[float] = (counts / len(values)).round(6).tolist()
    return shares
