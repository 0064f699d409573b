"""Claims about the drift reference: figures worked out by hand."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from sentiment.model.drift import FILE, Reference
from sentiment.model.estimators import build
from sentiment.model.formats.scikit_learn import ScikitLearn, SklearnScorer
from trainer import release, reports

# 2, 5, 0 and 11 tokens, of which 2, 4, 0 and 5 are known.
TEXTS = ["good film", "a good, good film", "", "good " * 5 + "unheard " * 5 + "?"]
SCORES = np.array([0.05, 0.5, 0.4999, 1.0])
LEARNT = ["a good film, a good film", "a bad film"]


def training_reference(
    pipeline: Pipeline, texts: Sequence[str], scores: NDArray[np.float64]
) -> Reference:
    """The reference of a model that a worker compiles where it can."""
    scorer = release.served(ScikitLearn(), SklearnScorer(pipeline))
    return release.training_reference(scorer, texts, scores)


def test_shares_are_those_of_the_texts() -> None:
    """Scores, lengths, the share called positive, and the share of known tokens."""
    pipeline = build(min_df=(1, 1, 1)).fit(LEARNT, [1, 0])
    made = training_reference(pipeline, TEXTS, SCORES)
    assert made.texts == 4
    assert made.score_edges == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert made.score_shares == [0.25, 0, 0, 0, 0.25, 0.25, 0, 0, 0, 0.25]
    assert made.length_edges == [5, 10, 20, 40, 80, 160, 320, 640]
    assert made.length_shares == [0.5, 0.25, 0.25, 0, 0, 0, 0, 0, 0]
    assert made.positive_share == 0.5
    assert made.known_token_share == round((2 + 5 + 5) / (2 + 5 + 11), 6)


def test_any_vocabulary_will_do() -> None:
    """Words of scikit-learn's vectorisers count too; where there are none, there is no share."""
    counted = make_pipeline(CountVectorizer(), LogisticRegression()).fit(LEARNT, [1, 0])
    assert training_reference(counted, ["good film and"], SCORES[:1]).known_token_share == round(
        2 / 3, 6
    )
    hashed = make_pipeline(HashingVectorizer(), LogisticRegression()).fit(LEARNT, [1, 0])
    assert training_reference(hashed, ["good film"], SCORES[:1]).known_token_share is None


def test_texts_without_tokens_have_no_share_of_anything() -> None:
    """Nothing of nothing is no division by zero."""
    pipeline = build(min_df=(1, 1, 1)).fit(LEARNT, [1, 0])
    assert training_reference(pipeline, ["", " "], SCORES[:2]).known_token_share == 0


def test_is_written_for_any_program(tmp_path: Path) -> None:
    """drift.json holds the same as plain JSON."""
    made = training_reference(build(min_df=(1, 1, 1)).fit(LEARNT, [1, 0]), TEXTS, SCORES)
    reports.write(made, tmp_path / FILE)
    document = json.loads((tmp_path / "drift.json").read_text())
    assert document["score_shares"] == made.score_shares
    assert document["texts"] == 4
