"""What gives texts their probabilities, and the probes that each of them has to pass."""

from collections.abc import Collection, Sequence
from itertools import repeat
from typing import NamedTuple, Protocol

import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

Fractions = NDArray[np.float64]

# Texts that no usable model gets wrong: a swapped class or a damaged weight shows here.
PROBES = (
    ("An excellent film: wonderful acting, a superb story. I loved it, one of the best!", 1),
    ("Great, a perfect and beautiful evening, highly recommended.", 1),
    ("What a terrible waste of time: boring, awful acting, the worst film of the year.", 0),
    ("Poor, dull and disappointing. I hated it.", 0),
)
# Texts that have no right answer but must have one: nothing known, characters of all sorts, long.
_ODD_PROBES = (
    "", " ", "\0", "zzzqqqxxx", "!?!", "İstanbul\u2019da 👍🏽 n't", "ΣΑΣ does n't", "no " * 2000,
)  # fmt: skip

# The order of a sum may change the last digits of a probability, never more.
TOLERANCE = 1e-9

# Most parts of one explanation, some 48 KiB of JSON: a review of a thousand words has all of its
# n-grams, and a result is no larger than the largest event (64 KiB), far below what brokers take by
# default for a record (1 MiB). Of a longer text, the smallest contributions are given as one sum.
MOST_PARTS = 2048


# P(positive) from which a text is positive. One number for serving, judging and comparing.
THRESHOLD = 0.5


class Explained(NamedTuple):
    """What a model says of texts, and why.

    Attributes:
        scores: P(positive) of each text, the same as of `Scorer.score`; shape (texts,).
        explanations: Of each text a `sentiment.wire.Explanation` in JSON, ready to be part of a
            result; None where there is none.
    """

    scores: Fractions
    explanations: list[Raw | None]


class FailedProbeError(Exception):
    """A model can't be served; the message says why."""


class Scorer(Protocol):
    """Gives texts their probability of being positive.

    The worker calls it for each batch, from any of its threads; `replay` and `sentiment classify`
    from one. It may take as long as scoring takes, and must not wait for anything else.

    Attributes:
        kind: "compiled", or the flavour of the format that opened it; in metrics and logs.
    """

    kind: str

    def score(self, texts: Sequence[str]) -> Fractions:
        """P(positive) of each text; shape (texts,). No texts give no scores."""

    def explain(self, texts: Sequence[str]) -> Explained:
        """The same, and why, where it can tell."""
        return Explained(self.score(texts), [None] * len(texts))

    def coverage(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        """How many tokens each text has, and how many of them the model knows; shape (texts, 2).

        Called for the few texts that are watched for drift. None where it can't tell.
        """
        del texts
        return None


def explain_some(scorer: Scorer, texts: Sequence[str], asking: Collection[int]) -> Explained:
    """Scores of texts, and explanations of some of them; those are read once for both.

    Args:
        scorer: Gives both.
        texts: Any texts.
        asking: Places of those to explain.
    """
    others = [place for place in range(len(texts)) if place not in asking]
    places = [place for place in range(len(texts)) if place in asking]
    scores = np.empty(len(texts))
    explanations: list[Raw | None] = [None] * len(texts)
    scores[others] = scorer.score([texts[place] for place in others])
    found = scorer.explain([texts[place] for place in places])
    scores[places] = found.scores
    for place, explanation in zip(places, found.explanations, strict=True):
        explanations[place] = explanation
    return Explained(scores, explanations)


def check(scorer: Scorer) -> Fractions:
    """Put a model to the probes.

    Returns:
        Its answers, by which its compiled form is measured.

    Raises:
        FailedProbeError: It fails, or answers what no usable model answers.
    """
    texts = _probes()
    try:
        first, second = scorer.score(texts), scorer.score(texts)
        single = np.concatenate([scorer.score([text]) for text in texts])
    except Exception as error:
        raise FailedProbeError(f"it fails on a probe: {type(error).__name__}: {error}") from error
    if first.shape != (len(texts),):
        raise FailedProbeError(f"{len(texts)} texts gave scores of shape {first.shape}")
    if not np.all((first >= 0) & (first <= 1)):
        raise FailedProbeError("a score is no probability")
    if not np.array_equal(first, second) or not _alike(first, single):
        raise FailedProbeError("the same text gives different scores")
    for (text, label), score in zip(PROBES, first, strict=False):
        if (score >= THRESHOLD) != bool(label):
            raise FailedProbeError(f"{text!r} gets {score:.3f} for positive")
    return first


def agrees(scorer: Scorer, expected: Fractions) -> bool:
    """Whether a scorer answers the probes as `check` found it for another one."""
    answers = scorer.score(_probes())
    return answers.shape == expected.shape and _alike(answers, expected)


def _probes() -> list[str]:
    return [*(text for text, _ in PROBES), *_ODD_PROBES]


def _alike(a: Fractions, b: Fractions) -> bool:
    return bool(np.allclose(a, b, rtol=0, atol=TOLERANCE))


def origins(text: str) -> list[int]:
    """For each character of the lower-cased text, the place of the one that it was made from."""
    return [i for i, character in enumerate(text) for _ in repeat(0, len(character.lower()))]
