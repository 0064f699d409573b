"""Claims about explanations by scikit-learn: exact where they can be had, else there is none."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer

from sentiment import wire
from sentiment.model.estimators import build
from sentiment.model.formats.scikit_learn import SklearnScorer, explain
from sentiment.model.scorer import MOST_PARTS, explain_some
from tests.unit.test_compiled import KNOWN, LABELS, PIPELINES, TRAINING, fitted, logistic
from tests.unit.texts import TEXTS

# None of them is compiled.
EXPLAINED: dict[str, list[Any]] = {
    "one-letter tokens": [CountVectorizer(token_pattern=r"(?u)\b(\w)\w*")],  # noqa: S106 - no secret
    "largest": [CountVectorizer(ngram_range=(1, 2), stop_words=["the"]), MaxAbsScaler()],
    "largest of a row": [TfidfVectorizer(lowercase=False), Normalizer("max")],
    "narrow": [TfidfVectorizer(dtype=np.float32, ngram_range=(2, 6)), "passthrough"],
}


@pytest.fixture(scope="module", params=EXPLAINED)
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """A pipeline that scikit-learn serves."""
    return fitted(*EXPLAINED[request.param], logistic())


# Once more than 1e-7 apart in float32.
@example("aaa isn not not")
@settings(max_examples=40)
@given(st.one_of(KNOWN, TEXTS))
def test_explanations_add_up(pipeline: Pipeline, text: str) -> None:
    """Intercept and parts are the log-odds, of which the score is the sigmoid; spans are tokens."""
    scores, [raw] = SklearnScorer(pipeline).explain([text])
    assert raw is not None
    found = wire.decode_explanation(raw)
    total = found.intercept + sum(part.contribution for part in found.parts)
    assert total == pytest.approx(found.log_odds, abs=1e-6)
    assert 1 / (1 + math.exp(-found.log_odds)) == pytest.approx(scores[0], abs=1e-6)
    places = [(part.begin, part.end) for part in found.parts]
    assert places == sorted(places)
    for begin, end in places:
        assert 0 <= begin < end <= len(text)
        assert not text[begin].isspace()
        assert not text[end - 1].isspace()


def test_long_texts_keep_the_largest_parts() -> None:
    """What is beyond the bound is one sum, with which all still add up."""
    pipeline = fitted(CountVectorizer(), MaxAbsScaler(), logistic())
    raw = explain(pipeline, " ".join(TRAINING), 5)
    assert raw is not None
    found = wire.decode_explanation(raw)
    assert len(found.parts) == 5
    total = found.intercept + found.rest + sum(part.contribution for part in found.parts)
    assert found.rest
    assert total == pytest.approx(found.log_odds, abs=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        [HashingVectorizer(n_features=64)],
        [CountVectorizer(analyzer="char")],
        [CountVectorizer(tokenizer=str.split)],
        [CountVectorizer(), TruncatedSVD(3)],
    ],
)
@pytest.mark.filterwarnings("ignore:The parameter 'token_pattern' will not be used")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_others_have_scores_and_no_explanation(steps: list[Any]) -> None:
    """Where columns are no n-grams, or their places are not known, nothing is made up."""
    pipeline = fitted(*steps, logistic())
    scores, explanations = explain_some(SklearnScorer(pipeline), ["good film", "bad"], {1})
    assert explanations == [None, None]
    np.testing.assert_allclose(scores, pipeline.predict_proba(["good film", "bad"])[:, 1])


def test_ours_is_explained_by_its_compiled_form_alone() -> None:
    """The pipeline itself answers without an explanation, and doesn't fail."""
    ours = build((1, 1, 1)).fit(TRAINING, np.array(LABELS, int))
    assert explain(ours, "good film", MOST_PARTS) is None


def test_the_slow_way_says_the_same_as_the_quick_one() -> None:
    """Where both know a pipeline, they explain it alike."""
    from sentiment.model.compiled.build import build as compile_table
    from sentiment.model.compiled.linear import read
    from sentiment.model.compiled.scorer import CompiledScorer

    pipeline = PIPELINES["tf-idf"]()
    quick = CompiledScorer(compile_table(read(pipeline))).explain(TRAINING).explanations
    for text, raw in zip(TRAINING, quick, strict=True):
        slow = explain(pipeline, text, MOST_PARTS)
        assert raw is not None
        assert slow is not None
        ours, theirs = wire.decode_explanation(raw), wire.decode_explanation(slow)
        assert [part.begin for part in ours.parts] == [part.begin for part in theirs.parts]
        assert [part.contribution for part in ours.parts] == pytest.approx(
            [part.contribution for part in theirs.parts], abs=2e-8
        )
