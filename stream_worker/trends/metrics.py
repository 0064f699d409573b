"""What the trends show at `/metrics`."""

from sentiment.metrics import EVERYWHERE, Metrics

TRENDS = Metrics("trends", EVERYWHERE)

TREND_TALLIES = TRENDS.counter(
    "sentiment_trend_tallies_total", "Tallies that are in the windows, or were before.",
)  # fmt: skip
TREND_MERGED = TRENDS.gauge(
    "sentiment_trend_merged_timestamp_seconds",
    "When the latest tally in the windows was written.", unit="seconds since 1970",
)  # fmt: skip
TREND_TALLIES_REFUSED = TRENDS.counter(
    "sentiment_trend_tallies_refused_total",
    "Records on the tallies' topic that are none.",
)  # fmt: skip
TREND_EVENTS_LEFT_OUT = TRENDS.counter(
    "sentiment_trend_events_left_out_total",
    "Events whose window is too old or too far ahead, counted for each of the three lengths.",
)  # fmt: skip
FEEDBACK_LABELS = TRENDS.gauge(
    "sentiment_feedback_labels",
    "Events that people labelled, by the model version that answered, its answer and their label.",
    "model_version", "sentiment", "label", unit="events",
)  # fmt: skip
