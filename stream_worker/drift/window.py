"""What one model's latest texts look like beside its reference."""

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.drift import Reference, bins
from sentiment.registry import LoadedModel

# Added to each bin, in texts: an empty one would make the index infinite. Jeffreys' prior.
_EMPTY = 0.5

POSITIVE = 0.5


class Sample(NamedTuple):
    """What was seen of a few texts that one model answered.

    Attributes:
        model: Which one; it has a reference.
        scores: P(positive) of each; shape (texts,).
        lengths: Tokens of each; shape (texts,).
        known: How many of all tokens the model knows; None where it doesn't tell.
        hashes: Of the texts, to see which are the same.
    """

    model: LoadedModel
    scores: NDArray[np.float64]
    lengths: NDArray[np.int64]
    known: int | None
    hashes: list[int]


class Figures(NamedTuple):
    """How far a window is from the reference, or what of it can be seen by itself.

    Attributes:
        score_psi: Population stability index of the scores; 0: the same.
        length_psi: The same of the texts' lengths in tokens.
        positive_share: Share of texts called positive.
        unknown_token_share: Share of tokens that the model doesn't know; None where it doesn't
            tell.
        repeated_text_share: Share of the text that is there most often.
    """

    score_psi: float
    length_psi: float
    positive_share: float
    unknown_token_share: float | None
    repeated_text_share: float


class Window:
    """Counts of a model's latest texts.

    Args:
        reference: The model's own.
        began: When it was begun.
    """

    def __init__(self, reference: Reference, began: float = 0.0) -> None:
        self.began = began
        self.texts = 0
        self._reference = reference
        self._scores = np.zeros(len(reference.score_shares), np.int64)
        self._lengths = np.zeros(len(reference.length_shares), np.int64)
        self._positive = self._tokens = 0
        self._known: int | None = 0
        self._hashes: Counter[int] = Counter()

    def add(self, sample: Sample) -> None:
        """Take a sample in; at least one of a text with a score."""
        self.texts += len(sample.hashes)
        self._scores += bins(sample.scores, self._reference.score_edges)
        self._lengths += bins(sample.lengths, self._reference.length_edges)
        self._positive += int((sample.scores >= POSITIVE).sum())
        self._tokens += int(sample.lengths.sum())
        if self._known is None or sample.known is None:
            self._known = None
        else:
            self._known += sample.known
        self._hashes.update(sample.hashes)

    def figures(self) -> Figures:
        """Compare with the reference; at least one text is there."""
        reference, unknown = self._reference, None
        if self._known is not None:
            # Nothing is unknown of no tokens.
            unknown = (self._tokens - self._known) / max(self._tokens, 1)
        return Figures(
            stability(reference.score_shares, reference.texts, self._scores),
            stability(reference.length_shares, reference.texts, self._lengths),
            self._positive / self.texts,
            unknown,
            self._hashes.most_common(1)[0][1] / self.texts,
        )


def stability(shares: list[float], texts: int, counts: NDArray[np.int64]) -> float:
    """The population stability index: the sum of (q - p) ln(q / p) over bins.

    By chance alone it is about (bins - 1) (1 / n + 1 / m), with n texts here and m there.

    Args:
        shares: p, of the reference.
        texts: m, how many texts they were counted of.
        counts: Texts in each bin, whose shares are q; at least one in all.
    """
    p = (np.array(shares) * texts + _EMPTY) / (texts + _EMPTY * len(shares))
    q = (counts + _EMPTY) / (counts.sum() + _EMPTY * len(shares))
    return float(((q - p) * np.log(q / p)).sum())
