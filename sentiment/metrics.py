"""Metrics: the type of a row, and of the table that each app has of its own.

A row says an app's metric once: name, type, labels, unit, meaning. Dashboards, alert rules and
`docs/operations.md` are made from all tables (`sentiment.apps.metrics`), so that none of them can
name a metric that doesn't exist. Here stand the rows of what the shared library counts.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# The `_created` series doubles every counter, and no query of ours reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped

REGISTRY = CollectorRegistry(auto_describe=True)

# From a millisecond (one event) to a minute (a broker's restart), a factor of about two apart.
LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
)  # fmt: skip

# Labels whose values are versions of models: there are more of them with each swap.
VERSION_LABELS = {"model_version", "champion_version", "challenger_version"}

Collector = TypeVar("Collector", Counter, Gauge, Histogram)


@dataclass(frozen=True)
class Metric:
    """One row of a table; `name` is what Prometheus stores."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    app: str
    meaning: str
    labels: tuple[str, ...] = ()
    unit: str = "1"
    buckets: tuple[float, ...] = ()


VERSIONED: list[tuple[Metric, Counter | Gauge | Histogram]] = []


class Metrics:
    """One app's metrics, named as its settings begin; it shows `everywhere` beside its own."""

    def __init__(self, app: str, everywhere: "Metrics | None" = None) -> None:
        self.app = app
        self.rows: list[Metric] = []
        # At `/metrics`. The worker's zeros in a page's answer would be a worker that stands still.
        self.shown = CollectorRegistry(auto_describe=True)
        self.collectors: list[Counter | Gauge | Histogram] = []
        for collector in everywhere.collectors if everywhere else ():
            self.shown.register(collector)

    def counter(
        self, name: str, meaning: str, *labels: str, unit: str = "1", values: tuple[str, ...] = ()
    ) -> Counter:
        """A counter; `meaning` is a sentence for the table and for Prometheus.

        `values` are those of the only label, where they are known. A series that begins with its
        first event has no increase that a rule could see.
        """
        # The client library appends `_total`, and the table holds the stored name.
        counter = Counter(name.removesuffix("_total"), meaning, labels, registry=REGISTRY)
        for value in values:
            counter.labels(value)
        return self._add(Metric(name, "counter", self.app, meaning, labels, unit), counter)

    def gauge(self, name: str, meaning: str, *labels: str, unit: str = "1") -> Gauge:
        """A gauge; arguments as of a counter."""
        gauge = Gauge(name, meaning, labels, registry=REGISTRY)
        return self._add(Metric(name, "gauge", self.app, meaning, labels, unit), gauge)

    def histogram(
        self,
        name: str,
        meaning: str,
        *labels: str,
        unit: str = "seconds",
        buckets: tuple[float, ...] = LATENCY_BUCKETS,
    ) -> Histogram:
        """A histogram; arguments as of a counter, and the upper ends of its buckets."""
        histogram = Histogram(name, meaning, labels, buckets=buckets, registry=REGISTRY)
        row = Metric(name, "histogram", self.app, meaning, labels, unit, buckets)
        return self._add(row, histogram)

    def _add(self, row: Metric, collector: Collector) -> Collector:
        self.rows.append(row)
        self.collectors.append(collector)
        self.shown.register(collector)
        if VERSION_LABELS.intersection(row.labels):
            VERSIONED.append((row, collector))
        return collector


# What every app shows; a table of an app is made with it, once it is whole.
EVERYWHERE = Metrics("all")

UNREADABLE_BATCHES = EVERYWHERE.counter(
    "sentiment_unreadable_batches_total",
    "Batches that Kafka's client couldn't read and that were passed over: by a worker as"
    " WORKER_SKIP_BATCHES says; by what only reads, such as the page, by itself.",
    "topic", "partition",
)  # fmt: skip
UNREADABLE_HEADERS = EVERYWHERE.counter(
    "sentiment_unreadable_headers_total",
    "Records with a header whose name is no UTF-8; none of their headers can be read or passed on.",
)  # fmt: skip
REFUSALS = EVERYWHERE.counter(
    "sentiment_broker_refusals_total",
    "Connections that the brokers refused, by reason: credentials, tls.", "reason",
    values=("credentials", "tls"),
)  # fmt: skip

# What the library counts for the worker, which adds its own.
WORKER = Metrics("worker", EVERYWHERE)

UNREADABLE = WORKER.gauge(
    "sentiment_unreadable_partition",
    "1 where the next batch of a partition can't be read, and nothing behind it is.",
    "topic", "partition", unit="partitions",
)  # fmt: skip
LAG = WORKER.gauge(
    "sentiment_consumer_lag",
    "Events behind the end of the partition, by the brokers' own numbers.",
    "topic", "partition", unit="events",
)  # fmt: skip
HANGING_TRANSACTIONS = WORKER.gauge(
    "sentiment_hanging_transactions",
    "What a transaction holds back for longer than it may last: partitions of the outputs, and the"
    " group's committed offsets as one.",
    unit="partitions",
)  # fmt: skip
DEAD_LETTER_SHARE = WORKER.gauge(
    "sentiment_dead_letter_share",
    "Share of dead letters in the latest window; above WORKER_DEAD_LETTER_MAX_SHARE we stop.",
)  # fmt: skip
LARGE_HEADERS = WORKER.counter(
    "sentiment_large_headers_total",
    "Headers of events that were not passed on to the result, as there were more than 8 KiB.",
)  # fmt: skip
SHORTENED_RECORDS = WORKER.counter(
    "sentiment_shortened_records_total",
    "Results without explanation and headers, and dead letters without value and headers, since"
    " their topic doesn't take them as they are.",
    "topic",
)  # fmt: skip
TRANSACTIONS = WORKER.counter(
    "sentiment_transactions_total", "Transactions by outcome: committed, aborted.",
    "outcome",
    values=("committed", "aborted"),
)  # fmt: skip
TRANSACTION_RESETS = WORKER.counter(
    "sentiment_transaction_resets_total",
    "Producers replaced, by why: connection (one broke, and what it carried may arrive late),"
    " unknown_outcome (of a commit), unusable.",
    "reason",
    values=("connection", "unknown_outcome", "unusable"),
)  # fmt: skip
SLOW_TEXTS = WORKER.counter(
    "sentiment_slow_texts_total",
    "Texts that Python had to lower-case for the compiled model: a letter's case hung on context.",
)  # fmt: skip
MODEL_SWAPS = WORKER.counter(
    "sentiment_model_swaps_total", "Models taken over or not: swapped, refused.",
    "outcome",
    values=("swapped", "refused"),
)  # fmt: skip


def versions() -> set[str]:
    """The versions of models that there are series of."""
    return {
        value
        for metric, collector in VERSIONED
        for series in _series(metric, collector)
        for label, value in zip(metric.labels, series, strict=True)
        if label in VERSION_LABELS
    }


def forget(version: str) -> None:
    """Drop every series of a model's version; one that is counted again begins at zero."""
    for metric, collector in VERSIONED:
        for series in _series(metric, collector):
            of = zip(metric.labels, series, strict=True)
            if any(label in VERSION_LABELS and value == version for label, value in of):
                collector.remove(*series)


def _series(metric: Metric, collector: Counter | Gauge | Histogram) -> set[tuple[str, ...]]:
    """The values of the labels of each series, in the order of the table."""
    return {
        tuple(sample.labels[label] for label in metric.labels)
        for family in collector.collect()
        for sample in family.samples
    }
