"""Claims about sampling, and about when figures appear and go: clocks and texts made here."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sentiment import metrics
from sentiment.classify.score import Answers, Models, Sample
from sentiment.model.drift import LEAST_TEXTS, Reference
from sentiment.model.scorer import Scorer
from sentiment.registry.registry import LoadedModel
from sentiment.wire import EventError
from stream_worker.drift import (
    BUDGET,
    FIRST_S,
    LONGEST_PAUSE_S,
    LONGEST_S,
    MOST,
    MOST_TEXTS,
    Sampler,
    Watch,
)
from tests.unit import drifting

GAUGES = [
    metric.name for metric in metrics.WORKER.rows if metric.name.startswith("sentiment_drift_")
]
REFERENCE = Reference(1000, [0.5], [0.5, 0.5], [4], [0.5, 0.5], 0.5, 0.75)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


class Half(Scorer):
    """Is never sure, and can't be compiled."""

    kind = "sklearn"

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text."""
        return np.full(len(texts), 0.5)


def model(version: str, reference: Reference | None = REFERENCE) -> LoadedModel:
    """A model with a reference."""
    return LoadedModel("sentiment", version, Half(), 0.0, reference)


def sample(of: LoadedModel, texts: int, *, known: int | None = 0) -> Sample:
    """That many texts of one token each."""
    return Sample(of, np.full(texts, 0.9), np.ones(texts, np.int64), known, list(range(texts)))


def shown(version: str, name: str = "sentiment_drift_window_texts") -> float | None:
    """The value of a gauge, or that there is none."""
    return metrics.REGISTRY.get_sample_value(name, {"model_version": version})


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock; afterwards no model has figures."""
    clock = Clock()
    yield clock
    everything = Watch(clock)
    everything.add([sample(model(version), 1) for version in "123"])
    everything.tick(Models(model("none")))


def test_a_full_window_shows_all_figures_and_their_references(clock: Clock) -> None:
    """At so many texts, and not before; the next window begins empty."""
    watch = Watch(clock)
    watch.add([sample(model("1"), MOST_TEXTS - 1)])
    assert shown("1") is None
    watch.add([sample(model("1"), 1)])
    assert {name for name in GAUGES if shown("1", name) is not None} == set(GAUGES)
    assert shown("1") == MOST_TEXTS
    assert shown("1", "sentiment_drift_unknown_token_share") == 1
    assert shown("1", "sentiment_drift_reference_unknown_token_share") == 0.25
    assert shown("1", "sentiment_drift_positive_share") == 1
    assert shown("1", "sentiment_drift_reference_positive_share") == 0.5
    assert shown("1", "sentiment_drift_repeated_text_share") == 2 / MOST_TEXTS
    clock.now = LONGEST_S
    watch.add([sample(model("1"), LEAST_TEXTS)])
    watch.tick(Models(model("1")))
    assert shown("1") == LEAST_TEXTS


def test_figures_are_never_older_than_the_longest_window(clock: Clock) -> None:
    """Without traffic, or with too little to judge by, they go."""
    watch = Watch(clock)
    watch.add([sample(model("1"), MOST_TEXTS)])
    watch.add([sample(model("1"), LEAST_TEXTS - 1)])
    clock.now = LONGEST_S - 1
    watch.tick(Models(model("1")))
    assert shown("1") == MOST_TEXTS
    clock.now = LONGEST_S
    watch.tick(Models(model("1")))
    assert [name for name in GAUGES if shown("1", name) is not None] == []


def test_a_swap_begins_anew(clock: Clock) -> None:
    """The old model's figures and window go; the new one's window has none of its texts."""
    watch = Watch(clock)
    watch.add([sample(model("1"), MOST_TEXTS), sample(model("1"), MOST_TEXTS - 1)])
    watch.tick(Models(model("2")))
    assert shown("1") is None
    watch.add([sample(model("2"), MOST_TEXTS - 1)])
    assert shown("2") is None
    watch.tick(Models(model("2")))
    watch.add([sample(model("1"), 1)])
    assert shown("1") is None, "its old window was kept"


def test_champion_and_challenger_have_windows_of_their_own(clock: Clock) -> None:
    """Both serve, so both are kept."""
    watch = Watch(clock)
    watch.add([sample(model("1"), MOST_TEXTS), sample(model("2"), MOST_TEXTS + 7)])
    watch.tick(Models(model("1"), model("2")))
    assert (shown("1"), shown("2")) == (MOST_TEXTS, MOST_TEXTS + 7)


def test_what_a_model_does_not_tell_is_not_shown(clock: Clock) -> None:
    """No share of unknown tokens, neither here nor of the reference; all else is there."""
    silent = Reference(1000, [0.5], [0.5, 0.5], [4], [0.5, 0.5], 0.5, None)
    Watch(clock).add([sample(model("3", silent), MOST_TEXTS, known=None)])
    missing = {name for name in GAUGES if shown("3", name) is None}
    assert missing == {name for name in GAUGES if "unknown" in name}


def answers(models: Models, texts: Sequence[str]) -> Answers:
    """The same score for each."""
    return Answers(models, [0.9] * len(texts))


def test_looks_are_paid_for(clock: Clock) -> None:
    """After a look that took a while, there is none until it is the budget's share of the time."""
    spent = iter([0.0, 0.004, 1.0, 3.0, 3.0, 3.0])
    sampler = Sampler(clock, lambda: next(spent))
    texts = drifting.reviews(200)
    made = answers(Models(model("1")), texts)
    assert sampler.sample(texts, made) == []
    clock.now = FIRST_S
    [first] = sampler.sample(texts, made)
    assert len(first.hashes) == MOST
    clock.now += 0.004 / BUDGET - 0.01
    assert sampler.sample(texts, made) == []
    clock.now += 0.01
    assert len(sampler.sample(texts, made)) == 1
    clock.now += LONGEST_PAUSE_S
    assert len(sampler.sample(texts, made)) == 1, "one long look ends the looking"


def test_a_sample_is_of_its_texts(clock: Clock) -> None:
    """Scores, tokens and hashes belong together; a model with no answer for a text is left out."""
    sampler = Sampler(clock)
    clock.now = FIRST_S
    texts = ["good", "good zzzqqqxxx", "fail", "good film , zzzqqqxxx"]
    watched = drifting.bundled()
    made = Answers(Models(watched), [0.1, 0.2, EventError("model_failed", "why"), 0.4])
    [found] = sampler.sample(texts, made)
    assert sorted(found.scores) == [0.1, 0.2, 0.4]
    order = np.argsort(found.scores)
    assert found.lengths[order].tolist() == [1, 2, 4]
    assert [found.hashes[i] for i in order] == [hash(texts[i]) for i in (0, 1, 3)]
    assert found.known == 5


def test_samples_are_drawn_from_the_whole_batch(clock: Clock) -> None:
    """Not its first texts: over some looks, each tenth of a batch has its share."""
    sampler = Sampler(clock, lambda: 0.0)
    clock.now = FIRST_S
    texts = [str(number) for number in range(1000)]
    made = answers(Models(model("1")), texts)
    hashes = {hash(text): number for number, text in enumerate(texts)}
    places = [
        hashes[h] for _ in range(40) for [s] in [sampler.sample(texts, made)] for h in s.hashes
    ]
    shares = np.bincount(np.array(places) // 100, minlength=10) / len(places)
    assert shares.min() > 0.05
    assert shares.max() < 0.15


def test_each_model_has_a_sample_of_what_it_answered(clock: Clock) -> None:
    """Texts of the canary count for the challenger; one without a reference is never sampled."""
    sampler = Sampler(clock, lambda: 0.0)
    clock.now = FIRST_S
    texts = ["a", "b b", "c c c"]
    both = Answers(Models(model("1"), model("2")), [0.9, 0.9, 0.9], canaries={1})
    found = {s.model.version: sorted(s.lengths) for s in sampler.sample(texts, both)}
    assert found == {"1": [1, 3], "2": [2]}
    alone = Answers(Models(model("1", None), model("2")), [0.9, 0.9, 0.9], canaries={1})
    assert [s.model.version for s in sampler.sample(texts, alone)] == ["2"]
    assert sampler.sample(texts, answers(Models(model("1", None)), texts)) == []
