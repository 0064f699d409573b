import re

import pytest

from sentiment import apps, metrics
from sentiment.metrics import Metric, Metrics
from stream_worker.metrics import TRENDS
from tests.processes import python
from web.metrics import WEB

TABLE = apps.metrics()
ids = [metric.name for metric in TABLE]


def test_table_and_registry_agree() -> None:
    """Every row of the table is a collector with the same type and text, and there is no other."""
    suffix = {"counter": "_total", "gauge": "", "histogram": ""}
    collected = {
        (f"{family.name}{suffix[family.type]}", family.type, family.documentation)
        for family in metrics.REGISTRY.collect()
    }
    assert collected == {(metric.name, metric.kind, metric.meaning) for metric in TABLE}
    assert len(set(ids)) == len(TABLE)


@pytest.mark.parametrize("metric", TABLE, ids=ids)
def test_names_follow_the_conventions(metric: Metric) -> None:
    """Lower case, one prefix, `_total` for counters alone, base units at the end."""
    assert re.fullmatch(r"(sentiment|app|model)(_[a-z0-9]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.unit in {"1", "events", "partitions", "feeds", "seconds", "seconds since 1970"}
    assert ("_seconds" in metric.name) == metric.unit.startswith("seconds")
    assert not re.search(
        r"_(ms|milliseconds|minutes|kb|percent|created|sum|count|bucket)$", metric.name
    )
    assert metric.meaning.endswith(".")


@pytest.mark.parametrize("metric", TABLE, ids=ids)
def test_labels_are_few_and_bounded(metric: Metric) -> None:
    """Nobody who sends something chooses a label's value; a new label wants a look at who does."""
    fixed = {
        *("agree", "code", "kind", "label", "method", "outcome", "phase", "prediction", "reason"),
        *("role", "scorer", "sentiment", "status"),
    }
    ours = {"endpoint", "topic", "partition", "model_name"}
    assert set(metric.labels) <= fixed | ours | metrics.VERSION_LABELS
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in metric.labels)


@pytest.mark.parametrize("metric", TABLE, ids=ids)
def test_series_of_versions_can_be_dropped(metric: Metric) -> None:
    """A metric with a model's version among its labels is one of those that `forget` looks at."""
    names_one = any("version" in label for label in metric.labels)
    assert names_one == (metric in [versioned for versioned, _ in metrics.VERSIONED])


@pytest.mark.parametrize(
    "metric", [m for m in TABLE if m.kind == "histogram"], ids=lambda m: m.name
)
def test_buckets_rise(metric: Metric) -> None:
    """The buckets of a histogram rise, without the one for everything, which the library adds."""
    assert metric.buckets
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.buckets[-1] < float("inf")


def test_names_of_the_earlier_system_stay() -> None:
    """Operators' old dashboards find request count, latency and predictions."""
    names = {
        "app_request_count_total",
        "app_request_latency_seconds",
        "model_prediction_count_total",
    }
    assert names <= set(ids)


@pytest.mark.parametrize("table", [metrics.WORKER, TRENDS, WEB], ids=lambda table: table.app)
def test_each_app_shows_its_own_metrics(table: Metrics) -> None:
    """No other app's zeros are among them, which rules would take for a process that hangs."""
    shown = {(family.name, family.documentation) for family in table.shown.collect()}
    assert shown == {
        (metric.name.removesuffix("_total"), metric.meaning)
        for metric in TABLE
        if metric.app in {table.app, "all"}
    }


def test_what_rules_count_is_there_before_it_happens() -> None:
    """The first refusal is an increase: its series is there from the start, at zero."""
    wanted = [
        ("sentiment_model_swaps_total", {"outcome": "refused"}),
        ("sentiment_transactions_total", {"outcome": "aborted"}),
        ("sentiment_broker_refusals_total", {"reason": "tls"}),
        ("sentiment_web_events_total", {"outcome": "failed"}),
    ]
    code = (
        "from sentiment import apps; from sentiment.metrics import REGISTRY; apps.metrics()\n"
        f"print(*(REGISTRY.get_sample_value(*one) for one in {wanted!r}))"
    )
    assert python("-c", code).stdout == "0.0 0.0 0.0 0.0\n"
