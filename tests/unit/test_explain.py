"""Claims about explanations of compiled models: they add up, and say where what stands."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from msgspec import Raw
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import Pipeline

from sentiment import wire
from sentiment.model.compiled import scorer as compiled_scorer
from sentiment.model.compiled.explain import TOO_FAR, write_float, write_units
from sentiment.model.compiled.scorer import MOST_IN_CALL, SCRATCH_BYTES, CompiledScorer
from sentiment.model.scorer import MOST_PARTS
from sentiment.model.text import tokens
from sentiment.wire import Explanation
from tests.unit.test_compiled import KNOWN, PIPELINES, TRAINING, compiled, fitted, logistic
from tests.unit.texts import TEXTS


def read(explanation: Raw | None) -> Explanation:
    """An explanation that has to be there."""
    assert explanation is not None
    return wire.decode_explanation(explanation)


def total(found: Explanation) -> float:
    """What should be the log-odds."""
    return found.intercept + found.rest + sum(part.contribution for part in found.parts)


@pytest.fixture(scope="module", params=PIPELINES)
def pair(request: pytest.FixtureRequest) -> tuple[Pipeline, CompiledScorer]:
    """A pipeline and its compiled form."""
    pipeline = PIPELINES[request.param]()
    return pipeline, compiled(pipeline)


@settings(max_examples=60)
@given(st.lists(st.one_of(KNOWN, TEXTS), min_size=1, max_size=6))
def test_explanations_add_up(pair: tuple[Pipeline, CompiledScorer], texts: list[str]) -> None:
    """Intercept and parts are scikit-learn's log-odds, and the score is their sigmoid."""
    pipeline, scorer = pair
    scores, explanations = scorer.explain(texts)
    np.testing.assert_array_equal(scores, scorer.score(texts))
    expected = pipeline.decision_function(texts)
    for score, explanation, log_odds in zip(scores, explanations, expected, strict=True):
        found = read(explanation)
        assert found.log_odds == pytest.approx(log_odds, abs=1e-9)
        assert total(found) == pytest.approx(found.log_odds, abs=1e-6)
        assert 1 / (1 + math.exp(-found.log_odds)) == pytest.approx(score, abs=1e-9)
        assert found.rest == 0


@settings(max_examples=60)
@given(st.one_of(KNOWN, TEXTS))
def test_spans_begin_and_end_with_tokens(pair: tuple[Pipeline, CompiledScorer], text: str) -> None:
    """Spans lie in the text, in its order, and neither end is white space or of no token."""
    (explanation,) = pair[1].explain([text]).explanations
    places = [(part.begin, part.end) for part in read(explanation).parts]
    assert places == sorted(places)
    for begin, end in places:
        assert 0 <= begin < end <= len(text)
        for end_of_span in (text[begin], text[end - 1]):
            assert not end_of_span.isspace()
            assert end_of_span in "'’‘ʼ＇`´" or tokens(end_of_span) or end_of_span.isalnum()  # noqa: RUF001 - apostrophes


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
    scorer = compiled(PIPELINES["ours"]())
    text = "\ud800\udfff good \ud800"
    parts = read(scorer.explain([text]).explanations[0]).parts
    assert "good" in {text[part.begin : part.end] for part in parts}


def test_a_long_text_keeps_the_largest_parts() -> None:
    """Beyond the bound the smallest parts are told as one sum, with which all still add up."""
    text = "".join(f"{words} " for words in TRAINING) * 20
    whole = read(SCORER.explain([text]).explanations[0])
    assert len(whole.parts) == MOST_PARTS
    assert whole.rest
    assert total(whole) == pytest.approx(whole.log_odds, abs=1e-6)
    short = text[:200]
    every = read(SCORER.explain([short]).explanations[0]).parts
    few = read(SCORER._explainer._explain([short], 7).explanations[0])  # noqa: SLF001 - the bound
    largest = sorted((abs(part.contribution) for part in every), reverse=True)[:7]
    kept = sorted((abs(part.contribution) for part in few.parts), reverse=True)
    assert kept == pytest.approx(largest, abs=3e-8)
    assert total(few) == pytest.approx(few.log_odds, abs=1e-6)
    assert [part.begin for part in few.parts] == sorted(part.begin for part in few.parts)


def test_many_texts_share_a_bound() -> None:
    """A large batch has fewer parts in each explanation, not more bytes."""
    text = " ".join(TRAINING)
    many = MOST_IN_CALL // 50
    explanations = SCORER.explain([text] * many).explanations
    assert {len(read(explanation).parts) for explanation in explanations[::1000]} == {50}
    assert total(read(explanations[-1])) == pytest.approx(read(explanations[-1]).log_odds, abs=1e-6)


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
    expected = [bytes(read_raw) for read_raw in map(raw, SCORER.explain(texts).explanations)]
    monkeypatch.setattr(compiled_scorer, "JSON_BYTES", MOST_PARTS * 48 + 192)
    again = compiled(PIPELINE).explain(texts).explanations
    assert [bytes(raw(explanation)) for explanation in again] == expected


def raw(explanation: Raw | None) -> Raw:
    """An explanation's bytes."""
    assert explanation is not None
    return explanation


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
