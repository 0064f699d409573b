"""The earlier system, faithfully: NLTK's preprocessing, a bag of words, logistic regression.

What the champion is measured against. No worker serves it: that would need NLTK and its corpora.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, Literal, Self, get_args

import nltk
import numpy as np
import pandas as pd
from nltk.corpus import stopwords
from nltk.stem import SnowballStemmer, WordNetLemmatizer
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment.errors import SetupError
from trainer.reports import Say, silent

Normaliser = Literal["lemmatise", "stem"]

_TAG = re.compile(r"</?[a-z][^<>]*>")
# All else is a gap between words: "don't" becomes "don" and "t", which the stop words have.
_WORD = re.compile("[a-z]+")

# WordNet has 10 MB.
DOWNLOAD_S = 120.0
# Words are reduced once each. 325,000 texts of all sorts have some 200,000 different ones, which
# are about 40 MB here.
_REMEMBERED = 2**18


class NltkNormaliser(TransformerMixin, BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """Lower-cases, strips HTML tags and all but letters, drops stop words, and reduces words.

    Args:
        normaliser: `lemmatise` with WordNet, each word taken for a noun as NLTK does by default; or
            `stem` with Snowball's English stemmer.

    Attributes:
        stop_words_: NLTK's English stop words at the time of fitting, sorted; string.
    """

    def __init__(self, normaliser: Normaliser = "lemmatise") -> None:
        self.normaliser = normaliser

    def fit(self, texts: ArrayLike, y: object = None) -> Self:
        """Read the stop words; nothing is learnt from the texts.

        Raises:
            SetupError: A corpus of NLTK's is missing, and can't be downloaded.
            ValueError: There is no such normaliser.
        """
        del texts, y
        _check(self.normaliser)
        _require_corpus("stopwords")
        _reducer(self.normaliser)
        self.stop_words_: NDArray[np.str_] = np.array(sorted(stopwords.words("english")))
        return self

    def transform(self, texts: ArrayLike) -> list[str]:
        """The words that are left of each text, with a space between.

        Raises:
            SetupError: WordNet is missing.
        """
        check_is_fitted(self)
        reduce, dropped = _reducer(self.normaliser), frozenset(self.stop_words_.tolist())
        return [
            " ".join([reduce(word) for word in _words(text) if word not in dropped])
            # Also out of a table of one column, which MLflow's `python_function` hands over.
            for text in np.asarray(texts, object).ravel()
        ]

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - sklearn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class Baseline:
    """The candidate `trainer.baseline:Baseline` of `params.yaml`.

    Args:
        max_features: How many words the bag has: the most frequent ones.
        normaliser: See `NltkNormaliser`.
        C: Inverse strength of the L2 penalty of the classifier.
        max_iter: Most steps of its solver.
    """

    trusted_types: tuple[str, ...] = ("trainer.baseline.NltkNormaliser",)

    def __init__(
        self,
        max_features: int = 5000,
        normaliser: Normaliser = "lemmatise",
        C: float = 1.0,  # noqa: N803 - sklearn's name
        # It ends after some 170, on film reviews as on all domains.
        max_iter: int = 1000,
    ) -> None:
        _check(normaliser)
        self.max_features = max_features
        self.normaliser: Normaliser = normaliser
        self.C = C
        self.max_iter = max_iter

    def fit(self, frame: pd.DataFrame, say: Say = silent) -> Pipeline:
        """See `trainer.train.Candidate`.

        Raises:
            SetupError: A corpus of NLTK's is missing.
        """
        pipeline = Pipeline(
            [
                ("nltk", NltkNormaliser(self.normaliser)),
                ("count", CountVectorizer(max_features=self.max_features)),
                ("classify", LogisticRegression(C=self.C, max_iter=self.max_iter)),
            ]
        )
        say(f"Fitting on {len(frame):,} texts, each through NLTK first …")
        return pipeline.fit(frame["text"].tolist(), frame["label"].to_numpy(np.int64))

    def describe(self) -> str:
        """Markdown for the model card."""
        reduced = {
            "lemmatise": "reduced to its lemma by NLTK's WordNet lemmatiser (WordNet 3.0, Princeton"
            " University), as a noun",
            "stem": "reduced to its stem by NLTK's Snowball stemmer",
        }[self.normaliser]
        return (
            "The earlier system. A text is lower-cased; HTML tags and all characters but the"
            " letters a to z are taken out; NLTK's English stop words are dropped, the negations"
            f" among them; each word left is {reduced}. The {self.max_features:,} most frequent"
            " words of the training texts are counted (scikit-learn's `CountVectorizer`), and"
            f" logistic regression decides (L2 penalty, C = {self.C:g})."
        )


def _check(normaliser: str) -> None:
    if normaliser not in get_args(Normaliser):
        raise ValueError(f"normaliser must be lemmatise or stem, not {normaliser!r}")


def _require_corpus(name: str) -> None:
    """Make sure that NLTK finds a corpus, by its own search path and downloader; else raise."""
    for attempt in range(2):
        for resource in (f"corpora/{name}", f"corpora/{name}.zip"):
            try:
                nltk.data.find(resource)
            except (LookupError, OSError):
                continue
            return
        if not attempt:
            # A process of its own can be ended, however slowly a server answers.
            command = [sys.executable, "-m", "nltk.downloader", "-q", name]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(command, capture_output=True, timeout=DOWNLOAD_S, check=False)  # noqa: S603 - our own
    raise SetupError(
        f"NLTK's corpus {name!r} is in none of {', '.join(nltk.data.path)}, and NLTK's downloader"
        " did not bring it.",
        f"`python -m nltk.downloader {name}` says why. Where only a package index answers,"
        " `python -m tools.corpora` of the repository gets it from there; NLTK_DATA names a folder"
        " that has it, which nobody else may be able to write (`chmod -R go-w`).",
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(_TAG.sub(" ", text.lower()))


@cache
def _reducer(normaliser: Normaliser) -> Callable[[str], str]:
    """The function from a word to its reduced form, with memory."""
    if normaliser == "stem":
        return lru_cache(_REMEMBERED)(SnowballStemmer("english").stem)
    _require_corpus("wordnet")
    return lru_cache(_REMEMBERED)(WordNetLemmatizer().lemmatize)
