"""Events in, results out: what people come for."""

from observability.grafana.board import Board, Row
from observability.grafana.panel import Panel, per_second, quantile, ratio, total

EVENTS = "sentiment_events_total"
RESULTS = "sentiment_results_total"
LETTERS = "sentiment_dead_letters_total"
LATENCY = "sentiment_event_latency_seconds"
POSITIVE = ratio(per_second(RESULTS + '{sentiment="positive"}'), per_second(RESULTS))

NOW = Row(
    "Now",
    (
        Panel(
            "Events",
            "Read and committed, whatever became of them.",
            {"events": per_second(EVENTS)}, "eps", 4, "stat",
        ),
        Panel(
            "Results",
            "Committed, and so to be read by everybody.",
            {"results": per_second(RESULTS)}, "eps", 4, "stat",
        ),
        Panel(
            "Lag",
            "Events behind the ends of their partitions. It rests a little above zero where"
            " upstream writes in transactions, whose marks count.",
            {"lag": total("sentiment_consumer_lag")}, "short", 4, "stat", (1000, 100_000),
        ),
        Panel(
            "Latency, p99",
            "From an event's timestamp to the commit of its result; the oldest event of each batch."
            " The objective is a second for 99 of 100.",
            {"p99": quantile(0.99, LATENCY)}, "s", 4, "stat", (0.5, 1),
        ),
        Panel(
            "Positive",
            "Share of positive results.",
            {"positive": POSITIVE}, "percentunit", 4, "stat",
        ),
        Panel(
            "Dead letters",
            "Share of events that could not be classified.",
            {"dead letters": ratio(per_second(LETTERS), per_second(EVENTS))},
            "percentunit", 4, "stat", (0.01, 0.05),
        ),
    ),
)  # fmt: skip

IN_AND_OUT = Row(
    "In and out",
    (
        Panel(
            "Events, results, dead letters",
            "Results and dead letters add up to the events but for tombstones, which are skipped.",
            {
                "events": per_second(EVENTS),
                "results": per_second(RESULTS),
                "dead letters": per_second(LETTERS),
            },
            "eps", 12, colors={"events": "blue", "results": "green", "dead letters": "red"},
        ),
        Panel(
            "Lag by partition",
            "One partition alone: its worker hangs, or a key has most of the events. All of them:"
            " more events than the workers classify.",
            {"{{topic}} {{partition}}": total("sentiment_consumer_lag", "topic", "partition")},
            "short", 12,
        ),
        Panel(
            "Events by worker",
            "Even, as long as partitions are.",
            {"{{instance}}": per_second(EVENTS, "instance")}, "eps", 12, stack=True,
        ),
        Panel(
            "Events by partition",
            "Uneven where a few keys have most of the events.",
            {"{{topic}} {{partition}}": per_second(EVENTS, "topic", "partition")},
            "eps", 12, stack=True,
        ),
    ),
)  # fmt: skip

LATENCIES = Row(
    "From event to result",
    (
        Panel(
            "Latency",
            "From an event's timestamp to the commit of its result; the oldest event of each batch."
            " A backlog shows here as its age.",
            {
                "p50": quantile(0.5, LATENCY),
                "p90": quantile(0.9, LATENCY),
                "p99": quantile(0.99, LATENCY),
            },
            "s", 9, limits=(0.5, 1),
        ),
        Panel(
            "Batches by latency",
            "How many batches took how long.",
            {"{{le}}": f"sum by (le) (increase({LATENCY}_bucket[$__rate_interval]))"},
            "s", 9, "heatmap",
        ),
        Panel(
            "Timestamps that are off",
            "Ahead of the worker's clock by more than a second, or more than a week old: the"
            " latencies of these events say nothing.",
            {"{{kind}}": per_second("sentiment_clock_skew_events_total", "kind")}, "eps", 6,
        ),
    ),
)  # fmt: skip

ANSWERS = Row(
    "Answers",
    (
        Panel(
            "Share of positive",
            "A jump without a new model is news in the texts, or a source that has broken.",
            {"positive": POSITIVE}, "percentunit", most=1, colors={"positive": "green"},
        ),
        Panel(
            "Results by model",
            "By the version that answered. Two at a time: a swap, or a canary.",
            {"version {{model_version}}": per_second(RESULTS, "model_version")}, "eps", stack=True,
        ),
        Panel(
            "Models served",
            "By each worker, and by what: the compiled form, or scikit-learn.",
            {
                "": "max by (instance, model_name, model_version, scorer, role)"
                " (sentiment_model_info)"
            },
            kind="table",
        ),
    ),
)  # fmt: skip

DEAD_LETTERS = Row(
    "Dead letters",
    (
        Panel(
            "By error code",
            "`sentiment dlq list` tells more, and `sentiment dlq redrive` sends mended ones back.",
            {"{{code}}": per_second(LETTERS, "code")}, "eps", 12, stack=True,
        ),
        Panel(
            "Share in the latest window",
            "Above WORKER_DEAD_LETTER_MAX_SHARE a worker stops.",
            {"{{instance}}": "max by (instance) (sentiment_dead_letter_share)"},
            "percentunit", 6, limits=(0.05, 0.5), most=1,
        ),
        Panel(
            "Tombstones",
            "Records without a value, which are skipped.",
            {"tombstones": per_second("sentiment_tombstones_total")}, "eps", 6,
        ),
    ),
)  # fmt: skip

TRANSACTIONS = Row(
    "Transactions",
    (
        Panel(
            "By outcome",
            "What was aborted is done again; nothing is lost. A restart of brokers aborts a few.",
            {"{{outcome}}": per_second("sentiment_transactions_total", "outcome")},
            "ops", colors={"committed": "green", "aborted": "red"},
        ),
        Panel(
            "Events in one",
            "Grows with the backlog up to WORKER_MAX_BATCH, and shrinks to single events.",
            {
                "p50": quantile(0.5, "sentiment_batch_events"),
                "p99": quantile(0.99, "sentiment_batch_events"),
            },
        ),
        Panel(
            "Producers replaced",
            "Since a connection broke, and what it carried may arrive late; the outcome of a commit"
            " was unknown; or the producer was unusable.",
            {
                "{{instance}} {{reason}}": "sum by (instance, reason)"
                " (increase(sentiment_transaction_resets_total[$__rate_interval]))"
            },
        ),
    ),
)  # fmt: skip

SECOND = Row(
    "Where a worker's second goes",
    (
        Panel(
            "Phases of the loop, mean over the workers",
            "Mostly `consume`: it waits for events. `wait_commit`: the brokers are the limit, and"
            " larger batches help. `commit` runs beside the loop, and with a backlog `score`"
            " does too, so that the sum may be above one.",
            {
                "{{phase}}": "avg by (phase)"
                " (rate(sentiment_loop_seconds_total[$__rate_interval]))"
            },
            "percentunit", 16, stack=True,
        ),
        Panel(
            "Time of the model for a text",
            "By version. Above some tens of microseconds, scikit-learn serves.",
            {
                "version {{model_version}}": per_second(
                    "sentiment_scoring_seconds_total", "model_version"
                )
                + " / "
                + per_second("sentiment_scored_texts_total", "model_version")
            },
            "s",
        ),
    ),
)  # fmt: skip

WORKERS = Row(
    "Workers",
    (
        Panel(
            "Partitions by worker",
            "A worker without any is a spare: there are more workers than partitions.",
            {"{{instance}}": total("sentiment_assigned_partitions", "instance")},
            width=6, stack=True,
        ),
        Panel(
            "Changes of the assignment",
            "Workers came or went. `lost`: the group took a worker for dead.",
            {
                "{{kind}}": "sum by (kind) (increase(sentiment_rebalances_total[$__rate_interval]))"
            },
            width=6,
        ),
        Panel(
            "Since the loop last turned",
            "Above WORKER_STUCK_TIMEOUT_S the worker's liveness fails.",
            {
                "{{instance}}": "time() - max by (instance)"
                " (sentiment_last_progress_timestamp_seconds)"
            },
            "s", 6, limits=(60, 120),
        ),
        Panel(
            "Connections that brokers refused",
            "For their credentials or certificates; the log has the brokers' reason.",
            {
                "{{instance}} {{reason}}": "sum by (instance, reason)"
                " (increase(sentiment_broker_refusals_total[$__rate_interval]))"
            },
            width=6,
        ),
    ),
)  # fmt: skip

TRENDS = Row(
    "Trends",
    (
        Panel(
            "Tallies in the windows",
            "What the trends took in of the workers' counts, and what was no tally.",
            {
                "tallies": per_second("sentiment_trend_tallies_total"),
                "refused": per_second("sentiment_trend_tallies_refused_total"),
            },
            "ops", 12, colors={"refused": "red"},
        ),
        Panel(
            "Age of the latest tally",
            "Grows while the trends are behind, and while there is nothing to count.",
            {"age": "time() - max(sentiment_trend_merged_timestamp_seconds)"}, "s", 6,
        ),
        Panel(
            "Events without a window",
            "Too old or too far ahead for the windows, counted for each of the three lengths.",
            {"left out": per_second("sentiment_trend_events_left_out_total")}, "eps", 6,
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "throughput",
    "Sentiment: throughput",
    "Events in, results out: how many, how fast, and what holds them up.",
    ("sentiment_assigned_partitions", EVENTS, "sentiment_trend_tallies_total"),
    (NOW, IN_AND_OUT, LATENCIES, ANSWERS, DEAD_LETTERS, TRANSACTIONS, SECOND, WORKERS, TRENDS),
    {"model swapped": "changes(sentiment_model_loaded_timestamp_seconds[1m]) > 0"},
)
