"""What a fitted scikit-learn pipeline computes, as plain arrays, if it is linear in n-grams."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer

from sentiment.model.compiled import loop
from sentiment.model.compiled.tokenise import NEGATOR, OURS, SKLEARN, STOP_WORD
from sentiment.model.estimators import LengthwiseClassifier, NaiveBayesScaler
from sentiment.model.ngrams import NgramVectorizer
from sentiment.model.text import NEGATORS, SCOPE

# scikit-learn's default, and the only one that the loop knows beside ours.
SKLEARN_TOKENS = r"(?u)\b\w\w+\b"
# A text of n tokens has n keys per length; longer n-grams than these are in no model worth serving.
LONGEST = 5
# scikit-learn's own have 318. The loop looks for a word in them one by one.
MOST_STOP_WORDS = 1000

_NORMS = {None: loop.NO_NORM, "l1": loop.L1, "l2": loop.L2}


class NotCompilableError(Exception):
    """A pipeline computes something that the loop doesn't; the message says what."""


@dataclass
class Linear:
    """A model that is linear in word n-grams.

    Attributes:
        words: The different tokens of all n-grams.
        grams: Columns of n-grams of one length, and the words of each: shapes (k,) and (k, n).
        short: Weight of each column in short texts; shape (columns,), float64.
        long: The same in long texts.
        scale: What a column is multiplied by before the row is brought to length 1.
        intercepts: In short and in long texts.
        lengths: Up to how many different known n-grams a text is short, and from how many on long.
        rules: `OURS` or `SKLEARN`.
        special: Words that are more than words: `NEGATOR` or `STOP_WORD`.
        scope: How many words a negator marks.
        fold: Whether texts are lower-cased; ours always are.
        longest: Longest n-gram.
        counting: `loop.BINARY`, `COUNT` or `SUBLINEAR`.
        norm: `loop.NO_NORM`, `L1` or `L2`.
    """

    words: list[str]
    grams: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    scale: NDArray[np.float64]
    rules: int
    longest: int
    counting: int = loop.BINARY
    norm: int = loop.NO_NORM
    special: dict[str, int] = field(default_factory=dict)
    scope: int = 0
    fold: bool = True
    short: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    long: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    intercepts: tuple[float, float] = (0.0, 0.0)
    # Every text is short where a model makes no difference.
    lengths: tuple[float, float] = (np.inf, np.inf)


def read(pipeline: Any) -> Linear:
    """Read a fitted pipeline.

    Args:
        pipeline: A vectoriser, any number of scalers, a classifier with classes 0 and 1.

    Raises:
        NotCompilableError: A step, or a setting of one, is none that the loop knows.
    """
    if type(pipeline) is not Pipeline or len(pipeline.steps) < 2:
        raise NotCompilableError("it is no pipeline of a vectoriser and a classifier")
    vectorizer, *scalers, classifier = (step for _, step in pipeline.steps)
    linear = _vectorizer(vectorizer)
    for scaler in scalers:
        _scaler(linear, scaler)
    _classifier(linear, classifier)
    return linear


# Exact types everywhere: a subclass may compute anything.


def _vectorizer(step: Any) -> Linear:
    if type(step) is NgramVectorizer:
        return _ours(step)
    if type(step) is CountVectorizer:
        return _sklearn(step)
    if type(step) is TfidfVectorizer and step.dtype == np.float64:
        linear = _sklearn(step)
        _tfidf(linear, step._tfidf)  # noqa: SLF001 - where it keeps its idf and norm
        return linear
    raise NotCompilableError(f"its vectoriser is a {type(step).__name__}, or is no float64 one")


def _ours(step: Any) -> Linear:
    grams = [np.arange(step.sizes[0])[:, None]]
    for prefixes, lasts in zip(step.prefixes_, step.lasts_, strict=True):
        grams.append(np.column_stack([grams[-1][prefixes], lasts]))
    starts = np.cumsum([0, *step.sizes])
    return Linear(
        words=step.words(),
        grams=[(a + np.arange(len(g)), g) for a, g in zip(starts, grams, strict=False)],
        scale=np.ones(starts[-1]),
        rules=OURS,
        longest=len(grams),
        special=dict.fromkeys(sorted(NEGATORS), NEGATOR),
        scope=SCOPE,
    )


def _sklearn(step: Any) -> Linear:
    for name, only in (
        ("analyzer", "word"), ("tokenizer", None), ("token_pattern", SKLEARN_TOKENS),
        ("preprocessor", None), ("strip_accents", None), ("input", "content"),
    ):  # fmt: skip
        if getattr(step, name) != only:
            raise NotCompilableError(f"its vectoriser has another {name} than {only!r}")
    stop_words = sorted(step.get_stop_words() or ())
    if len(stop_words) > MOST_STOP_WORDS:
        raise NotCompilableError(f"it has more than {MOST_STOP_WORDS} stop words")
    longest = step.ngram_range[1]
    if longest > LONGEST:
        raise NotCompilableError(f"its n-grams are longer than {LONGEST} words")
    words: dict[str, int] = {}
    by_length: dict[int, tuple[list[int], list[list[int]]]] = {}
    for gram, column in step.vocabulary_.items():
        parts = gram.split(" ")
        # A vocabulary that was given may hold what its own tokeniser never finds.
        if len(parts) <= longest and all(re.fullmatch(r"\w\w+", part) for part in parts):
            columns, grams = by_length.setdefault(len(parts), ([], []))
            columns.append(column)
            grams.append([words.setdefault(part, len(words)) for part in parts])
    if sum(len(columns) for columns, _ in by_length.values()) < len(step.vocabulary_):
        raise NotCompilableError("its vocabulary holds n-grams that its tokeniser never finds")
    return Linear(
        words=list(words),
        grams=[(np.array(columns), np.array(grams)) for columns, grams in by_length.values()],
        scale=np.ones(len(step.vocabulary_)),
        rules=SKLEARN,
        longest=longest,
        counting=loop.BINARY if step.binary else loop.COUNT,
        special=dict.fromkeys(stop_words, STOP_WORD),
        fold=step.lowercase,
    )


def _scaler(linear: Linear, step: Any) -> None:
    if step is None or step == "passthrough":
        return
    if linear.norm != loop.NO_NORM:
        raise NotCompilableError("it goes on scaling after rows were brought to length 1")
    if type(step) is NaiveBayesScaler:
        linear.scale = linear.scale * step.ratio_
    elif type(step) is TfidfTransformer:
        _tfidf(linear, step)
    elif type(step) is Normalizer and step.norm in _NORMS:
        linear.norm = _NORMS[step.norm]
    else:
        raise NotCompilableError(f"it scales with a {type(step).__name__}, or in another norm")


def _tfidf(linear: Linear, step: Any) -> None:
    if step.sublinear_tf:
        if linear.counting == loop.COUNT and np.all(linear.scale == 1):
            linear.counting = loop.SUBLINEAR
        elif linear.counting != loop.BINARY:
            raise NotCompilableError("it takes logarithms of what is no count")
    if step.use_idf:
        linear.scale = linear.scale * step.idf_
    linear.norm = _NORMS[step.norm]


def _classifier(linear: Linear, step: Any) -> None:
    logistic = type(step) is LogisticRegression or (
        type(step) is SGDClassifier and step.loss == "log_loss"
    )
    if not logistic and type(step) is not LengthwiseClassifier:
        raise NotCompilableError(f"its classifier is a {type(step).__name__}, or has another loss")
    if not np.array_equal(step.classes_, [0, 1]):
        raise NotCompilableError("its classes are not 0 and 1")
    if logistic:
        linear.short = linear.long = step.coef_.ravel()
        linear.intercepts = (float(step.intercept_[0]),) * 2
    else:
        linear.short, linear.long = step.coef_
        linear.intercepts = (float(step.intercept_[0]), float(step.intercept_[1]))
        linear.lengths = (step.short, step.long)
