"""What gives texts their probabilities, and the probes that each of them has to pass."""

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple, Protocol

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
# default for a record (1 MiB). Of a longer text, the smallest contributions are told as one sum.
MOST_PARTS = 2048


class Explained(NamedTuple):
    """What a model says of texts, and why.

    Attributes:
        scores: P(positive) of each text, the same as of `Scorer.score`; shape (texts,).
        explanations: Of each text a `sentiment.events.Explanation` in JSON, ready to be part of a
            result; None where there is none.
    """

    scores: Fractions
    explanations: list[Raw | None]


class FailedProbeError(Exception):
    """A model can't be served; the message says why."""


class Scorer(Protocol):
    """Gives texts their probability of being positive. May be called from any thread."""

    kind: Literal["sklearn", "compiled"]

    def score(self, texts: Sequence[str]) -> Fractions:
        """P(positive) of each text; shape (texts,). No texts give no scores."""

    def explain(self, texts: Sequence[str]) -> Explained:
        """The same, and why."""


class SklearnScorer:
    """Answers with a scikit-learn pipeline.

    Args:
        pipeline: Fitted; takes texts and has `predict_proba`, with classes 0 and 1.
    """

    kind: Literal["sklearn", "compiled"] = "sklearn"

    def __init__(self, pipeline: Any) -> None:  # noqa: ANN401 - sklearn has no types
        self.pipeline = pipeline

    def score(self, texts: Sequence[str]) -> Fractions:
        """P(positive) of each text; shape (texts,)."""
        if not texts:
            # scikit-learn refuses matrices without rows.
            return np.empty(0)
        scores: Fractions = self.pipeline.predict_proba(texts)[:, 1]
        return scores

    def explain(self, texts: Sequence[str]) -> Explained:
        """The same, and why, where the pipeline is linear in word n-grams."""
        from sentiment.explaining import explain

        explanations = [explain(self.pipeline, text, MOST_PARTS) for text in texts]
        return Explained(self.score(texts), explanations)


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
        if (score >= 0.5) != bool(label):  # noqa: PLR2004 - the decision's threshold
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
