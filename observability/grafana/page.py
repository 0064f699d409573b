"""The page and its API: requests, feeds, and the events that they send."""

from observability.grafana.board import Board, Row
from observability.grafana.panel import Panel, per_second, quantile, ratio, total

REQUESTS = "app_request_count_total"
LATENCY = "app_request_latency_seconds"
# These wait for a result as long as they are asked to.
QUICK = LATENCY + '{endpoint!~"/api/results/.*"}'
SENT = "sentiment_web_events_total"
FAILED = ratio(per_second(REQUESTS + '{status=~"5.."}'), per_second(REQUESTS))

NOW = Row(
    "Now",
    (
        Panel(
            "Requests",
            "All of them, probes too.",
            {"requests": per_second(REQUESTS)}, "reqps", 4, "stat",
        ),
        Panel(
            "Errors",
            "Share of requests with a status of 500 or above; 503 means that Kafka is away.",
            {"errors": FAILED}, "percentunit", 4, "stat", (0.01, 0.05),
        ),
        Panel(
            "Latency, p99",
            "Feeds and requests that wait for a result are left out.",
            {"p99": quantile(0.99, QUICK)}, "s", 4, "stat", (0.5, 1),
        ),
        Panel(
            "Open feeds",
            "Browsers that show results as they come.",
            {"feeds": total("sentiment_web_feeds")}, "short", 4, "stat",
        ),
        Panel(
            "Events sent",
            "That the brokers acknowledged.",
            {"sent": per_second(SENT + '{outcome="delivered"}')}, "eps", 4, "stat",
        ),
        Panel(
            "Events not sent",
            "That they did not, in time.",
            {"failed": per_second(SENT + '{outcome="failed"}')}, "eps", 4, "stat", (0.1, 1),
        ),
    ),
)  # fmt: skip

ASKED = Row(
    "Requests",
    (
        Panel(
            "By endpoint",
            "`other` is what no route answers.",
            {"{{method}} {{endpoint}}": per_second(REQUESTS, "method", "endpoint")},
            "reqps", 12, stack=True,
        ),
        Panel(
            "By status",
            "400 to 499: the caller's own doing; 422 is an event that could not be classified."
            " From 500 on: ours, or Kafka's.",
            {"{{status}}": per_second(REQUESTS, "status")}, "reqps", 12, stack=True,
        ),
        Panel(
            "Latency",
            "Feeds and requests that wait for a result are left out. To send waits for brokers.",
            {
                "p50": quantile(0.5, QUICK),
                "p90": quantile(0.9, QUICK),
                "p99": quantile(0.99, QUICK),
            },
            "s", 12, limits=(0.5, 1),
        ),
        Panel(
            "Latency by endpoint, p99",
            "Requests for a result wait for it as long as they are asked to.",
            {"{{endpoint}}": quantile(0.99, LATENCY, "endpoint")}, "s", 12,
        ),
    ),
)  # fmt: skip

FLOW = Row(
    "Events and results",
    (
        Panel(
            "Events sent",
            "By outcome: acknowledged by the brokers, or not in time.",
            {"{{outcome}}": per_second(SENT, "outcome")},
            "eps", colors={"delivered": "green", "failed": "red"},
        ),
        Panel(
            "Results seen",
            "Every result on the topic passes each replica of the page.",
            {"{{prediction}}": per_second("model_prediction_count_total", "prediction")},
            "eps", stack=True, colors={"positive": "green", "negative": "red"},
        ),
        Panel(
            "Open feeds",
            "Each holds a thread of the server: WEB_THREADS bounds them.",
            {"{{instance}}": total("sentiment_web_feeds", "instance")}, stack=True,
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "page",
    "Sentiment: page",
    "The page and its API: requests, errors, latency, live feeds, and the events that they send.",
    (REQUESTS,),
    (NOW, ASKED, FLOW),
    {},
)
