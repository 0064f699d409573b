"""Texts that read like the ones a model learnt from, made of the model alone.

No text of the training data may be handed on, but the order of a vocabulary says which words are
usual, and its pairs say which follow which: a walk along them gives texts in which a model knows
about as many n-grams as in real ones.
"""

import random
from collections import defaultdict

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
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._next: defaultdict[int, list[int]] = defaultdict(list)
        for word, follower in zip(vectorizer.prefixes_[0], vectorizer.lasts_[0], strict=True):
            if len(self._next[word]) < FOLLOWERS:
                self._next[word].append(follower)

    def text(self, words: int) -> str:
        """A text of that many words and punctuation marks."""
        written: list[str] = []
        word = self._usual(len(self._words))
        while len(written) < words:
            written.append(self._words[word].removeprefix(NEGATED))
            followers = self._next.get(word)
            # A word in twenty is a new beginning, as names and rare words are.
            if followers and self._chance.random() > 0.05:  # noqa: PLR2004 - see above
                word = followers[self._usual(len(followers))]
            else:
                word = self._usual(len(self._words))
        return " ".join(written)

    def _usual(self, size: int) -> int:
        """One of so many, the first ones more often, by Zipf's law: the n-th 1/n times as often."""
        return int((size + 1) ** self._chance.random()) - 1
