"""Claims about finding a model's reference, and about counting tokens as the model does."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from structlog.testing import capture_logs

from sentiment.model import drift
from sentiment.model.formats.scikit_learn import load_pipeline
from sentiment.model.text import tokens
from sentiment.registry.publish import bundled_model
from tests.unit import drifting
from tests.unit.texts import TEXTS
from trainer.release import training_reference


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
    assert found.known == sum(token in VOCABULARY for part in split for token in part)


VOCABULARY = set(load_pipeline(bundled_model())[0].get_feature_names_out().tolist())


def test_a_reference_made_now_is_the_one_that_a_worker_would_measure() -> None:
    """The trainer counts tokens with the compiled model, as workers do."""
    texts = drifting.reviews(400)
    made = training_reference(drifting.bundled().scorer, texts, np.full(400, 0.5))
    found = drift.sizes(drifting.bundled().scorer, texts)
    assert made.known_token_share == pytest.approx(found.known / found.tokens.sum(), abs=1e-6)
    shares = drift.bins(found.tokens, made.length_edges) / 400
    assert made.length_shares == pytest.approx(shares.tolist(), abs=1e-6)
