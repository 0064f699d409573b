"""The candidate that is served: what it learns from. Its form: `sentiment.model.estimators`."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from sentiment.model.estimators import build
from trainer.reports import Say

# A sentence ends at a punctuation mark followed by a space, or at an HTML line break.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|<br\s*/?>")
# Words of a sentence that says something by itself, and is no paragraph.
_SENTENCE_WORDS = range(5, 41)
# Below this strength (of 4) the readers of VADER's lexicon hardly agreed on a word.
_LEAST_VALENCE = 0.5
# The ways of saying that something is not so; the first one is the commonest in every corpus.
_NEGATIONS = ("not {}", "is not {}", "isn't {}", "not {} at all")


class Champion:
    """Naive-Bayes weighted 1-3-grams with weights for short and for long texts.

    Args:
        min_df: See `sentiment.model.estimators.build`.
        alpha: Same.
        short: Same.
        long: Same.
        C: Same.
        weights: How much a text of a domain counts; 1 where a domain isn't named.
        sentences_of: Domains whose texts are also given sentence by sentence, each with the label
            of its text: many are short texts of that domain, and some contradict their text.
        sentence_weight: How much such a sentence counts.
        lexicon_weight: How much a word of VADER's lexicon counts, as a text of one word, at half of
            its greatest strength; 0: none are given.
        negation_weight: The same for the word negated, in a few ways, with the other label.
    """

    trusted_types: tuple[str, ...] = ()

    def __init__(  # noqa: PLR0913 - the parameters, by name
        self,
        *,
        min_df: Sequence[int] = (2, 3, 3),
        alpha: float = 1.0,
        short: float = 30.0,
        long: float = 300.0,
        C: float = 5.0,  # noqa: N803 - sklearn's name
        weights: Mapping[str, float] | None = None,
        sentences_of: Sequence[str] = (),
        sentence_weight: float = 0.0,
        lexicon_weight: float = 0.0,
        negation_weight: float = 0.0,
    ) -> None:
        self._pipeline = build(min_df, alpha, short, long, C)
        self._weights = dict(weights or {})
        self._sentences_of = tuple(sentences_of)
        self._sentence_weight = sentence_weight
        self._lexicon_weight = lexicon_weight
        self._negation_weight = negation_weight

    def fit(self, frame: pd.DataFrame, say: Say) -> Pipeline:
        """See `trainer.train.Candidate`."""
        rows = [
            frame[["text", "label"]].assign(weight=self._weights_of(frame["domain"]), counted=True)
        ]
        if self._sentence_weight:
            rows.append(self._sentences(frame).assign(counted=False))
        words = lexicon()
        if self._lexicon_weight:
            rows.append(_scaled(words, self._lexicon_weight))
        if self._negation_weight:
            rows.append(_scaled(negated(words), self._negation_weight))
        every = pd.concat(rows, ignore_index=True)
        say(f"Fitting on {len(every):,} texts, sentences and words …")
        weight = every["weight"].to_numpy(np.float64)
        return self._pipeline.fit(
            every["text"].tolist(),
            every["label"].to_numpy(np.int64),
            # An n-gram of a single text is in its sentences too, and still counts once.
            ngrams__counted=every["counted"].to_numpy(bool),
            scale__sample_weight=weight,
            classify__sample_weight=weight,
        )

    def describe(self) -> str:
        """See `trainer.train.Candidate`."""
        return (files("trainer") / "champion.md").read_text(encoding="utf-8")

    def _weights_of(self, domains: pd.Series) -> pd.Series:
        return domains.map(lambda domain: self._weights.get(domain, 1.0)).astype(np.float64)

    def _sentences(self, frame: pd.DataFrame) -> pd.DataFrame:
        whole = frame.loc[frame["domain"].isin(self._sentences_of), ["text", "label"]]
        parts = whole.assign(text=whole["text"].map(_SENTENCE_END.split)).explode("text")
        words = parts["text"].str.count(" ") + 1
        return parts[words.isin(_SENTENCE_WORDS)].assign(weight=self._sentence_weight)


def lexicon() -> pd.DataFrame:
    """The plain words of VADER's lexicon as texts, with `label`, and strength / 2 as `weight`.

    Source: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment
    Analysis of Social Media Text", ICWSM 2014; ten readers rated each word from -4 to 4.
    """
    lines = (files("vaderSentiment") / "vader_lexicon.txt").read_text(encoding="utf-8").splitlines()
    rated = [(word, float(rating)) for word, rating, *_ in (line.split("\t") for line in lines)]
    rows = [
        (word, int(rating > 0), abs(rating) / 2)
        for word, rating in rated
        if abs(rating) >= _LEAST_VALENCE and word.isalpha()
    ]
    return pd.DataFrame(rows, columns=["text", "label", "weight"])


def negated(words: pd.DataFrame) -> pd.DataFrame:
    """Words of a lexicon as texts that deny them."""
    return pd.concat(
        [
            words.assign(text=words["text"].map(template.format), label=1 - words["label"])
            for template in _NEGATIONS
        ],
        ignore_index=True,
    )


def _scaled(words: pd.DataFrame, weight: float) -> pd.DataFrame:
    return words.assign(weight=words["weight"] * weight, counted=True)
