"""Explains scikit-learn pipelines that are linear in word n-grams but are not compiled.

Slow: a call of the pipeline for each text, some milliseconds. What `sentiment.compiled` knows is
explained there, at the cost of a score.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
from msgspec import Raw

from sentiment import events
from sentiment.events import Explanation, Part

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
        A `sentiment.events.Explanation` in JSON, or None where the pipeline is none whose
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
    return Raw(events.encode(Explanation(log_odds, intercept, parts, rest)))


def _is_known(pipeline: Any) -> bool:  # noqa: ANN401 - as above
    """Whether each column is an n-gram, from the vectoriser up to its coefficient."""
    # Not before it is needed: a worker starts without it where its model is compiled.
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MaxAbsScaler, Normalizer

    from sentiment.model import NaiveBayesScaler

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
