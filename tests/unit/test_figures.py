"""Claims about figures and their intervals, on texts that are no more than labels and scores."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from sentiment.model.scorer import THRESHOLD
from trainer.judging import figures
from trainer.judging.figures import CALIBRATION_BINS, Weighted, measure, measure_all, parts
from trainer.params import Evaluate
from trainer.reports import NAMES

FEW = Evaluate(bootstrap=60)


class Made(NamedTuple):
    """A test table and a candidate's answers."""

    labels: NDArray[np.int64]
    domains: NDArray[np.object_]
    scores: NDArray[np.float64]


def make(texts: int, seed: int = 0) -> Made:
    """Texts of three domains, and scores that are right more often than not, with many ties."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(2, size=texts)
    domains = chance.choice(
        np.array(["films", "hotels", "tweets"], object), texts, p=[0.6, 0.3, 0.1]
    )
    scores = np.clip(chance.normal(0.35 + 0.3 * labels, 0.25), 0, 1).round(2)
    return Made(labels, domains, scores)


def by_sklearn(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> dict[str, float]:
    """The figures that scikit-learn has, asked for one by one."""
    decided = scores >= THRESHOLD
    return {
        "accuracy": metrics.accuracy_score(labels, decided),
        "precision": metrics.precision_score(labels, decided),
        "recall": metrics.recall_score(labels, decided),
        "f1": metrics.f1_score(labels, decided),
        "roc_auc": metrics.roc_auc_score(labels, scores),
        "log_loss": metrics.log_loss(labels, scores),
    }


def calibration_error(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Mean distance of score and share of positive texts over equal bins, bin by bin."""
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    errors = [abs((labels - scores)[bins == number].sum()) for number in range(CALIBRATION_BINS)]
    return float(sum(errors) / len(labels))


def test_measures_are_the_known_ones() -> None:
    """Figures of four texts, worked out by hand."""
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.6, 0.2])
    figures = measure(labels, scores)
    assert figures["accuracy"] == 0.75
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["recall"] == 1
    assert figures["roc_auc"] == 0.75
    assert figures["calibration_error"] == pytest.approx((0.1 + 0.8 + 0.4 + 0.2) / 4)


def test_macro_accuracy_gives_small_domains_the_same_say() -> None:
    """Three right of four in one domain, none of one in the other: 0.375, not 0.6."""
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.6, 0.2, 0.1])
    domains = np.array(["a", "a", "a", "a", "b"], object)
    figures = measure_all(labels, domains, scores)
    assert figures["macro_accuracy"] == 0.375
    assert figures["accuracy"] == 0.6
    assert set(figures) == set(NAMES)


def test_one_class_alone_leaves_out_what_needs_both() -> None:
    """Of positive texts alone there is no precision, recall, F1 or ROC curve."""
    figures = measure(np.array([1, 1]), np.array([0.9, 0.2]))
    assert set(figures) == {"accuracy", "log_loss", "calibration_error"}


@pytest.mark.parametrize("seed", range(5))
def test_weighted_figures_are_those_of_texts_that_stand_more_than_once(seed: int) -> None:
    """For any counts, the fast figures equal scikit-learn's of the texts written out that often."""
    made = make(300, seed)
    counts = np.random.default_rng(seed).integers(4, size=(3, 300))
    fast = Weighted(made.labels, made.scores)(counts.astype(float))
    for row, count in enumerate(counts):
        labels, scores = np.repeat(made.labels, count), np.repeat(made.scores, count)
        plain = {
            **by_sklearn(labels, scores),
            "calibration_error": calibration_error(labels, scores),
        }
        assert {name: values[row] for name, values in fast.items()} == pytest.approx(plain)


def test_weighted_figures_say_what_one_class_does_not_allow() -> None:
    """Where all weight is on positive texts, figures that need both classes are NaN."""
    weighted = Weighted(np.array([1, 1, 0]), np.array([0.9, 0.2, 0.3]))
    figures = weighted(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]))
    assert np.isnan(figures["roc_auc"]).tolist() == [True, False]
    assert np.isnan(figures["f1"]).tolist() == [True, False]
    assert figures["accuracy"] == pytest.approx([1 / 2, 2 / 3])


def test_certain_and_wrong_costs_much_but_not_infinitely_much() -> None:
    """Scores of exactly 0 and 1 have the log-loss that scikit-learn gives them."""
    labels, scores = np.array([1, 0, 1]), np.array([0.0, 1.0, 1.0])
    (loss,) = Weighted(labels, scores)(np.ones((1, 3)))["log_loss"]
    assert loss == pytest.approx(metrics.log_loss(labels, scores))
    assert np.isfinite(loss)


def test_intervals_are_percentiles_of_what_resamplings_give() -> None:
    """The fast way finds the same ends as one resampling after the other in scikit-learn."""
    made = make(400)
    overall, domains = figures.bootstrap(*made, FEW)
    order, found = parts(made.domains)
    labels, scores = made.labels[order], made.scores[order]
    at = found["hotels"]
    everywhere, hotels = [], []
    for weights in np.concatenate(list(figures.resamplings(found, FEW))).astype(int):
        everywhere.append(by_sklearn(np.repeat(labels, weights), np.repeat(scores, weights)))
        of_part = weights[at]
        hotels.append(by_sklearn(np.repeat(labels[at], of_part), np.repeat(scores[at], of_part)))
    for fast, plain in ((overall, everywhere), (domains["hotels"], hotels)):
        for name in plain[0]:
            low, high = np.quantile([figures[name] for figures in plain], [0.025, 0.975])
            assert (fast[name].low, fast[name].high) == pytest.approx((low, high), abs=1e-6)


def test_resampling_keeps_the_size_of_each_domain() -> None:
    """Each resampling draws as many texts of a domain as there are, and not always the same."""
    _, found = parts(make(200).domains)
    weights = np.concatenate(list(figures.resamplings(found, FEW)))
    assert weights.shape == (60, 200)
    for at in found.values():
        size = at.stop - at.start
        assert (weights[:, at].sum(axis=1) == size).all()
    assert len(np.unique(weights, axis=0)) == 60


def test_interval_of_accuracy_is_as_wide_as_theory_has_it() -> None:
    """With 2,000 texts of one domain, within a tenth of 2 · 1.96 · √(p(1−p)/n)."""  # noqa: RUF002 - a formula
    made = make(2000)
    overall, _ = figures.bootstrap(
        made.labels, np.full(2000, "films", object), made.scores, Evaluate()
    )
    accuracy = overall["accuracy"]
    theory = 2 * 1.96 * np.sqrt(accuracy.value * (1 - accuracy.value) / 2000)
    assert accuracy.high - accuracy.low == pytest.approx(theory, rel=0.1)
    assert accuracy.low < accuracy.value < accuracy.high


def test_same_texts_give_the_same_intervals() -> None:
    """Nothing depends on the run; another seed gives other ends for the same values."""
    made = make(200)
    assert figures.bootstrap(*made, FEW) == figures.bootstrap(*made, FEW)
    overall, _ = figures.bootstrap(*made, FEW)
    other, _ = figures.bootstrap(*made, Evaluate(bootstrap=60, seed=1))
    assert overall["accuracy"].value == other["accuracy"].value
    assert overall["log_loss"].low != other["log_loss"].low


def test_confidence_widens_an_interval() -> None:
    """99 % of the resamplings span more than 50 % of them."""
    made = make(200)
    wide, narrow = (
        figures.bootstrap(*made, Evaluate(bootstrap=200, confidence=confidence))[0]["accuracy"]
        for confidence in (0.99, 0.5)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_small_domains_have_what_figures_they_can() -> None:
    """A domain of one class lacks some figures; one of two texts has all, even resampled once."""
    labels, scores = np.array([1, 1, 0, 1, 0, 1]), np.array([0.9, 0.4, 0.4, 0.8, 0.1, 0.7])
    domains = np.array(["glad", "glad", "two", "two", "more", "more"], object)
    for seed in range(5):
        _, found = figures.bootstrap(labels, domains, scores, Evaluate(bootstrap=1, seed=seed))
        assert "roc_auc" not in found["glad"]
        assert found["glad"]["accuracy"].value == 0.5
        assert found["two"]["roc_auc"].value == 1
        assert not np.isnan(found["two"]["roc_auc"].low)


def test_difference_is_a_less_b_on_the_same_resamplings() -> None:
    """Against itself a candidate differs by exactly nothing; swapped, the signs change."""
    made = make(500)
    other = np.clip(made.scores + np.random.default_rng(1).normal(0, 0.2, 500), 0, 1)
    one_way = figures.differences(*made, other, FEW)
    other_way = figures.differences(made.labels, made.domains, other, made.scores, FEW)
    same = figures.differences(*made, made.scores, FEW)
    assert set(one_way) == set(NAMES)
    for name in NAMES:
        assert (same[name].value, same[name].low, same[name].high) == (0, 0, 0)
        assert (one_way[name].value, one_way[name].low, one_way[name].high) == pytest.approx(
            (-other_way[name].value, -other_way[name].high, -other_way[name].low), abs=2e-6
        )


def test_pairing_sees_small_differences() -> None:
    """A candidate that is better on ten texts and worse on none is surely better."""
    made = make(1000)
    better = made.scores.copy()
    wrong = np.flatnonzero((made.scores >= THRESHOLD) != (made.labels == 1))[:10]
    better[wrong] = made.labels[wrong]
    many = Evaluate(bootstrap=200)
    found = figures.differences(made.labels, made.domains, better, made.scores, many)["accuracy"]
    alone, _ = figures.bootstrap(*made, many)
    assert found.value == 0.01
    assert found.low > 0
    assert found.high - found.low < (alone["accuracy"].high - alone["accuracy"].low) / 3


@pytest.mark.parametrize(
    ("only_a", "only_b", "p_value"),
    [
        # Of 64 equally likely outcomes: none in 1, one in 6, of which half counts; both sides.
        (1, 5, 2 * (1 + 6 / 2) / 64),
        (5, 1, 0.125),
        (3, 3, 1),
        (0, 0, 1),
        (0, 1, 0.5),
    ],
)
def test_mcnemar_is_the_binomial_test_with_half_of_what_was_seen(
    only_a: int, only_b: int, p_value: float
) -> None:
    """P-values of few texts, worked out by hand; texts on which both agree change nothing."""
    a = np.array([True] * only_a + [False] * only_b + [True] * 4 + [False] * 3)
    b = np.array([False] * only_a + [True] * only_b + [True] * 4 + [False] * 3)
    found = figures.mcnemar(np.ones(len(a), np.int64), a, b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p_value == pytest.approx(p_value, rel=1e-5)
