"""Which fitted pipelines can be served: of scikit-learn's estimators and ours those named here.

A model is data that somebody else made. Native code trusts the numbers in it, as places in memory
and as lengths; a regular expression may take years. So what isn't known to be harmless is refused,
and its numbers must fit together before they are used. Runs in a process with limits.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer

from sentiment.model.estimators import LengthwiseClassifier, NaiveBayesScaler
from sentiment.model.formats.format import NotServableError
from sentiment.model.ngrams import NgramVectorizer

# Of words, as the compiled loop has them; of characters, of which a text has far more.
MOST_WORDS, MOST_CHARACTERS = 5, 8
# Each goes over a text once. Others may go back and forth in it, for hours.
TOKEN_PATTERNS = frozenset(
    unicode + pattern
    for unicode in ("", "(?u)")
    for pattern in (
        r"\b\w\w+\b",
        r"\b\w+\b",
        r"\w\w+",
        r"\w+",
        r"\S+",
        r"\b[a-zA-Z]+\b",
        "[a-zA-Z]+",
    )
)
# Weights and scales are logarithms and shares. Sums of products of three such numbers over a text
# stay far below the largest number that even a float32 has: none becomes infinite or no number.
MOST_WEIGHT = 1e9
# A scale that is divided by.
LEAST_SCALE = 1e-9

_VECTORIZERS = (CountVectorizer, TfidfVectorizer, HashingVectorizer)
_LINEAR = (LogisticRegression, SGDClassifier)
_BAYES = (MultinomialNB, ComplementNB)
# What training alone uses, and is no plain data.
_OF_TRAINING = "_loss_function_"
_NUMBERS = frozenset({np.float64, np.float32, np.int64, np.int32})


def check(pipeline: Any) -> None:  # noqa: ANN401 - sklearn has no types
    """Make sure that a pipeline holds only what it may, and that its numbers fit together.

    Args:
        pipeline: Whatever was in a model's file.

    Raises:
        NotServableError: It can't be served.
    """
    _require(type(pipeline) is Pipeline, f"it is a {type(pipeline).__name__}, not a Pipeline")
    _own_methods(pipeline)
    names, steps = zip(*pipeline.steps, strict=True)
    _require(all(type(name) is str for name in names) and len(steps) > 1, "its steps have no names")
    vectorizer, *scalers, classifier = steps
    width = _vectorizer(vectorizer)
    for scaler in scalers:
        _scaler(scaler, width)
    _classifier(classifier, width)


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise NotServableError(otherwise)


def _own_methods(step: Any) -> None:  # noqa: ANN401 - as above
    """An attribute of the same name would take a method's place."""
    for name in vars(step):
        _require(not hasattr(type(step), name), f"its {type(step).__name__} sets {name!r}")


def _plain(step: Any) -> None:  # noqa: ANN401 - as above
    """Every attribute is plain data, and every number of an array a sensible one."""
    _own_methods(step)
    for name, value in vars(step).items():
        of = f"{type(step).__name__}.{name}"
        if type(value) is TfidfTransformer and type(step) is TfidfVectorizer:
            _plain(value)
        elif name != _OF_TRAINING:
            _data(value, of)


def _data(value: Any, of: str) -> None:  # noqa: ANN401 - as above
    if type(value) is np.ndarray:
        _require(value.dtype.kind in "biuf", f"{of} is an array of {value.dtype}")
        if value.dtype.kind == "f":
            # Where a number is none, this is false too.
            _require(np.all(np.abs(value) <= MOST_WEIGHT), f"a number in {of} is too large or none")
    elif type(value) in {list, tuple, set, frozenset}:
        _each(value, of)
    elif type(value) is dict:
        _each(value, of)
        _each(value.values(), of)
    else:
        plain = value is None or type(value) in {bool, int, float, str}
        _require(
            plain or isinstance(value, np.number) or (type(value) is type and value in _NUMBERS),
            f"{of} is a {type(value).__name__}",
        )


def _each(values: Iterable[Any], of: str) -> None:
    for value in values:
        _data(value, of)


def _array(step: Any, name: str, *shape: int, kind: str = "f") -> Any:  # noqa: ANN401 - as above
    value = getattr(step, name, None)
    fits = type(value) is np.ndarray and value.shape == shape and value.dtype.kind in kind
    _require(fits, f"{type(step).__name__}.{name} is no array of numbers of shape {shape}")
    return value


def _whole(value: Any, least: int, most: int) -> bool:  # noqa: ANN401 - as above
    return type(value) is int and least <= value <= most


def _vectorizer(step: Any) -> int:  # noqa: ANN401 - as above
    """Check the first step; how many columns it makes."""
    if type(step) is NgramVectorizer:
        _plain(step)
        return _ngrams(step)
    _require(type(step) in _VECTORIZERS, f"its vectoriser is a {type(step).__name__}")
    _plain(step)
    for name, allowed in (
        ("input", {"content"}),
        ("tokenizer", {None}),
        ("preprocessor", {None}),
        ("strip_accents", {None, "ascii", "unicode"}),
        ("analyzer", {"word", "char", "char_wb"}),
        ("token_pattern", TOKEN_PATTERNS),
        ("dtype", _NUMBERS),
    ):
        value = getattr(step, name, "")
        known = type(value) in {str, type, type(None)} and value in allowed
        _require(known, f"its vectoriser has a {name} that isn't served: {value!r:.80}")
    stop_words = step.stop_words
    if type(stop_words) is str:
        _require(stop_words == "english", "its stop words are those of no language that is known")
    elif stop_words is not None:
        words = type(stop_words) in {list, set, frozenset} and {type(word) for word in stop_words}
        _require(words in ({str}, set()), "its stop words are no words")
    most = MOST_WORDS if step.analyzer == "word" else MOST_CHARACTERS
    of, to = step.ngram_range if len(step.ngram_range) == 2 else (0, 0)  # noqa: PLR2004 - from, to
    _require(_whole(of, 1, most) and _whole(to, of, most), f"its n-grams are longer than {most}")
    if type(step) is HashingVectorizer:
        # The other steps have as many numbers.
        _require(_whole(step.n_features, 1, 2**31 - 1), "its number of features is none")
        return int(step.n_features)
    vocabulary: Any = getattr(step, "vocabulary_", None)
    _require(type(vocabulary) is dict and vocabulary, "it has no vocabulary")
    _require(all(type(word) is str for word in vocabulary), "its vocabulary has no words")
    width = len(vocabulary)
    columns = vocabulary.values()
    numbered = all(_whole(column, 0, width - 1) for column in columns)
    _require(
        numbered and len(set(columns)) == width, "its vocabulary has other columns than its own"
    )
    if type(step) is TfidfVectorizer:
        _scaler(getattr(step, "_tfidf", None), width)
    return width


def _ngrams(step: NgramVectorizer) -> int:
    ends = step.word_ends_
    letters = _array(step, "words_", np.size(step.words_), kind="u")
    ends = _array(step, "word_ends_", np.size(step.word_ends_), kind="i")
    in_order = (
        len(ends) and ends[0] > 0 and np.all(ends[1:] > ends[:-1]) and ends[-1] == len(letters)
    )
    _require(in_order and letters.dtype == np.uint8, "its words do not follow one another")
    longer = step.prefixes_, step.lasts_
    _require({type(part) for part in longer} == {list}, "its n-grams are no lists")
    _require(
        len(step.prefixes_) == len(step.lasts_) < MOST_WORDS,
        f"its n-grams are longer than {MOST_WORDS}",
    )
    for sizes, prefixes, lasts in zip(pairwise(step.sizes), *longer, strict=True):
        for numbers, below in ((prefixes, sizes[0]), (lasts, len(ends))):
            known = type(numbers) is np.ndarray and numbers.shape == (sizes[1],)
            _require(known and numbers.dtype.kind == "i", "its n-grams are no numbers")
            _require(
                np.all((numbers >= 0) & (numbers < below)),
                "an n-gram is made of words that it lacks",
            )
    try:
        words = step.words()
    except UnicodeDecodeError:
        words = []
    _require(len(words) == len(ends), "its words are no UTF-8, or one is there twice")
    return sum(step.sizes)


def _scaler(step: Any, width: int) -> None:  # noqa: ANN401 - as above
    if step is None or (type(step) is str and step == "passthrough"):
        return
    _require(
        type(step) in {NaiveBayesScaler, TfidfTransformer, Normalizer, MaxAbsScaler},
        f"it scales with a {type(step).__name__}",
    )
    _plain(step)
    if type(step) is NaiveBayesScaler:
        _array(step, "ratio_", width)
    elif type(step) is MaxAbsScaler:
        scale = _array(step, "scale_", width)
        _require(np.all(np.abs(scale) >= LEAST_SCALE), "a scale is none")
    else:
        norms = {"l1", "l2", "max"} if type(step) is Normalizer else {"l1", "l2", None}
        _require(type(step.norm) in {str, type(None)} and step.norm in norms, "its norm is unknown")
        if type(step) is TfidfTransformer and step.use_idf:
            _array(step, "idf_", width)


def _classifier(step: Any, width: int) -> None:  # noqa: ANN401 - as above
    _require(
        type(step) in {*_LINEAR, *_BAYES, LengthwiseClassifier},
        f"its classifier is a {type(step).__name__}",
    )
    classes = getattr(step, "classes_", None)
    fits = type(classes) is np.ndarray and np.array_equal(classes, [0, 1])
    _require(fits, f"its classes are {classes!s:.80}, not [0 1]")
    _plain(step)
    if type(step) in _BAYES:
        _array(step, "feature_log_prob_", 2, width)
        _array(step, "class_log_prior_", 2)
        return
    rows = 2 if type(step) is LengthwiseClassifier else 1
    _array(step, "coef_", rows, width)
    _array(step, "intercept_", rows)
    if type(step) is LengthwiseClassifier:
        numbers = all(type(edge) in {int, float} for edge in (step.short, step.long))
        fits = numbers and 0 <= step.short < step.long <= MOST_WEIGHT
        _require(fits, "its lengths of short and of long texts are no such")
    elif type(step) is SGDClassifier:
        _require(step.loss in {"log_loss", "modified_huber"}, "its loss gives no probabilities")
