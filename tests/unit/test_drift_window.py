"""Claims about windows: exact figures, and which texts raise them."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, strategies as st

from sentiment.classify.score import Sample
from sentiment.model.drift import LEAST_TEXTS, Reference, bins, sizes
from sentiment.model.formats.scikit_learn import SklearnScorer
from sentiment.registry.registry import LoadedModel
from stream_worker.drift import Figures, Window, stability
from tests.unit import drifting

RULES = Path(__file__).parents[2] / "observability" / "rules.yml"
# What each alert's expression ends with.
LIMITS = {
    rule["alert"]: float(rule["expr"].rsplit(">", 1)[1])
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if group["name"] == "sentiment-drift"
}
SCORE_PSI, UNKNOWN, REPEATED = (
    LIMITS[alert]
    for alert in ("SentimentScoreDrift", "SentimentUnknownTokens", "SentimentRepeatedText")
)

HALVES = Reference(1000, [0.5], [0.5, 0.5], [2, 4], [0.5, 0.25, 0.25], 0.5, 0.9)
NOBODY = LoadedModel("sentiment", "1", SklearnScorer(None), 0.0, HALVES)


def seen(texts: list[str]) -> Figures:
    """What a window of these texts tells of the bundled model."""
    model, window = drifting.bundled(), Window(drifting.reference())
    lengths, known = sizes(model.scorer, texts)
    scores = model.scorer.score(texts)
    window.add(Sample(model, scores, lengths, known, [hash(text) for text in texts]))
    return window.figures()


def raised(texts: list[str]) -> set[str]:
    """Which figures are above their limits."""
    figures, known = seen(texts), drifting.reference().known_token_share
    assert known is not None
    assert figures.unknown_token_share is not None
    above = {
        "scores": figures.score_psi > SCORE_PSI,
        "unknown": figures.unknown_token_share > 1 - known + UNKNOWN,
        "repeated": figures.repeated_text_share > REPEATED,
    }
    return {name for name, is_above in above.items() if is_above}


def test_stability_index_is_that_of_its_definition() -> None:
    """Half and half against a tenth and nine tenths: (q - p) ln(q / p) over both bins."""
    expected = (0.1 - 0.5) * math.log(0.1 / 0.5) + (0.9 - 0.5) * math.log(0.9 / 0.5)
    found = stability([0.5, 0.5], 10**9, np.array([10**8, 9 * 10**8]))
    assert found == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=12).filter(any), st.data())
def test_stability_index_is_finite_and_0_for_the_same(
    counts: list[int], data: st.DataObject
) -> None:
    """Empty bins on either side do no harm; equal shares give 0, others more."""
    total = sum(counts)
    shares = [count / total for count in counts]
    assert stability(shares, total, np.array(counts)) == pytest.approx(0, abs=1e-9)
    others = np.array(data.draw(st.permutations(counts)))
    found = stability(shares, total, others)
    assert math.isfinite(found)
    assert found >= 0
    assert (found < 1e-9) == (others.tolist() == counts)


def test_chance_moves_the_index_as_far_as_is_said() -> None:
    """Windows of the least size from the reference itself: (bins - 1) / texts on average."""
    draw = np.random.default_rng(1)
    shares = drifting.reference().score_shares
    drawn = [
        stability(shares, drifting.reference().texts, draw.multinomial(LEAST_TEXTS, shares))
        for _ in range(500)
    ]
    assert np.mean(drawn) == pytest.approx(9 / LEAST_TEXTS, rel=0.1)
    assert max(drawn) < 0.1


def test_values_on_an_edge_are_in_the_bin_above() -> None:
    """As the reference has it."""
    assert bins(np.array([0.0, 0.5, 1.0]), [0.5]).tolist() == [1, 2]
    assert bins(np.array([1, 2, 3, 4, 5]), [2, 4]).tolist() == [1, 2, 2]


def test_a_window_adds_up_its_samples() -> None:
    """Four texts in two samples: two called positive, three of ten tokens known, one text twice."""
    window = Window(HALVES)
    window.add(Sample(NOBODY, np.array([0.1, 0.5]), np.array([1, 2]), 2, [7, 8]))
    window.add(Sample(NOBODY, np.array([0.9, 0.2]), np.array([4, 3]), 1, [7, 9]))
    figures = window.figures()
    assert window.texts == 4
    assert figures.score_psi == pytest.approx(0, abs=1e-12)
    assert figures.positive_share == 0.5
    assert figures.unknown_token_share == pytest.approx(0.7)
    assert figures.repeated_text_share == 0.5
    assert figures.length_psi == pytest.approx(
        stability([0.5, 0.25, 0.25], 1000, np.array([1, 2, 1]))
    )


def test_a_model_that_does_not_tell_what_it_knows_has_no_share_of_it() -> None:
    """Then the share is left out; texts without tokens have nothing unknown."""
    window = Window(HALVES)
    window.add(Sample(NOBODY, np.array([0.1]), np.array([5]), None, [7]))
    assert window.figures().unknown_token_share is None
    empty = Window(HALVES)
    empty.add(Sample(NOBODY, np.array([0.1]), np.array([0]), 0, [7]))
    assert empty.figures().unknown_token_share == 0


@pytest.mark.parametrize("count", [LEAST_TEXTS, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_ordinary_reviews_raise_nothing(count: int, seed: int) -> None:
    """Short reviews of many kinds stay below every limit, in small windows too."""
    assert raised(drifting.reviews(count, seed)) == set()


@pytest.mark.parametrize("language", drifting.LANGUAGES)
def test_another_language_is_unknown_to_the_model(language: str) -> None:
    """Tweets in it raise the share of unknown tokens; so they do as half of the stream."""
    texts = drifting.tweets(language, 600)
    assert "unknown" in raised(texts)
    assert "unknown" in raised(texts + drifting.reviews(600))


@pytest.mark.parametrize("text", ["I loved it", "terrible", "Buy now, best pills!", "ok", "?"])
def test_a_flood_of_one_text_is_seen(text: str) -> None:
    """Alone it raises the scores' index too; as a third of the stream, the share of repeats."""
    assert {"repeated", "scores"} <= raised([text] * LEAST_TEXTS)
    assert "repeated" in raised([text] * 300 + drifting.reviews(600))


def test_a_model_that_gives_all_texts_the_same_score_is_seen() -> None:
    """Of ordinary reviews, by the index of the scores alone."""
    window, texts = Window(drifting.reference()), drifting.reviews(1000)
    lengths, known = sizes(drifting.bundled().scorer, texts)
    hashes = [hash(text) for text in texts]
    window.add(Sample(drifting.bundled(), np.full(1000, 0.99), lengths, known, hashes))
    assert window.figures().score_psi > SCORE_PSI
    assert window.figures().repeated_text_share < REPEATED
