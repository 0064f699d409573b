"""Claims about a model's drift reference: made, found, and of tokens as the model counts them."""

import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from structlog.testing import capture_logs

from sentiment.model import drift
from sentiment.model.drift import Reference
from sentiment.model.estimators import build
from sentiment.model.formats.scikit_learn import ScikitLearn, SklearnScorer, load_pipeline
from sentiment.model.text import tokens
from sentiment.registry.publish import bundled_model
from tests.unit import drifting
from tests.unit.texts import TEXTS
from trainer import release, reports


def test_the_bundled_model_has_one() -> None:
    """Made from all of its test texts, scored by its twin: the scores are in its evaluation."""
    found = drift.read(bundled_model())
    assert found is not None
    scores = np.load(bundled_model() / "evaluation" / "scores.npy")
    assert found.texts == len(scores)
    shares = drift.bins(scores, found.score_edges) / len(scores)
    assert found.score_shares == pytest.approx(shares.tolist(), abs=1e-6)
    assert found.positive_share == pytest.approx((scores >= 0.5).mean(), abs=1e-6)


def damaged(**changes: Any) -> bytes:  # noqa: ANN401 - of any field
    """The bundled reference with other fields."""
    document = json.loads((bundled_model() / drift.FILE).read_bytes())
    return json.dumps(document | changes).encode()


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{}",
        b"\xff",
        damaged(texts="many"),
        damaged(texts=drift.LEAST_TEXTS - 1),
        damaged(score_shares=[1.0]),
        damaged(score_edges=[0.1, 0.1], score_shares=[0.5, 0.5, 0.0]),
        damaged(length_shares=[1.0] * 9),
        damaged(length_edges=[5], length_shares=[-1.0, 2.0]),
    ],
)
def test_without_a_usable_one_there_is_a_line_and_no_error(
    content: bytes | None, tmp_path: Path
) -> None:
    """A model that has none, a broken one or one of a few texts is just not watched."""
    directory = Path(shutil.copytree(bundled_model(), tmp_path / "model"))
    (directory / drift.FILE).unlink()
    if content is not None:
        (directory / drift.FILE).write_bytes(content)
    with capture_logs() as logged:
        assert drift.read(directory) is None
    assert [entry["event"] for entry in logged] == ["model is not watched for drift"]
    assert logged[0]["reason"]


@given(st.lists(TEXTS, max_size=8))
def test_compiled_counts_are_those_of_the_rules(texts: list[str]) -> None:
    """Tokens of any texts, and those in the vocabulary, are the ones that Python finds."""
    found = drift.sizes(drifting.bundled().scorer, texts)
    split = [tokens(text) for text in texts]
    assert found.tokens.tolist() == [len(part) for part in split]
    assert found.known == sum(token in vocabulary() for part in split for token in part)


@cache
def vocabulary() -> set[str]:
    """What the bundled model knows."""
    return set(load_pipeline(bundled_model())[0].get_feature_names_out().tolist())


def test_a_reference_made_now_is_the_one_that_a_worker_would_measure() -> None:
    """The trainer counts tokens with the compiled model, as workers do."""
    texts = drifting.reviews(400)
    made = release.training_reference(drifting.bundled().scorer, texts, np.full(400, 0.5))
    found = drift.sizes(drifting.bundled().scorer, texts)
    assert made.known_token_share == pytest.approx(found.known / found.tokens.sum(), abs=1e-6)
    shares = drift.bins(found.tokens, made.length_edges) / 400
    assert made.length_shares == pytest.approx(shares.tolist(), abs=1e-6)


# The reference that a release gets: figures worked out by hand.

# 2, 5, 0 and 11 tokens, of which 2, 4, 0 and 5 are known.
SCORED = ["good film", "a good, good film", "", "good " * 5 + "unheard " * 5 + "?"]
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
    made = training_reference(pipeline, SCORED, SCORES)
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
    made = training_reference(build(min_df=(1, 1, 1)).fit(LEARNT, [1, 0]), SCORED, SCORES)
    reports.write(made, tmp_path / drift.FILE)
    document = json.loads((tmp_path / "drift.json").read_text())
    assert document["score_shares"] == made.score_shares
    assert document["texts"] == 4
