import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils.estimator_checks import parametrize_with_checks

from sentiment.model.estimators import WEIGHT_BITS, LengthwiseClassifier, NaiveBayesScaler, build
from sentiment.model.formats.scikit_learn import TRUSTED_TYPES
from sentiment.model.ngrams import NgramVectorizer
from sentiment.model.text import tokens

TEXTS = [
    "a good film , a very good film",
    "a very good film indeed",
    "not a good film",
    "a bad film , a very bad one",
    "a very bad film",
    "",
]
LABELS = [1, 1, 0, 0, 0, 0]
WORDS = st.lists(st.sampled_from(["a", "b", "c", "not", "d", ",", "ünï", "👍"]), max_size=12).map(
    " ".join
)


def reference(min_df: int, texts: list[str]) -> CountVectorizer:
    """scikit-learn's own vectoriser with our tokens: slow, and known to be right."""
    return CountVectorizer(
        analyzer="word", tokenizer=tokens, token_pattern=None, lowercase=False,
        ngram_range=(1, 3), min_df=min_df, binary=True, dtype=np.float64,
    ).fit(texts)  # fmt: skip


@given(st.lists(WORDS, min_size=3, max_size=8), st.lists(WORDS, max_size=8), st.integers(1, 3))
def test_marks_the_ngrams_that_sklearn_marks(
    training: list[str], texts: list[str], min_df: int
) -> None:
    """Vocabulary and matrix equal those of `CountVectorizer`, whatever the texts."""
    try:
        expected = reference(min_df, training)
    except ValueError:
        with pytest.raises(ValueError, match="No word"):
            NgramVectorizer((min_df,) * 3).fit(training)
        return
    ours = NgramVectorizer((min_df,) * 3).fit(training)
    names = list(ours.get_feature_names_out())
    assert sorted(names) == sorted(expected.get_feature_names_out())
    columns = [expected.vocabulary_[name] for name in names]
    np.testing.assert_array_equal(
        ours.transform([*texts, ""]).toarray(),
        expected.transform([*texts, ""]).toarray()[:, columns],
    )


def test_each_length_has_its_own_least_frequency() -> None:
    """`min_df` of n applies to n-grams of n words only."""
    names = NgramVectorizer((2, 3)).fit(TEXTS).get_feature_names_out()
    assert set(names) == {"a", "film", "very", "good", "bad", ","} | {"a very"}


@pytest.mark.parametrize("min_df", [(), (3, 2)])
def test_refuses_a_falling_min_df(min_df: tuple[int, ...]) -> None:
    """Without a kept beginning an n-gram could not be found: refused at fitting."""
    with pytest.raises(ValueError, match="never fall"):
        NgramVectorizer(min_df).fit(TEXTS)


def test_fitting_again_forgets_the_first_vocabulary() -> None:
    """A vectoriser that is fitted twice is like one that is fitted once, caches included."""
    twice = NgramVectorizer((1, 1)).fit(["x y z"])
    twice.transform(["x y"])
    twice.fit(TEXTS)
    once = NgramVectorizer((1, 1)).fit(TEXTS)
    np.testing.assert_array_equal(twice.transform(TEXTS).toarray(), once.transform(TEXTS).toarray())


def test_scaler_gives_the_log_count_ratio() -> None:
    """The ratio is that of Wang and Manning, worked out by hand for two features."""
    marked = NgramVectorizer((1,)).fit_transform(["warm warm", "cold", "cold warm"])
    scaler = NaiveBayesScaler(alpha=1.0).fit(marked, [1, 0, 1])
    # Columns are "cold" and "warm"; each text counts a word once.
    p, q = np.array([2.0, 3.0]), np.array([2.0, 1.0])
    expected = np.log(p / p.sum()) - np.log(q / q.sum())
    np.testing.assert_allclose(scaler.ratio_, expected, rtol=2**-WEIGHT_BITS)
    np.testing.assert_allclose(scaler.transform(marked).toarray(), marked.toarray() * scaler.ratio_)


def test_behaves_as_sklearn_expects() -> None:
    """Parameters can be read, set and cloned; what is not fitted says so."""
    pipeline = build(min_df=(1, 1), alpha=0.5, C=2.0)
    twin = clone(pipeline).set_params(ngrams__min_df=(1,))
    assert pipeline.get_params()["ngrams__min_df"] == (1, 1)
    assert twin.get_params()["ngrams__min_df"] == (1,)
    assert twin.get_params()["scale__alpha"] == 0.5
    for step in (NgramVectorizer(), NaiveBayesScaler()):
        with pytest.raises(NotFittedError):
            step.transform(TEXTS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(  # type: ignore[untyped-decorator]  # sklearn has no types
    [NaiveBayesScaler(), LengthwiseClassifier()],
    expected_failed_checks=lambda estimator: (
        dict.fromkeys(
            (
                "check_sample_weight_equivalence_on_dense_data",
                "check_sample_weight_equivalence_on_sparse_data",
            ),
            "liblinear visits rows in an order that their number decides, and weights are rounded",
        )
        if isinstance(estimator, LengthwiseClassifier)
        else {}
    ),
)
def test_passes_sklearns_own_checks(
    estimator: BaseEstimator, check: Callable[[BaseEstimator], None]
) -> None:
    """What scikit-learn asks of every estimator holds for ours; it has no checks for texts."""
    check(estimator)


def test_takes_a_column_of_texts() -> None:
    """A list, an array, a series and a table of one column are alike; one text is an error."""
    vectorizer = NgramVectorizer((1,)).fit(TEXTS)
    expected = vectorizer.transform(TEXTS).toarray()
    alike: list[Any] = [
        np.array(TEXTS), pd.Series(TEXTS), pd.DataFrame({"text": TEXTS}), tuple(TEXTS)
    ]  # fmt: skip
    for texts in alike:
        np.testing.assert_array_equal(vectorizer.transform(texts).toarray(), expected)
    mistaken: list[Any] = ["one text", pd.DataFrame({"a": TEXTS, "b": TEXTS})]
    for wrong in mistaken:
        with pytest.raises(ValueError, match="Texts are expected"):
            vectorizer.transform(wrong)


def test_saved_as_arrays_and_the_same_after_loading(tmp_path: Path) -> None:
    """A used pipeline is stored without its lookup tables, and answers alike when loaded."""
    pipeline = build(min_df=(1, 1, 1)).fit(TEXTS, LABELS)
    expected = pipeline.predict_proba(TEXTS)
    file = tmp_path / "model.skops"
    skops.io.dump(pipeline, file)
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"))
    assert "indeed" not in json.dumps(schema)
    loaded = skops.io.load(file, trusted=list(TRUSTED_TYPES))
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), expected)
