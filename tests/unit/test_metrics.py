import re

import pytest

from sentiment import metrics
from sentiment.metrics import TABLE, Metric

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
    """No label has a value per event, and none takes a name that Prometheus keeps for itself."""
    assert not {"id", "event_id", "text", "offset", "key", "le", "quantile"} & set(metric.labels)
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in metric.labels)


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
