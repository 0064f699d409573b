"""What the page shows at `/metrics`."""

from sentiment.metrics import EVERYWHERE, Metrics

WEB = Metrics("web", EVERYWHERE)

# The next three have the names under which operators of the earlier system know them.
REQUESTS = WEB.counter(
    "app_request_count_total", "Requests by method, endpoint and status.",
    "method", "endpoint", "status",
)  # fmt: skip
REQUEST_LATENCY = WEB.histogram(
    "app_request_latency_seconds", "Time to answer a request; feeds are left out.", "endpoint"
)
PREDICTIONS = WEB.counter(
    "model_prediction_count_total", "Results that the page's reader saw, by answer.", "prediction"
)
FEEDS = WEB.gauge("sentiment_web_feeds", "Open live feeds.", unit="feeds")
WEB_EVENTS = WEB.counter(
    "sentiment_web_events_total", "Events sent by the page, by outcome: delivered, failed.",
    "outcome",
    values=("delivered", "failed"),
)  # fmt: skip
