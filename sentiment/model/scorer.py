"""What gives texts their probabilities, and the probes that each of them has to pass."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import repeat
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from sentiment import wire
from sentiment.wire import Explanation, Part

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


# Explains scikit-learn pipelines that are linear in word n-grams but are not compiled. Slow: a
# call of the pipeline for each text, some milliseconds. What `sentiment.model.compiled` knows is
# explained there, at the cost of a score.


# Sums of a few thousand products, in float32 too, differ by less, however they are added up.
ROUNDING = 1e-6


def origins(text: str) -> list[int]:
    """For each character of the lower-cased text, the place of the one that it was made from."""
    return [i for i, character in enumerate(text) for _ in repeat(0, len(character.lower()))]


def explain(pipeline: Any, text: str, most: int) -> Raw | None:  # noqa: ANN401 - sklearn has no types
    """Why a pipeline gives a text its score.

    Args:
        pipeline: Fitted, with classes 0 and 1.
        text: Any text.
        most: Most parts; the smallest ones beyond it are summed up.

    Returns:
        A `sentiment.wire.Explanation` in JSON, or None where the pipeline is none whose
        contributions are known for certain.
    """
    if not _is_known(pipeline):
        return None
    vectorizer, classifier = pipeline[0], pipeline[-1]
    row = np.asarray(pipeline[:-1].transform([text]).todense()).ravel()
    amounts = row * classifier.coef_.ravel()
    places = [
        (vectorizer.vocabulary_[gram], begin, end)
        for gram, begin, end in _grams(vectorizer, text)
        if gram in vectorizer.vocabulary_
    ]
    times = Counter(column for column, _, _ in places)
    parts = [Part(float(amounts[i]) / times[i], begin, end) for i, begin, end in places]
    log_odds = float(pipeline.decision_function([text])[0])
    intercept = float(classifier.intercept_[0])
    total = sum(part.contribution for part in parts)
    # False too where a number is none.
    if not abs(intercept + total - log_odds) <= ROUNDING:
        return None
    rest = 0.0
    if len(parts) > most:
        by_size = sorted(parts, key=lambda part: -abs(part.contribution))
        rest = sum(part.contribution for part in by_size[most:])
        parts = sorted(by_size[:most], key=lambda part: (part.begin, part.end))
    return Raw(wire.encode(Explanation(log_odds, intercept, parts, rest)))


def _is_known(pipeline: Any) -> bool:  # noqa: ANN401 - as above
    """Whether each column is an n-gram, from the vectoriser up to its coefficient."""
    # Not before it is needed: a worker starts without it where its model is compiled.
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MaxAbsScaler, Normalizer

    from sentiment.model.estimators import NaiveBayesScaler

    # Exact types: a subclass may compute anything.
    if type(pipeline) is not Pipeline:
        return False
    steps = [step for _, step in pipeline.steps if step not in {None, "passthrough"}]
    vectorizer, *scalers, classifier = steps
    scaling = {MaxAbsScaler, NaiveBayesScaler, Normalizer, TfidfTransformer}
    return (
        type(vectorizer) in {CountVectorizer, TfidfVectorizer}
        and (vectorizer.analyzer, vectorizer.input) == ("word", "content")
        and vectorizer.tokenizer is vectorizer.preprocessor is vectorizer.strip_accents is None
        and all(type(scaler) in scaling for scaler in scalers)
        and (
            type(classifier) is LogisticRegression
            or (type(classifier) is SGDClassifier and classifier.loss == "log_loss")
        )
    )


def _grams(vectorizer: Any, text: str) -> Iterator[tuple[str, int, int]]:  # noqa: ANN401 - as above
    """The n-grams of a text as the vectoriser makes them, and where each stands, in its order."""
    origin = origins(text) if vectorizer.lowercase else range(len(text))
    stop_words = vectorizer.get_stop_words() or ()
    pattern = re.compile(vectorizer.token_pattern)
    # Where the pattern has a group, that is the token.
    tokens = [
        (found[pattern.groups], *found.span(pattern.groups))
        for found in pattern.finditer(text.lower() if vectorizer.lowercase else text)
        if found[pattern.groups] not in stop_words
    ]
    shortest, longest = vectorizer.ngram_range
    for first, (_, begin, _) in enumerate(tokens):
        for length in range(shortest, min(longest, len(tokens) - first) + 1):
            words = tokens[first : first + length]
            gram = " ".join(word for word, _, _ in words)
            yield gram, origin[begin], origin[words[-1][2] - 1] + 1
