from datetime import UTC, datetime, timedelta

from sentiment.times import OLDEST_MS
from sentiment.wire import Input, Model, SentimentResult
from web.answers import ServedModel
from web.inbox import LATENCIES, MODELS, Overview

BEGAN = datetime(2026, 1, 5, 12, tzinfo=UTC)


def result(
    latency_ms: float = 10, version: str = "1", *, canary: bool = False, at_s: float = 0
) -> SentimentResult:
    """A positive result of a model, some time after the beginning."""
    done = BEGAN + timedelta(seconds=at_s)
    return SentimentResult(
        id="a",
        sentiment="positive",
        score=0.9,
        confidence=0.9,
        model=Model("m", version),
        input=Input("t", 0, 0),
        received_at=done - timedelta(milliseconds=latency_ms),
        processed_at=done,
        canary=canary,
    )


def test_nothing_is_known_at_first() -> None:
    """Before the first result there is no latency, no lag and no model, rather than zeros."""
    status = Overview().status()
    assert (status["latency_ms"], status["lag"], status["models"]) == (None, None, [])


def test_latency_is_the_median_of_the_latest() -> None:
    """A single slow event doesn't show; a backlog soon does."""
    overview = Overview()
    overview.count([*(result(10) for _ in range(9)), result(5000)])
    assert overview.status()["latency_ms"] == 10
    overview.count([result(3000) for _ in range(LATENCIES)])
    assert overview.status()["latency_ms"] == 3000


def test_latency_is_never_negative() -> None:
    """A producer whose clock is 50 minutes ahead shows as no delay, one of 1970 as a week."""
    overview = Overview()
    overview.count([result(-3_000_000) for _ in range(10)])
    assert overview.status()["latency_ms"] == 0
    overview.count([result(50 * 365 * 86_400_000.0) for _ in range(LATENCIES)])
    assert overview.status()["latency_ms"] == OLDEST_MS


def test_models_have_the_time_of_their_first_result() -> None:
    """A model keeps the time that it came; a challenger that becomes champion is one."""
    overview = Overview()
    overview.saw([result(), result(version="2", canary=True, at_s=5), result(at_s=9)])
    since = BEGAN + timedelta(seconds=5)
    first = ServedModel("m", "1", BEGAN, canary=False)
    assert overview.status()["models"] == [first, ServedModel("m", "2", since, canary=True)]
    overview.saw([result(version="2", at_s=12)])
    assert overview.status()["models"] == [first, ServedModel("m", "2", since, canary=False)]


def test_models_are_bounded() -> None:
    """A page that runs for months keeps the latest models only."""
    overview = Overview()
    overview.saw([result(version=str(number)) for number in range(MODELS + 3)])
    models = overview.status()["models"]
    assert isinstance(models, list)
    assert [model.version for model in models] == [str(n) for n in range(3, MODELS + 3)]
