"""Claims about explanations: they add up, and say where what stands; of what isn't compiled too."""

import math
from collections import Counter, defaultdict
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from msgspec import Raw
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer

from sentiment import wire
from sentiment.model.compiled import scorer as compiled_scorer
from sentiment.model.compiled.explain import TOO_FAR, write_float, write_units
from sentiment.model.compiled.scorer import MOST_IN_CALL, SCRATCH_BYTES
from sentiment.model.estimators import build
from sentiment.model.formats.scikit_learn import SklearnScorer, explain
from sentiment.model.scorer import MOST_PARTS, explain_some
from sentiment.model.text import APOSTROPHES, tokens
from sentiment.wire import Explanation
from tests.unit.test_compiled import (
    KNOWN,
    LABELS,
    TRAINING,
    compiled,
    fitted,
    logistic,
    pairs,
)
from tests.unit.texts import TEXTS


def raw(explanation: Raw | None) -> Raw:
    """An explanation that has to be there, as bytes."""
    assert explanation is not None
    return explanation


def read(explanation: Raw | None) -> Explanation:
    """The same, decoded."""
    return wire.decode_explanation(raw(explanation))


def check_sum(found: Explanation, score: float, abs_: float = 1e-9) -> None:
    """All that it names is its log-odds, of which the score is the sigmoid."""
    total = found.intercept + found.rest + sum(part.contribution for part in found.parts)
    assert total == pytest.approx(found.log_odds, abs=1e-6)
    assert 1 / (1 + math.exp(-found.log_odds)) == pytest.approx(score, abs=abs_)


def spans(found: Explanation, text: str) -> list[tuple[str, str]]:
    """The first and the last character of each span, all of which lie in the text in its order."""
    places = [(part.begin, part.end) for part in found.parts]
    assert places == sorted(places)
    assert all(0 <= begin < end <= len(text) for begin, end in places)
    return [(text[begin], text[end - 1]) for begin, end in places]


@settings(max_examples=100)
@given(st.lists(st.one_of(KNOWN, TEXTS), min_size=1, max_size=6))
def test_explanations_add_up_and_spans_are_tokens(texts: list[str]) -> None:
    """Intercept and parts are scikit-learn's log-odds, and the score is their sigmoid.

    Spans lie in the text, in its order, and neither end is white space or of no token.
    """
    for name, (pipeline, scorer) in pairs().items():
        scores, explanations = scorer.explain(texts)
        np.testing.assert_array_equal(scores, scorer.score(texts), err_msg=name)
        expected = pipeline.decision_function(texts)
        each = zip(texts, scores, explanations, expected, strict=True)
        for text, score, explanation, log_odds in each:
            found = read(explanation)
            assert found.log_odds == pytest.approx(log_odds, abs=1e-9), name
            check_sum(found, score)
            assert found.rest == 0, name
            for end in chain.from_iterable(spans(found, text)):
                assert not end.isspace(), name
                assert end in APOSTROPHES or tokens(end) or end.isalnum(), name


@settings(max_examples=60)
@given(KNOWN)
def test_contributions_are_the_pipelines_own(text: str) -> None:
    """Contributions of each n-gram add up to its coefficient times its feature in the pipeline."""
    pipeline = PIPELINE
    row = pipeline[:-1].transform([text]).toarray()[0] * pipeline[-1].coef_[0]
    names = pipeline[0].get_feature_names_out()
    found: defaultdict[str, float] = defaultdict(float)
    seen: Counter[str] = Counter()
    for part in read(SCORER.explain([text]).explanations[0]).parts:
        name = " ".join(pipeline[0].build_analyzer()(text[part.begin : part.end])[-1:])
        found[name] += part.contribution
        seen[name] += 1
    expected = {name: amount for name, amount in zip(names, row, strict=True) if amount}
    assert found.keys() == expected.keys()
    for name, amount in expected.items():
        assert found[name] == pytest.approx(amount, abs=1e-7)
    analysed = Counter(pipeline[0].build_analyzer()(text))
    assert seen == {name: count for name, count in analysed.items() if name in expected}


PIPELINE = fitted(TfidfVectorizer(ngram_range=(1, 3)), logistic())
SCORER = compiled(PIPELINE)


def test_what_stands_there_twice_shares_its_contribution() -> None:
    """Also in two cases of letters, after a pictograph, and where lower-casing makes two of one."""
    scorer = compiled(fitted(CountVectorizer(lowercase=True), logistic()))
    for text in ("\U0001f600 Film, \u0130 FILM", "e\u0301 \U0001f44d\U0001f3fd Film \u03a3, FILM"):
        first, second = read(scorer.explain([text]).explanations[0]).parts
        assert [text[part.begin : part.end] for part in (first, second)] == ["Film", "FILM"]
        assert first.contribution == pytest.approx(second.contribution, abs=2e-8)


def test_halves_of_surrogate_pairs_are_one_place_each() -> None:
    """Texts that only Python's strings may hold are counted in Python's way."""
    scorer = pairs()["ours"][1]
    text = "\ud800\udfff good \ud800"
    parts = read(scorer.explain([text]).explanations[0]).parts
    assert "good" in {text[part.begin : part.end] for part in parts}


def test_a_long_text_keeps_the_largest_parts() -> None:
    """Beyond the bound the smallest parts are told as one sum, with which all still add up."""
    text = "".join(f"{words} " for words in TRAINING) * 20
    [score], [explanation] = SCORER.explain([text])
    whole = read(explanation)
    assert len(whole.parts) == MOST_PARTS
    assert whole.rest
    check_sum(whole, score)
    short = text[:200]
    every = read(SCORER.explain([short]).explanations[0]).parts
    [score], [explanation] = SCORER._explainer._explain([short], 7)  # noqa: SLF001 - the bound
    few = read(explanation)
    largest = sorted((abs(part.contribution) for part in every), reverse=True)[:7]
    kept = sorted((abs(part.contribution) for part in few.parts), reverse=True)
    assert kept == pytest.approx(largest, abs=3e-8)
    check_sum(few, score)
    assert [part.begin for part in few.parts] == sorted(part.begin for part in few.parts)


def test_many_texts_share_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large batch has fewer parts in each explanation, not more bytes."""
    assert MOST_IN_CALL > MOST_PARTS
    monkeypatch.setattr(compiled_scorer, "MOST_IN_CALL", 10_000)
    scores, explanations = SCORER.explain([" ".join(TRAINING)] * 200)
    assert {len(read(explanation).parts) for explanation in explanations} == {50}
    check_sum(read(explanations[-1]), scores[-1])


def test_texts_beyond_the_scratch_and_no_texts() -> None:
    """A text that is larger than any event is explained, one of a million bytes only scored."""
    texts = ["good film " * SCRATCH_BYTES, "good", "not good, film " * 10_000]
    assert len(texts[0]) < TOO_FAR
    scores, explanations = SCORER.explain([*texts, "good film " * TOO_FAR])
    assert all(len(read(explanation).parts) for explanation in explanations[:3])
    assert explanations[3] is None
    np.testing.assert_array_equal(scores[:3], SCORER.score(texts))
    assert SCORER.explain([]).explanations == []


def test_the_page_is_emptied_as_often_as_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explanations don't depend on how many share a page."""
    texts = [*TRAINING, "", "\u03a3 good film"] * 20
    expected = [*map(bytes, map(raw, SCORER.explain(texts).explanations))]
    monkeypatch.setattr(compiled_scorer, "JSON_BYTES", MOST_PARTS * 48 + 192)
    assert [*map(bytes, map(raw, compiled(PIPELINE).explain(texts).explanations))] == expected


def test_numbers_beyond_all_reason_are_not_explained() -> None:
    """Weights of ten million give a score and no explanation."""
    pipeline = fitted(CountVectorizer(), logistic())
    pipeline[-1].coef_ *= 1e9
    scores, explanations = compiled(pipeline).explain(["good film", "zzz"])
    assert scores[0] in {0, 1}
    assert explanations[0] is None
    assert read(explanations[1]).parts == []


@given(st.integers(1 - 10**16, 10**16 - 1))
def test_eight_digits(number: int) -> None:
    """A contribution has eight digits after the point, and no zero before its first one."""
    page = np.zeros(64, np.uint8)
    end = write_units(np.int64(number), page, 0)
    whole, rest = divmod(abs(number), 10**8)
    assert page[:end].tobytes().decode() == f"{'-' if number < 0 else ''}{whole}.{rest:08}"


@given(st.floats(-9e6, 9e6))
def test_floats_are_written_as_they_are(number: float) -> None:
    """Sixteen digits after the point, as Python reads them."""
    page = np.zeros(64, np.uint8)
    end = write_float(number, page, 0)
    assert float(page[:end].tobytes()) == pytest.approx(number, rel=1e-15, abs=1e-15)


# None of them is compiled.
EXPLAINED: dict[str, list[Any]] = {
    "one-letter tokens": [CountVectorizer(token_pattern=r"(?u)\b(\w)\w*")],  # noqa: S106 - no secret
    "largest": [CountVectorizer(ngram_range=(1, 2), stop_words=["the"]), MaxAbsScaler()],
    "largest of a row": [TfidfVectorizer(lowercase=False), Normalizer("max")],
    "narrow": [TfidfVectorizer(dtype=np.float32, ngram_range=(2, 6)), "passthrough"],
}


@pytest.fixture(scope="module")
def served() -> dict[str, Pipeline]:
    """Pipelines that scikit-learn serves."""
    return {name: fitted(*steps, logistic()) for name, steps in EXPLAINED.items()}


# Once more than 1e-7 apart in float32.
@example(text="aaa isn not not")
@settings(max_examples=60)
@given(text=st.one_of(KNOWN, TEXTS))
def test_sklearns_explanations_add_up(served: dict[str, Pipeline], text: str) -> None:
    """Intercept and parts are the log-odds, of which the score is the sigmoid; spans are tokens."""
    for name, pipeline in served.items():
        [score], [explanation] = SklearnScorer(pipeline).explain([text])
        found = read(explanation)
        assert found.rest == 0, name
        check_sum(found, score, abs_=1e-6)
        assert not any(end.isspace() for ends in spans(found, text) for end in ends), name


def test_sklearns_long_texts_keep_the_largest_parts() -> None:
    """What is beyond the bound is one sum, with which all still add up."""
    pipeline = fitted(CountVectorizer(), MaxAbsScaler(), logistic())
    text = " ".join(TRAINING)
    found = read(explain(pipeline, text, 5))
    assert len(found.parts) == 5
    assert found.rest
    check_sum(found, pipeline.predict_proba([text])[0, 1])


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
    pipeline, scorer = pairs()["tf-idf"]
    quick = scorer.explain(TRAINING).explanations
    for text, explanation in zip(TRAINING, quick, strict=True):
        ours, theirs = read(explanation), read(explain(pipeline, text, MOST_PARTS))
        assert [part.begin for part in ours.parts] == [part.begin for part in theirs.parts]
        assert [part.contribution for part in ours.parts] == pytest.approx(
            [part.contribution for part in theirs.parts], abs=2e-8
        )
