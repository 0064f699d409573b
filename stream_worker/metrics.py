"""What workers and trends show at `/metrics`, beside what the shared library counts for them."""

import time
from typing import TYPE_CHECKING

from sentiment import times
from sentiment.metrics import EVERYWHERE, WORKER, Metrics

if TYPE_CHECKING:  # the trends have no model's libraries
    from sentiment.classify.assemble import Batch

# Powers of about three up to the largest batch that the settings suggest.
BATCH_BUCKETS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)

# Of two probabilities: from a negligible difference to the opposite answer.
DIFFERENCE_BUCKETS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1)

# Of `sentiment.errors`, the classes for models.
REGISTRY_REASONS = (
    "unavailable", "denied", "store_unavailable", "model_missing", "alias_missing",
    "version_missing", "artifact_missing", "other",
)  # fmt: skip

EVENTS = WORKER.counter(
    "sentiment_events_total", "Events read and committed, whatever became of them.",
    "topic", "partition",
)  # fmt: skip
RESULTS = WORKER.counter(
    "sentiment_results_total", "Results committed, by answer and model version.",
    "sentiment", "model_version",
)  # fmt: skip
DEAD_LETTERS = WORKER.counter(
    "sentiment_dead_letters_total", "Dead letters committed, by error code.", "code"
)
TOMBSTONES = WORKER.counter(
    "sentiment_tombstones_total", "Records without a value, skipped and counted."
)
EXPIRED = WORKER.counter(
    "sentiment_expired_events_total",
    "Offsets that the topic's retention deleted before they were read.", "topic", "partition",
)  # fmt: skip
BATCH_EVENTS = WORKER.histogram(
    "sentiment_batch_events", "Events in one transaction.", unit="events", buckets=BATCH_BUCKETS
)
EVENT_LATENCY = WORKER.histogram(
    "sentiment_event_latency_seconds",
    "From an event's timestamp to the commit of its result; the oldest event of each batch.",
)  # fmt: skip
CLOCK_SKEW_EVENTS = WORKER.counter(
    "sentiment_clock_skew_events_total",
    "Events whose timestamp is off: ahead of the worker's clock by more than a second, which counts"
    " as now; or old, from more than a week ago, which counts as a week.", "kind",
    values=("ahead", "old"),
)  # fmt: skip
LOOP_SECONDS = WORKER.counter(
    "sentiment_loop_seconds_total",
    "Where the loop's time goes: consume, decode, score, wait_score, encode, produce, wait_commit;"
    " and, on a thread of its own, commit. With a backlog, score has one too.",
    "phase", unit="seconds",
)  # fmt: skip
ASSIGNED = WORKER.gauge(
    "sentiment_assigned_partitions", "Partitions that this worker has.", unit="partitions"
)
REBALANCES = WORKER.counter(
    "sentiment_rebalances_total", "Changes of the assignment: assigned, revoked, lost.", "kind"
)
MODEL_INFO = WORKER.gauge(
    "sentiment_model_info", "1 for each model that is served: champion, challenger.",
    "model_name", "model_version", "scorer", "role",
)  # fmt: skip
SCORED_TEXTS = WORKER.counter(
    "sentiment_scored_texts_total", "Texts that a model scored.", "model_version"
)
SCORING_SECONDS = WORKER.counter(
    "sentiment_scoring_seconds_total", "Time that a model took to score them.",
    "model_version", unit="seconds",
)  # fmt: skip
SHADOW_TEXTS = WORKER.counter(
    "sentiment_shadow_texts_total",
    "Texts that champion and challenger both scored: whether they agree on the sentiment.",
    "champion_version", "challenger_version", "agree",
)  # fmt: skip
SHADOW_DIFFERENCE = WORKER.histogram(
    "sentiment_shadow_difference",
    "How far apart the scores of champion and challenger are.",
    "champion_version", "challenger_version", unit="1", buckets=DIFFERENCE_BUCKETS,
)  # fmt: skip
DRIFT_WINDOW_TEXTS = WORKER.gauge(
    "sentiment_drift_window_texts",
    "Texts of the latest window, a sample of what was answered, that the next figures are made of.",
    "model_version", unit="events",
)  # fmt: skip
DRIFT_SCORE_PSI = WORKER.gauge(
    "sentiment_drift_score_psi",
    "Population stability index of the scores against the model's reference; 0: the same.",
    "model_version",
)  # fmt: skip
DRIFT_LENGTH_PSI = WORKER.gauge(
    "sentiment_drift_length_psi", "The same of the texts' lengths in tokens.", "model_version"
)
DRIFT_UNKNOWN_TOKEN_SHARE = WORKER.gauge(
    "sentiment_drift_unknown_token_share",
    "Share of tokens that the model doesn't know.", "model_version",
)  # fmt: skip
DRIFT_REFERENCE_UNKNOWN_TOKEN_SHARE = WORKER.gauge(
    "sentiment_drift_reference_unknown_token_share", "The same of the reference.", "model_version"
)
DRIFT_POSITIVE_SHARE = WORKER.gauge(
    "sentiment_drift_positive_share", "Share of texts called positive.", "model_version"
)
DRIFT_REFERENCE_POSITIVE_SHARE = WORKER.gauge(
    "sentiment_drift_reference_positive_share", "The same of the reference.", "model_version"
)
DRIFT_REPEATED_TEXT_SHARE = WORKER.gauge(
    "sentiment_drift_repeated_text_share",
    "Share of the most frequent text; only identical texts count as the same.", "model_version",
)  # fmt: skip
MODEL_LOADED = WORKER.gauge(
    "sentiment_model_loaded_timestamp_seconds", "When the served model was loaded.",
    unit="seconds since 1970",
)  # fmt: skip
REGISTRY_ERRORS = WORKER.counter(
    "sentiment_registry_errors_total",
    "Polls of the model registry that failed, by reason: unavailable, denied, store_unavailable,"
    " model_missing, alias_missing, version_missing, artifact_missing, other.", "reason",
    values=REGISTRY_REASONS,
)  # fmt: skip
LAST_PROGRESS = WORKER.gauge(
    "sentiment_last_progress_timestamp_seconds",
    "When the loop last turned, whether or not there were events.", unit="seconds since 1970",
)  # fmt: skip

TRENDS = Metrics("trends", EVERYWHERE)

TREND_TALLIES = TRENDS.counter(
    "sentiment_trend_tallies_total", "Tallies that are in the windows, or were before.",
)  # fmt: skip
TREND_MERGED = TRENDS.gauge(
    "sentiment_trend_merged_timestamp_seconds",
    "When the latest tally in the windows was written.", unit="seconds since 1970",
)  # fmt: skip
TREND_TALLIES_REFUSED = TRENDS.counter(
    "sentiment_trend_tallies_refused_total", "Records on the tallies' topic that are none."
)
TREND_EVENTS_LEFT_OUT = TRENDS.counter(
    "sentiment_trend_events_left_out_total",
    "Events whose window is too old or too far ahead, counted for each of the three lengths.",
)  # fmt: skip
FEEDBACK_LABELS = TRENDS.gauge(
    "sentiment_feedback_labels",
    "Events that people labelled, by the model version that answered, its answer and their label.",
    "model_version", "sentiment", "label", unit="events",
)  # fmt: skip


def count(batch: "Batch") -> None:
    """Count a batch once it is committed, and not before."""
    for tally in batch.tallies.values():
        EVENTS.labels(tally.topic, str(tally.partition)).inc(tally.events)
        TOMBSTONES.inc(tally.tombstones)
    for (sentiment, version), results in batch.results.items():
        RESULTS.labels(sentiment, version).inc(results)
    for answers in batch.answers:
        for version, seconds in answers.seconds.items():
            SCORING_SECONDS.labels(version).inc(seconds)
            SCORED_TEXTS.labels(version).inc(answers.texts[version])
        versions = [model.version for model in answers.models[:2] if model]
        for agree, difference in answers.compared():
            SHADOW_TEXTS.labels(*versions, str(agree).lower()).inc()
            SHADOW_DIFFERENCE.labels(*versions).observe(difference)
    for code, events in batch.errors.items():
        DEAD_LETTERS.labels(code).inc(events)
    BATCH_EVENTS.observe(batch.events)
    for kind, events in batch.skews.items():
        CLOCK_SKEW_EVENTS.labels(kind).inc(events)
    EVENT_LATENCY.observe(times.age_ms(batch.oldest_ms, time.time() * 1000) / 1000)
