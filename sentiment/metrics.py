"""Every metric, once: name, type, labels, unit, meaning.

Dashboards, alert rules and `docs/operations.md` are made from this table, so that none of them
can name a metric that doesn't exist.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# The `_created` series doubles every counter, and no query of ours reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped

App = Literal["worker", "trends", "web"]

REGISTRY = CollectorRegistry(auto_describe=True)
# What each app shows at `/metrics`. The worker's zeros in a page's answer would look to every rule
# like a worker that stands still.
EXPOSED: dict[App, CollectorRegistry] = {
    "worker": CollectorRegistry(auto_describe=True),
    "trends": CollectorRegistry(auto_describe=True),
    "web": CollectorRegistry(auto_describe=True),
}

# From a millisecond (one event) to a minute (a broker's restart), a factor of about two apart.
LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
)  # fmt: skip
# Powers of about three up to the largest batch that the settings suggest.
BATCH_BUCKETS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)

# Of two probabilities: from nothing worth a look to the opposite.
DIFFERENCE_BUCKETS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1)

# Labels whose values are versions of models: there are more of them with each swap.
VERSION_LABELS = {"model_version", "champion_version", "challenger_version"}

Collector = TypeVar("Collector", Counter, Gauge, Histogram)


@dataclass(frozen=True)
class Metric:
    """One row of the table; `name` is what Prometheus stores."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    app: App | Literal["all"]
    meaning: str
    labels: tuple[str, ...] = ()
    unit: str = "1"
    buckets: tuple[float, ...] = ()


TABLE: list[Metric] = []
VERSIONED: list[tuple[Metric, Counter | Gauge | Histogram]] = []


def _register(metric: Metric, collector: Collector) -> Collector:
    TABLE.append(metric)
    if VERSION_LABELS.intersection(metric.labels):
        VERSIONED.append((metric, collector))
    for app, registry in EXPOSED.items():
        if metric.app in {app, "all"}:
            registry.register(collector)
    return collector


def _counter(
    name: str, app: App | Literal["all"], meaning: str, *labels: str, unit: str = "1"
) -> Counter:
    # The client library appends `_total`, and the table holds the stored name.
    counter = Counter(name.removesuffix("_total"), meaning, labels, registry=REGISTRY)
    return _register(Metric(name, "counter", app, meaning, labels, unit), counter)


def _gauge(name: str, app: App, meaning: str, *labels: str, unit: str = "1") -> Gauge:
    gauge = Gauge(name, meaning, labels, registry=REGISTRY)
    return _register(Metric(name, "gauge", app, meaning, labels, unit), gauge)


def _histogram(
    name: str,
    app: App,
    meaning: str,
    *labels: str,
    unit: str = "seconds",
    buckets: tuple[float, ...] = LATENCY_BUCKETS,
) -> Histogram:
    histogram = Histogram(name, meaning, labels, buckets=buckets, registry=REGISTRY)
    return _register(Metric(name, "histogram", app, meaning, labels, unit, buckets), histogram)


EVENTS = _counter(
    "sentiment_events_total", "worker", "Events read and committed, whatever became of them.",
    "topic", "partition",
)  # fmt: skip
RESULTS = _counter(
    "sentiment_results_total", "worker", "Results committed, by answer and model version.",
    "sentiment", "model_version",
)  # fmt: skip
DEAD_LETTERS = _counter(
    "sentiment_dead_letters_total", "worker", "Dead letters committed, by error code.", "code"
)
DEAD_LETTER_SHARE = _gauge(
    "sentiment_dead_letter_share", "worker",
    "Share of dead letters in the latest window; above WORKER_DEAD_LETTER_MAX_SHARE we stop.",
)  # fmt: skip
TOMBSTONES = _counter(
    "sentiment_tombstones_total", "worker", "Records without a value, skipped and counted."
)
UNREADABLE = _gauge(
    "sentiment_unreadable_partition", "worker",
    "1 where the next batch of a partition can't be read, and nothing behind it is.",
    "topic", "partition", unit="partitions",
)  # fmt: skip
UNREADABLE_BATCHES = _counter(
    "sentiment_unreadable_batches_total", "all",
    "Batches that Kafka's client couldn't read and that were passed over: by a worker as"
    " WORKER_SKIP_BATCHES says; by what only reads, such as the page, by itself.",
    "topic", "partition",
)  # fmt: skip
EXPIRED = _counter(
    "sentiment_expired_events_total", "worker",
    "Offsets that the topic's retention deleted before they were read.", "topic", "partition",
)  # fmt: skip
BATCH_EVENTS = _histogram(
    "sentiment_batch_events", "worker", "Events in one transaction.",
    unit="events", buckets=BATCH_BUCKETS,
)  # fmt: skip
EVENT_LATENCY = _histogram(
    "sentiment_event_latency_seconds", "worker",
    "From an event's timestamp to the commit of its result; the oldest event of each batch.",
)  # fmt: skip
UNREADABLE_HEADERS = _counter(
    "sentiment_unreadable_headers_total", "all",
    "Records with a header whose name is no UTF-8; none of their headers can be read or passed on.",
)  # fmt: skip
LARGE_HEADERS = _counter(
    "sentiment_large_headers_total", "worker",
    "Headers of events that were not passed on to the result, as there were more than 8 KiB.",
)  # fmt: skip
SHORTENED_RECORDS = _counter(
    "sentiment_shortened_records_total", "worker",
    "Results without explanation and headers, and dead letters without value and headers, since"
    " their topic doesn't take them as they are.",
    "topic",
)  # fmt: skip
CLOCK_SKEW_EVENTS = _counter(
    "sentiment_clock_skew_events_total", "worker",
    "Events whose timestamp is off: ahead of the worker's clock by more than a second, which counts"
    " as now; or old, from more than a week ago, which counts as a week.", "kind",
)  # fmt: skip
LOOP_SECONDS = _counter(
    "sentiment_loop_seconds_total", "worker",
    "Where the loop's time goes: consume, decode, score, wait_score, encode, produce, wait_commit;"
    " and, on a thread of its own, commit. With a backlog, score has one too.",
    "phase", unit="seconds",
)  # fmt: skip
TRANSACTIONS = _counter(
    "sentiment_transactions_total", "worker", "Transactions by outcome: committed, aborted.",
    "outcome",
)  # fmt: skip
TRANSACTION_RESETS = _counter(
    "sentiment_transaction_resets_total", "worker",
    "Producers replaced, by why: connection (one broke, and what it carried may arrive late),"
    " unknown_outcome (of a commit), unusable.",
    "reason",
)  # fmt: skip
LAG = _gauge(
    "sentiment_consumer_lag", "worker",
    "Events behind the end of the partition, by the brokers' own numbers.",
    "topic", "partition", unit="events",
)  # fmt: skip
HANGING_TRANSACTIONS = _gauge(
    "sentiment_hanging_transactions", "worker",
    "What a transaction holds back for longer than it may last: partitions of the outputs, and the"
    " group's committed offsets as one.",
    unit="partitions",
)  # fmt: skip
ASSIGNED = _gauge(
    "sentiment_assigned_partitions", "worker", "Partitions that this worker has.",
    unit="partitions",
)  # fmt: skip
REBALANCES = _counter(
    "sentiment_rebalances_total", "worker", "Changes of the assignment: assigned, revoked, lost.",
    "kind",
)  # fmt: skip
MODEL_INFO = _gauge(
    "sentiment_model_info", "worker", "1 for each model that is served: champion, challenger.",
    "model_name", "model_version", "scorer", "role",
)  # fmt: skip
SCORED_TEXTS = _counter(
    "sentiment_scored_texts_total", "worker", "Texts that a model scored.", "model_version"
)
SCORING_SECONDS = _counter(
    "sentiment_scoring_seconds_total", "worker", "Time that a model took to score them.",
    "model_version", unit="seconds",
)  # fmt: skip
SHADOW_TEXTS = _counter(
    "sentiment_shadow_texts_total", "worker",
    "Texts that champion and challenger both scored: whether they agree on the sentiment.",
    "champion_version", "challenger_version", "agree",
)  # fmt: skip
SHADOW_DIFFERENCE = _histogram(
    "sentiment_shadow_difference", "worker",
    "How far apart the scores of champion and challenger are.",
    "champion_version", "challenger_version", unit="1", buckets=DIFFERENCE_BUCKETS,
)  # fmt: skip
DRIFT_WINDOW_TEXTS = _gauge(
    "sentiment_drift_window_texts", "worker",
    "Texts of the latest window, a sample of what was answered, that the next figures are made of.",
    "model_version", unit="events",
)  # fmt: skip
DRIFT_SCORE_PSI = _gauge(
    "sentiment_drift_score_psi", "worker",
    "Population stability index of the scores against the model's reference; 0: the same.",
    "model_version",
)  # fmt: skip
DRIFT_LENGTH_PSI = _gauge(
    "sentiment_drift_length_psi", "worker",
    "The same of the texts' lengths in tokens.", "model_version",
)  # fmt: skip
DRIFT_UNKNOWN_TOKEN_SHARE = _gauge(
    "sentiment_drift_unknown_token_share", "worker",
    "Share of tokens that the model doesn't know.", "model_version",
)  # fmt: skip
DRIFT_REFERENCE_UNKNOWN_TOKEN_SHARE = _gauge(
    "sentiment_drift_reference_unknown_token_share", "worker",
    "The same of the reference.", "model_version",
)  # fmt: skip
DRIFT_POSITIVE_SHARE = _gauge(
    "sentiment_drift_positive_share", "worker", "Share of texts called positive.", "model_version"
)
DRIFT_REFERENCE_POSITIVE_SHARE = _gauge(
    "sentiment_drift_reference_positive_share", "worker", "The same of the reference.",
    "model_version",
)  # fmt: skip
DRIFT_REPEATED_TEXT_SHARE = _gauge(
    "sentiment_drift_repeated_text_share", "worker",
    "Share of the text that was there most often, to the letter the same.", "model_version",
)  # fmt: skip
SLOW_TEXTS = _counter(
    "sentiment_slow_texts_total", "worker",
    "Texts that Python had to lower-case for the compiled model: a letter's case hung on context.",
)  # fmt: skip
MODEL_LOADED = _gauge(
    "sentiment_model_loaded_timestamp_seconds", "worker", "When the served model was loaded.",
    unit="seconds since 1970",
)  # fmt: skip
MODEL_SWAPS = _counter(
    "sentiment_model_swaps_total", "worker", "Models taken over or not: swapped, refused.",
    "outcome",
)  # fmt: skip
REGISTRY_ERRORS = _counter(
    "sentiment_registry_errors_total", "worker",
    "Looks at the model registry that failed, by reason: unavailable, denied, store_unavailable,"
    " model_missing, alias_missing, version_missing, artifact_missing, other.", "reason",
)  # fmt: skip
REFUSALS = _counter(
    "sentiment_broker_refusals_total", "all",
    "Connections that the brokers refused, by reason: credentials, tls.", "reason",
)  # fmt: skip
LAST_PROGRESS = _gauge(
    "sentiment_last_progress_timestamp_seconds", "worker",
    "When the loop last turned, whether or not there were events.", unit="seconds since 1970",
)  # fmt: skip

TREND_TALLIES = _counter(
    "sentiment_trend_tallies_total", "trends", "Tallies that are in the windows, or were before.",
)  # fmt: skip
TREND_MERGED = _gauge(
    "sentiment_trend_merged_timestamp_seconds", "trends",
    "When the latest tally in the windows was written.", unit="seconds since 1970",
)  # fmt: skip
TREND_TALLIES_REFUSED = _counter(
    "sentiment_trend_tallies_refused_total", "trends",
    "Records on the tallies' topic that are none.",
)  # fmt: skip
TREND_EVENTS_LEFT_OUT = _counter(
    "sentiment_trend_events_left_out_total", "trends",
    "Events whose window is too old or too far ahead, counted for each of the three lengths.",
)  # fmt: skip

FEEDBACK_LABELS = _gauge(
    "sentiment_feedback_labels", "trends",
    "Events that people labelled, by the model version that answered, its answer and their label.",
    "model_version", "sentiment", "label", unit="events",
)  # fmt: skip

# The next three have the names under which operators of the earlier system know them.
REQUESTS = _counter(
    "app_request_count_total", "web", "Requests by method, endpoint and status.",
    "method", "endpoint", "status",
)  # fmt: skip
REQUEST_LATENCY = _histogram(
    "app_request_latency_seconds", "web", "Time to answer a request; feeds are left out.",
    "endpoint",
)  # fmt: skip
PREDICTIONS = _counter(
    "model_prediction_count_total", "web", "Results that the page's reader saw, by answer.",
    "prediction",
)  # fmt: skip
FEEDS = _gauge("sentiment_web_feeds", "web", "Open live feeds.", unit="feeds")
WEB_EVENTS = _counter(
    "sentiment_web_events_total", "web", "Events sent by the page, by outcome: delivered, failed.",
    "outcome",
)  # fmt: skip

# Of `sentiment.errors`, the classes for models.
REGISTRY_REASONS = (
    "unavailable", "denied", "store_unavailable", "model_missing", "alias_missing",
    "version_missing", "artifact_missing", "other",
)  # fmt: skip
# A series that begins with its first event has no increase that a rule could see.
for counter, values in (
    (TRANSACTIONS, ("committed", "aborted")),
    (MODEL_SWAPS, ("swapped", "refused")),
    (REFUSALS, ("credentials", "tls")),
    (TRANSACTION_RESETS, ("connection", "unknown_outcome", "unusable")),
    (CLOCK_SKEW_EVENTS, ("ahead", "old")),
    (REGISTRY_ERRORS, REGISTRY_REASONS),
    (WEB_EVENTS, ("delivered", "failed")),
):
    for value in values:
        counter.labels(value)


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
