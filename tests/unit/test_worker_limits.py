"""Claims about the limit on dead letters and about following the champion."""

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import Histogram
from structlog.testing import capture_logs

from sentiment import metrics
from sentiment.classify.assemble import ShareLimit
from sentiment.errors import (
    ModelError,
    ModelNotFoundError,
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
    SentimentError,
    SetupError,
    TooManyDeadLettersError,
)
from sentiment.health import Start
from sentiment.registry.registry import MOST_REFUSALS, LoadedModel, Registry
from sentiment.settings import ModelSettings
from stream_worker.metrics import REGISTRY_REASONS, RESULTS
from stream_worker.served_models import EVENTS, ServedModels


def _commit(limit: ShareLimit, events: int, bad: int) -> None:
    limit.check(events, bad)
    limit.keep()


def test_limit_waits_for_a_full_window() -> None:
    """Nothing is said of a share before the window is full; then one batch too many stops."""
    limit = ShareLimit(0.5, window=100)
    _commit(limit, 99, 99)
    with pytest.raises(TooManyDeadLettersError, match="99 of the last 100"):
        limit.check(1, 0)


def test_limit_counts_a_batch_once_however_often_it_is_tried() -> None:
    """What was aborted, as while brokers are away, is read and checked again."""
    limit = ShareLimit(0.5, window=100)
    _commit(limit, 90, 40)
    for _ in range(20):
        limit.check(10, 10)
    _commit(limit, 10, 10)
    with pytest.raises(TooManyDeadLettersError, match="51 of the last 101"):
        limit.check(1, 1)


def test_limit_forgets_what_left_the_window() -> None:
    """Old dead letters don't count against new good events."""
    limit = ShareLimit(0.5, window=100)
    _commit(limit, 99, 99)
    _commit(limit, 200, 0)
    _commit(limit, 100, 50)
    assert metrics.REGISTRY.get_sample_value("sentiment_dead_letter_share") == 0.5
    with pytest.raises(TooManyDeadLettersError):
        limit.check(100, 51)


def test_a_share_of_one_never_stops() -> None:
    """With a share of 1, a topic of nothing but garbage is drained into dead letters."""
    limit = ShareLimit(1.0, window=10)
    for _ in range(100):
        _commit(limit, 10, 10)


REFUSED = "sentiment_model_swaps_total"


class StubRegistry(Registry):
    """A registry whose answers a test sets; the real one is tested with a real MLflow."""

    def __init__(self, *, cached: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(ModelSettings(), clock)
        self.in_cache = cached
        self.answer: Callable[[], str] = lambda: "1"
        self.loads: list[str] = []
        self.refuse: set[str] = set()
        self.fails: Exception | None = None

    def cached(self) -> LoadedModel | None:
        """The copy on disk."""
        return _model(self.in_cache) if self.in_cache else None

    def resolve(self) -> str:
        """Where the alias points."""
        return self.answer()

    def _load(self, version: str) -> LoadedModel:
        self.loads.append(version)
        if self.fails:
            raise self.fails
        if version in self.refuse:
            raise ModelRefusedError("its probabilities are no numbers")
        return _model(version)


class HalfScorer:
    """Knows nothing."""

    kind = "sklearn"

    def score(self, texts: object) -> NDArray[np.float64]:
        """P(positive) of no text."""
        raise AssertionError(texts)


def _model(version: str) -> LoadedModel:
    return LoadedModel("sentiment", version, HalfScorer(), 0.0)  # type: ignore[arg-type]  # never scores


def champion(registry: StubRegistry) -> ServedModels:
    """A champion over a stub."""
    return ServedModels(ModelSettings(), registry)


def test_cached_copy_serves_at_once_then_the_alias_wins() -> None:
    """The copy on disk answers without the registry; the first look takes over a newer one."""
    registry = StubRegistry(cached="1")
    following = champion(registry)
    assert (following.models.champion.version, registry.loads) == ("1", [])
    registry.answer = lambda: "2"
    following.check()
    assert following.models.champion.version == "2"


def test_refused_model_leaves_the_old_one_and_is_asked_once() -> None:
    """A version that fails its check is not served and not loaded again; a later one is."""
    registry = StubRegistry(cached=None)
    following = champion(registry)
    registry.answer, registry.refuse = (lambda: "2"), {"2"}
    following.check()
    following.check()
    assert (following.models.champion.version, registry.loads) == ("1", ["1", "2"])
    registry.answer = lambda: "3"
    following.check()
    assert following.models.champion.version == "3"


def test_a_refused_version_is_looked_at_again_ever_more_seldom() -> None:
    """After one minute, two, four, up to an hour; each look is counted, and told once."""
    now = 0.0
    registry = StubRegistry(cached="1", clock=lambda: now)
    following = champion(registry)
    registry.answer, registry.refuse = (lambda: "2"), {"2"}
    before = metrics.REGISTRY.get_sample_value(REFUSED, {"outcome": "refused"}) or 0.0
    looks: list[float] = []
    with capture_logs() as said:
        for now in range(0, 6 * 3600, 5):
            following.check()
            if len(registry.loads) > len(looks):
                looks.append(now)
    assert [b - a for a, b in pairwise(looks)][:7] == [60, 120, 240, 480, 960, 1920, 3600]
    assert [line["event"] for line in said] == ["model refused"]
    after = metrics.REGISTRY.get_sample_value(REFUSED, {"outcome": "refused"})
    assert after == before + len(looks)
    registry.refuse = set()
    now += 3600
    following.check()
    assert following.models.champion.version == "2"


def test_whatever_a_load_raises_refuses_the_version() -> None:
    """An error that nobody foresaw is a refusal too, and not tried again at each look."""
    registry = StubRegistry(cached="1")
    registry.answer, registry.fails = (lambda: "2"), IndexError("index 9 is out of bounds")
    following = champion(registry)
    for _ in range(5):
        following.check()
    assert registry.loads == ["2"]
    assert following.models.champion.version == "1"


def test_refusals_are_remembered_within_a_bound() -> None:
    """Whoever makes versions without end takes no memory with it."""
    registry = StubRegistry(cached="1")
    following = champion(registry)
    for number in range(2, 2 * MOST_REFUSALS):
        registry.refuse = {str(number)}
        registry.answer = lambda number=number: str(number)  # type: ignore[misc]
        following.check()
    assert len(vars(registry)["_refusals"]) == MOST_REFUSALS


def test_a_start_waits_for_a_model_that_can_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh worker whose champion is refused says so, is not ready, and takes the next one."""
    registry = StubRegistry(cached=None)
    registry.refuse = {"1"}
    start = Start()
    waited: list[str] = []

    def wait(_: float) -> None:
        waited.append(start.waits_for)
        if len(waited) == 5:
            registry.answer = lambda: "2"

    monkeypatch.setattr("sentiment.health.time.sleep", wait)
    with capture_logs() as said:
        following = start.made(lambda: champion(registry))
    assert following.models.champion.version == "2"
    assert registry.loads == ["1", "2"]
    assert waited == ["its probabilities are no numbers"] * 5
    assert [line["event"] for line in said][:2] == ["model refused", "waiting"]
    assert sum(line["log_level"] in {"error", "warning"} for line in said) == 2


def test_registry_down_changes_nothing_until_it_is_back() -> None:
    """While the registry doesn't answer the old model goes on; then the new one is taken over."""
    registry = StubRegistry(cached="1")
    following = champion(registry)

    def down() -> str:
        raise RegistryUnavailableError("no answer")

    registry.answer = down
    following.check()
    assert following.models.champion.version == "1"
    registry.answer = lambda: "2"
    following.check()
    assert following.models.champion.version == "2"


def test_no_model_at_all_is_an_error() -> None:
    """Without a cached copy and without a registry there is nothing to serve."""
    registry = StubRegistry(cached=None)

    def down() -> str:
        raise RegistryUnavailableError("no answer")

    registry.answer = down
    with pytest.raises(SentimentError):
        champion(registry)


def test_following_survives_whatever_the_registry_does() -> None:
    """An error that nobody foresaw ends neither the following nor the model that serves."""
    registry = StubRegistry(cached="1")
    failed = threading.Event()

    def broken() -> str:
        registry.answer = lambda: "2"
        failed.set()
        raise RuntimeError("a bug")

    registry.answer = broken
    following = ServedModels(ModelSettings(poll_interval_s=0.01), registry)
    following.start()
    assert failed.wait(30)
    deadline = time.monotonic() + 30
    while following.models.champion.version != "2":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    following.stop()


def test_a_challenger_comes_and_goes_and_is_none_once_promoted() -> None:
    """There is a challenger while its alias points to another version than the champion's."""
    registry, trial = StubRegistry(cached="1"), StubRegistry(cached=None)

    def nobody() -> str:
        raise ModelNotFoundError("no such alias")

    trial.answer = nobody
    following = ServedModels(ModelSettings(), registry, trial)
    following.check()
    assert following.models.challenger is None
    trial.answer = lambda: "2"
    following.check()
    challenger = following.models.challenger
    assert challenger is not None
    assert challenger.version == "2"
    registry.answer = lambda: "2"
    following.check()
    assert (following.models.champion.version, following.models.challenger) == ("2", None)
    registry.answer = lambda: "3"
    trial.answer = nobody
    following.check()
    assert (following.models.champion.version, following.models.challenger) == ("3", None)


def test_a_version_is_not_asked_for_twice() -> None:
    """An address that names a version needs no registry once the model is there."""
    registry = StubRegistry(cached="1")
    vars(registry)["_alias"] = None

    def never() -> str:
        raise AssertionError("asked")

    registry.answer = never
    champion(registry).check()


def test_every_trouble_has_its_words_and_its_series() -> None:
    """Each class of errors for models has a sentence for the log, and a series from the start."""

    def below(kind: type[ModelError]) -> set[str]:
        return {kind.reason}.union(*(below(one) for one in kind.__subclasses__()))

    assert below(ModelError) == set(EVENTS) == set(REGISTRY_REASONS)
    assert len(set(EVENTS.values())) == len(EVENTS)


def test_trouble_is_told_once_until_it_changes() -> None:
    """However a registry that is away says it; what a full disk does is a sentence too."""
    registry = StubRegistry(cached="1")
    following = champion(registry)
    answers = iter(
        [
            RegistryUnavailableError("no answer from 0x1"),
            RegistryUnavailableError("no answer from 0x2"),
            RegistryDeniedError("401"),
            SetupError("no space", "free some"),
            SetupError("no space", "free some"),
            None,
            RegistryUnavailableError("no answer from 0x3"),
        ]
    )

    def answer() -> str:
        error = next(answers)
        if error:
            raise error
        return "1"

    registry.answer = answer
    with capture_logs() as said:
        for _ in range(7):
            following.check()
    assert [line["event"] for line in said] == [
        "registry does not answer",
        "registry refuses us",
        "following failed",
        "registry is in order again",
        "registry does not answer",
    ]


def count_for(version: str, before: str) -> None:
    """What a worker counts of a version that serves, by every metric with a version."""
    for metric, collector in metrics.VERSIONED:
        of = {"model_version": version, "challenger_version": version, "champion_version": before}
        series = collector.labels(*(of.get(label, "x") for label in metric.labels))
        if isinstance(series, Histogram):
            series.observe(1)
        else:
            series.inc()


def samples() -> int:
    """How many samples all series of the worker have."""
    return sum(len(family.samples) for family in metrics.WORKER.shown.collect())


def test_many_swaps_leave_a_bounded_number_of_series() -> None:
    """Series of a version go ten minutes after it has ceased to serve, and not before."""
    for version in metrics.versions():
        metrics.forget(version)
    clock = iter(range(0, 10**9, 60))
    registry = StubRegistry(cached="0")
    following = ServedModels(ModelSettings(), registry, clock=lambda: float(next(clock)))
    sizes = []
    for number in range(1, 60):
        registry.answer = lambda number=number: str(number)  # type: ignore[misc]
        following.check()
        count_for(str(number), str(number - 1))
        following.drop_series()
        sizes.append(samples())
    # A minute between two looks at the clock: ten versions that wait, and the one that serves.
    kept = {str(number) for number in range(49, 60)}
    assert metrics.versions() == kept
    assert max(sizes) == sizes[-1] == sizes[20]
    # What is counted late goes too, however it came.
    count_for("3", "2")
    for _ in range(11):
        following.drop_series()
    assert metrics.versions() == {"59"}


def test_series_of_a_version_that_comes_back_stay() -> None:
    """A rollback within the ten minutes goes on with the counts that were there."""
    clock = iter(range(0, 10**9, 60))
    registry = StubRegistry(cached="1")
    following = ServedModels(ModelSettings(), registry, clock=lambda: float(next(clock)))
    RESULTS.labels("positive", "1").inc(5)
    before = metrics.REGISTRY.get_sample_value(
        "sentiment_results_total", {"sentiment": "positive", "model_version": "1"}
    )
    for version in ("2", "1"):
        registry.answer = lambda version=version: version  # type: ignore[misc]
        following.check()
        for _ in range(8):
            following.drop_series()
    for _ in range(20):
        following.drop_series()
    after = metrics.REGISTRY.get_sample_value(
        "sentiment_results_total", {"sentiment": "positive", "model_version": "1"}
    )
    assert after == before
