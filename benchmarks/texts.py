"""Texts that read like the ones a model learnt from, made of the model alone.

No text of the training data may be handed on, but the order of a vocabulary says which words are
usual, and its pairs say which follow which: a walk along them gives texts in which a model knows
about as many n-grams as in real ones.
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sentiment.text import NEGATED

# Of all followers of a word, so many are drawn from; the usual ones come first.
FOLLOWERS = 200


class Writer:
    """Makes texts; the same model and seed make the same texts.

    Args:
        pipeline: A model of ours, see `sentiment.model.build`.
        seed: Of the random walk.
    """

    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        vectorizer = pipeline[0]
        self._words: list[str] = vectorizer.words()
        self._chance = np.random.default_rng(seed)
        self._next: defaultdict[int, list[int]] = defaultdict(list)
        for word, follower in zip(vectorizer.prefixes_[0], vectorizer.lasts_[0], strict=True):
            if len(self._next[word]) < FOLLOWERS:
                self._next[word].append(follower)
        self._usual = _falling(len(self._words))

    def text(self, words: int) -> str:
        """A text of that many words and punctuation marks."""
        written: list[str] = []
        word = self._any()
        while len(written) < words:
            written.append(self._words[word].removeprefix(NEGATED))
            followers = self._next.get(word)
            # A word in twenty is a new beginning, as names and rare words are.
            if followers and self._chance.random() > 0.05:  # noqa: PLR2004 - see above
                word = followers[self._chance.choice(len(followers), p=_falling(len(followers)))]
            else:
                word = self._any()
        return " ".join(written)

    def _any(self) -> int:
        return int(self._chance.choice(len(self._words), p=self._usual))


def _falling(size: int) -> NDArray[np.float64]:
    """Zipf's law: the n-th most usual of some words stands for a share of 1/n."""
    shares = 1 / np.arange(1, size + 1)
    falling: NDArray[np.float64] = shares / shares.sum()
    return falling
