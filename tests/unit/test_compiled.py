"""Claims about compiled models: the same answers as scikit-learn's, and why."""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer

from sentiment import metrics, wire
from sentiment.errors import SentimentError
from sentiment.model.compiled import build as building
from sentiment.model.compiled.build import build as compile_table
from sentiment.model.compiled.linear import Linear, NotCompilableError, read
from sentiment.model.compiled.lookup import HOT_CELLS, LINE_CELLS
from sentiment.model.compiled.scorer import SCRATCH_BYTES, CompiledScorer
from sentiment.model.compiled.tokenise import OURS
from sentiment.model.estimators import NaiveBayesScaler, build
from sentiment.model.ngrams import NgramVectorizer
from tests.unit.texts import PIECES, TEXTS

WORDS = [piece.strip() for piece in PIECES if piece.strip() and piece.isalpha()]
TRAINING = [
    f"{a} {b} {c}"
    for i, a in enumerate(WORDS)
    for b, c in ((WORDS[i - 1], "not good"), (WORDS[i - 2], "film, the film"))
]
LABELS = [i % 3 == 0 or i % 7 == 1 for i in range(len(TRAINING))]
# What the models know, so that most texts have something in them.
KNOWN = st.lists(st.sampled_from([*WORDS, "the", "not", "film", ",", "."]), max_size=30).map(
    " ".join
)


def fitted(*steps: Any) -> Pipeline:  # noqa: ANN401 - sklearn has no types
    """A pipeline that knows the training texts."""
    return make_pipeline(*steps).fit(TRAINING, np.array(LABELS, int))


def logistic() -> LogisticRegression:
    """The usual classifier."""
    return LogisticRegression(C=10)


PIPELINES: dict[str, Callable[[], Pipeline]] = {
    "ours": lambda: build((1, 1, 1), short=3, long=9).fit(TRAINING, np.array(LABELS, int)),
    "ours, without lengths": lambda: fitted(
        NgramVectorizer((1, 1)), NaiveBayesScaler(), Normalizer(), logistic()
    ),
    "ours, not scaled": lambda: fitted(NgramVectorizer((1,)), logistic()),
    "counts": lambda: fitted(CountVectorizer(), logistic()),
    "counts, pairs only": lambda: fitted(CountVectorizer(ngram_range=(2, 2)), logistic()),
    "binary, five words": lambda: fitted(
        CountVectorizer(binary=True, ngram_range=(1, 5)), "passthrough", logistic()
    ),
    "stop words, case": lambda: fitted(
        CountVectorizer(stop_words=["the", "film"], lowercase=False, ngram_range=(1, 2)), logistic()
    ),
    "English stop words": lambda: fitted(
        CountVectorizer(stop_words="english", max_features=9), Normalizer("l1"), logistic()
    ),
    "tf-idf": lambda: fitted(TfidfVectorizer(ngram_range=(1, 3)), logistic()),
    "tf-idf, logarithms": lambda: fitted(
        TfidfVectorizer(sublinear_tf=True, norm="l1", smooth_idf=False), logistic()
    ),
    "tf-idf, in two steps": lambda: fitted(
        CountVectorizer(), TfidfTransformer(norm=None), Normalizer(), logistic()
    ),
    "stochastic gradient": lambda: fitted(
        TfidfVectorizer(use_idf=False, binary=True), SGDClassifier(loss="log_loss", random_state=0)
    ),
}


@cache
def pairs() -> dict[str, tuple[Pipeline, CompiledScorer]]:
    """Each of the pipelines and its compiled form."""
    made = {name: make() for name, make in PIPELINES.items()}
    return {name: (pipeline, compiled(pipeline)) for name, pipeline in made.items()}


def compiled(pipeline: Pipeline) -> CompiledScorer:
    """The compiled form of a pipeline."""
    return CompiledScorer(compile_table(read(pipeline)))


@settings(max_examples=100)
@given(st.lists(st.one_of(KNOWN, TEXTS), min_size=1, max_size=6))
def test_answers_as_sklearn(texts: list[str]) -> None:
    """Within 1e-9 of `predict_proba` and never another decision, in batches and one by one."""
    for name, (pipeline, scorer) in pairs().items():
        expected = pipeline.predict_proba(texts)[:, 1]
        for scores in (scorer.score(texts), np.concatenate([scorer.score([t]) for t in texts])):
            np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9, err_msg=name)
            np.testing.assert_array_equal(scores >= 0.5, expected >= 0.5, err_msg=name)


def test_rounding_never_decides() -> None:
    """Weights that cancel out to the last bit, or nearly, are added up in scikit-learn's order."""
    pipeline = fitted(CountVectorizer(), Normalizer(), logistic())
    chance = np.random.default_rng(0)
    vocabulary = list(pipeline[0].vocabulary_)
    texts = [
        " ".join(chance.permutation(vocabulary)[:size]) for size in range(6, 16) for _ in "x" * 60
    ]
    for scale in (1e3, 1.0, 1e-3):
        weights = chance.choice([0.1, -0.1, 0.3, -0.3, 0.7, -0.7], len(vocabulary))
        pipeline[-1].coef_[0] = weights * scale
        pipeline[-1].intercept_[0] = 0
        log_odds = pipeline.decision_function(texts)
        assert np.any(np.abs(log_odds) < 1e-15 * max(scale, 1))
        scorer = compiled(pipeline)
        explanations = map(bytes, filter(None, scorer.explain(texts).explanations))
        explained = [wire.decode_explanation(one).log_odds for one in explanations]
        # As many digits as an explanation has.
        np.testing.assert_array_equal(np.sign(explained), np.sign(np.round(log_odds, 16)))
        decisions = pipeline.predict_proba(texts)[:, 1] >= 0.5
        np.testing.assert_array_equal(scorer.score(texts) >= 0.5, decisions)


def test_a_changed_weight_is_noticed() -> None:
    """The comparison that the other tests rely on fails where one weight is off by a millionth."""
    pipeline = PIPELINES["tf-idf"]()
    table = compile_table(read(pipeline))
    table.rows[:, :2] *= 1 + 1e-6
    texts = [*TRAINING, ""]
    off = CompiledScorer(table).score(texts) - pipeline.predict_proba(texts)[:, 1]
    assert np.abs(off).max() > 1e-9


def test_crowded_table_finds_every_known_word_and_no_other() -> None:
    """Usual words, words whose line has room, and words pushed on to the next line."""
    words = [f"w{number}" for number in range(30_000)]
    weights = np.random.default_rng(0).normal(size=len(words))
    grams = [(np.arange(len(words)), np.arange(len(words))[:, None])]
    table = compile_table(
        Linear(words, grams, np.ones(len(words)), OURS, 1, short=weights, long=weights)
    )
    assert len(table.rows)
    lines = table.cells[HOT_CELLS:].reshape(-1, LINE_CELLS)
    assert np.count_nonzero(lines[:, -1] & np.uint64(1)) > 50
    scores = CompiledScorer(table).score([*words, *(f"x{word}" for word in words)])
    np.testing.assert_allclose(scores[: len(words)], 1 / (1 + np.exp(-weights)), rtol=1e-12)
    assert np.all(scores[len(words) :] == 0.5)


def test_long_texts_and_many_of_them() -> None:
    """A text beyond the scratch, an empty batch, and a batch of thousands, are like any other."""
    pipeline, scorer = pairs()["ours"]
    texts = ["good film " * SCRATCH_BYTES, "", *TRAINING * 50, "not " * 5000]
    np.testing.assert_allclose(
        scorer.score(texts), pipeline.predict_proba(texts)[:, 1], rtol=0, atol=1e-9
    )
    assert scorer.score([]).shape == (0,)


def test_threads_share_a_scorer_and_it_does_not_grow() -> None:
    """Eight threads at once get the answers of one, and leave no more scratch than threads."""
    scorer = compiled(PIPELINES["ours"]())
    expected = scorer.score(TRAINING)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            mine = TRAINING[number:] + TRAINING[:number]
            if not np.array_equal(scorer.score(mine), np.roll(expected, -number)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert scorer.scratches <= len(threads)


def test_texts_that_python_lower_cases_are_counted() -> None:
    """The slower way is exact, and a metric says how often it was taken."""
    pipeline, scorer = pairs()["ours"]
    before = metrics.SLOW_TEXTS._value.get()  # noqa: SLF001 - the client has no other way
    texts = ["\u039f\u0394\u039f\u03a3 good", "a good film", "\u0130 bad"]
    scores = scorer.score(texts)
    np.testing.assert_allclose(scores, pipeline.predict_proba(texts)[:, 1], rtol=0, atol=1e-9)
    assert metrics.SLOW_TEXTS._value.get() == before + 2  # noqa: SLF001 - same


def test_utf8_is_scored_as_its_text() -> None:
    """Bytes give the answers of the strings that they are."""
    scorer = pairs()["ours"][1]
    texts = [*TRAINING, "caf\u00e9 \U0001f600 good", "\u03a3 film"]
    encoded = [text.encode() for text in texts]
    np.testing.assert_array_equal(scorer.score_utf8(encoded), scorer.score(texts))


class Shouting(CountVectorizer):  # type: ignore[misc] # sklearn has no types
    """A vectoriser that does something else under the same roof."""


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([HashingVectorizer(n_features=64)], "HashingVectorizer"),
        ([Shouting()], "Shouting"),
        ([CountVectorizer(analyzer="char")], "analyzer"),
        ([CountVectorizer(token_pattern=r"\w+")], "token_pattern"),  # noqa: S106 - no secret
        ([CountVectorizer(tokenizer=str.split)], "tokenizer"),
        ([CountVectorizer(preprocessor=str.upper)], "preprocessor"),
        ([CountVectorizer(strip_accents="unicode")], "strip_accents"),
        ([CountVectorizer(ngram_range=(1, 6))], "longer than 5"),
        ([CountVectorizer(vocabulary=["good", "a", "film"])], "never finds"),
        ([TfidfVectorizer(dtype=np.float32)], "float64"),
        ([CountVectorizer(), MaxAbsScaler()], "MaxAbsScaler"),
        ([CountVectorizer(), Normalizer("max")], "norm"),
        ([CountVectorizer(), Normalizer(), Normalizer()], "goes on scaling"),
        ([CountVectorizer(), MultinomialNB()], "MultinomialNB"),
        ([CountVectorizer(), SGDClassifier(loss="modified_huber")], "another loss"),
    ],
)
@pytest.mark.filterwarnings("ignore:The parameter 'token_pattern' will not be used")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_refuses_what_it_does_not_know(steps: list[Any], reason: str) -> None:
    """A pipeline that computes anything else is refused, and the reason says what."""
    classifier = [] if hasattr(steps[-1], "predict") else [logistic()]
    with pytest.raises(NotCompilableError, match=reason):
        read(fitted(*steps, *classifier))


def test_refuses_what_has_other_classes_or_is_no_pipeline() -> None:
    """Classes that are words can't be answered with a probability of 1."""
    words = np.where(LABELS, "good", "bad")
    with pytest.raises(NotCompilableError, match="classes"):
        read(make_pipeline(CountVectorizer(), logistic()).fit(TRAINING, words))
    with pytest.raises(NotCompilableError, match="no pipeline"):
        read(logistic())


def test_equal_keys_are_found_when_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known n-grams never share a key: another seed is taken, and without one there is an error."""
    linear = read(PIPELINES["ours"]())
    keys_of = building._keys  # noqa: SLF001 - the fault can't be made otherwise

    def colliding(bad: int) -> Callable[..., Any]:
        def keys(model: Any, seed: np.uint64) -> Any:  # noqa: ANN401 - see above
            found = keys_of(model, seed)
            if seed in building.SEEDS[:bad]:
                found[0] = found[1]
            return found

        return keys

    monkeypatch.setattr(building, "_keys", colliding(1))
    table = compile_table(linear)
    assert np.uint64(table.options[1].astype(np.uint64)) == np.uint64(building.SEEDS[1])
    monkeypatch.setattr(building, "_keys", colliding(len(building.SEEDS)))
    with pytest.raises(SentimentError, match="same key"):
        compile_table(linear)
