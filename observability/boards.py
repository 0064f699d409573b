"""What the dashboards show: each panel is one entry of its row, held against the metrics' table."""

import json

from observability.panels import (
    Board,
    Panel,
    age,
    by,
    increase,
    per_second,
    quantile,
    quantiles,
    ratio,
    render,
    stat,
    total,
)

VERSION = "version {{model_version}}"
MODELS = "max by (instance, model_name, model_version, scorer, role) (sentiment_model_info)"
SWAPPED = "changes(sentiment_model_loaded_timestamp_seconds[1m]) > 0"
TEXT_TIME = " / ".join(
    per_second(f"sentiment_{what}_total", "model_version")
    for what in ("scoring_seconds", "scored_texts")
)

# Throughput: events in, results out, what people come for.

EVENTS = "sentiment_events_total"
RESULTS = "sentiment_results_total"
LETTERS = "sentiment_dead_letters_total"
LATENCY = "sentiment_event_latency_seconds"
PHASES = "avg by (phase) (rate(sentiment_loop_seconds_total[$__rate_interval]))"
POSITIVE = ratio(per_second(RESULTS + '{sentiment="positive"}'), per_second(RESULTS))

THROUGHPUT = Board(
    "throughput",
    "Sentiment: throughput",
    "Events in, results out: how many, how fast, and what holds them up.",
    ("sentiment_assigned_partitions", EVENTS, "sentiment_trend_tallies_total"),
    {
        "Now": (
            stat("Events", "Read and committed, whatever became of them.", "events",
                per_second(EVENTS), "eps"),
            stat("Results", "Committed, and so to be read by everybody.", "results",
                per_second(RESULTS), "eps"),
            stat("Lag",
                "Events behind the ends of their partitions. It rests a little above zero where"
                " upstream writes in transactions, whose marks count.", "lag",
                total("sentiment_consumer_lag"), "short", (1000, 100_000)),
            stat("Latency, p99",
                "From an event's timestamp to the commit of its result; the oldest event of each"
                " batch. The objective is a second for 99 of 100.", "p99", quantile(0.99, LATENCY),
                "s", (0.5, 1)),
            stat("Positive", "Share of positive results.", "positive", POSITIVE, "percentunit"),
            stat("Dead letters", "Share of events that could not be classified.", "dead letters",
                ratio(per_second(LETTERS), per_second(EVENTS)), "percentunit", (0.01, 0.05)),
        ),
        "In and out": (
            Panel("Events, results, dead letters",
                "Results and dead letters add up to the events but for tombstones, which are"
                " skipped.",
                {"events": per_second(EVENTS), "results": per_second(RESULTS),
                 "dead letters": per_second(LETTERS)},
                "eps", 12, colors={"events": "blue", "results": "green", "dead letters": "red"}),
            Panel("Lag by partition",
                "One partition alone: its worker hangs, or a key has most of the events. All of"
                " them: more events than the workers classify.",
                by(total, "sentiment_consumer_lag", "topic", "partition"), "short", 12),
            Panel("Events by worker", "Even, as long as partitions are.",
                by(per_second, EVENTS, "instance"), "eps", 12, stack=True),
            Panel("Events by partition", "Uneven where a few keys have most of the events.",
                by(per_second, EVENTS, "topic", "partition"), "eps", 12, stack=True),
        ),
        "From event to result": (
            Panel("Latency",
                "From an event's timestamp to the commit of its result; the oldest event of each"
                " batch. A backlog shows here as its age.", quantiles(LATENCY, 50, 90, 99), "s", 9,
                limits=(0.5, 1)),
            Panel("Batches by latency", "How many batches took how long.",
                {"{{le}}": increase(f"{LATENCY}_bucket", "le")}, "s", 9, kind="heatmap"),
            Panel("Timestamps that are off",
                "Ahead of the worker's clock by more than a second, or more than a week old: the"
                " latencies of these events say nothing.",
                by(per_second, "sentiment_clock_skew_events_total", "kind"), "eps", 6),
        ),
        "Answers": (
            Panel("Share of positive",
                "A jump without a new model is news in the texts, or a source that has broken.",
                {"positive": POSITIVE}, "percentunit", most=1, colors={"positive": "green"}),
            Panel("Results by model",
                "By the version that answered. Two at a time: a swap, or a canary.",
                {VERSION: per_second(RESULTS, "model_version")}, "eps", stack=True),
            Panel("Models served",
                "By each worker, and by what: the compiled form, or scikit-learn.", {"": MODELS},
                kind="table"),
        ),
        "Dead letters": (
            Panel("By error code",
                "`sentiment dlq list` tells more, and `sentiment dlq redrive` sends mended ones"
                " back.", by(per_second, LETTERS, "code"), "eps", 12, stack=True),
            Panel("Share in the latest window",
                "Above WORKER_DEAD_LETTER_MAX_SHARE a worker stops.",
                {"{{instance}}": "max by (instance) (sentiment_dead_letter_share)"}, "percentunit",
                6, limits=(0.05, 0.5), most=1),
            Panel("Tombstones", "Records without a value, which are skipped.",
                {"tombstones": per_second("sentiment_tombstones_total")}, "eps", 6),
        ),
        "Transactions": (
            Panel("By outcome",
                "What was aborted is done again; nothing is lost. A restart of brokers aborts a"
                " few.", by(per_second, "sentiment_transactions_total", "outcome"), "ops",
                colors={"committed": "green", "aborted": "red"}),
            Panel("Events in one",
                "Grows with the backlog up to WORKER_MAX_BATCH, and shrinks to single events.",
                quantiles("sentiment_batch_events", 50, 99)),
            Panel("Producers replaced",
                "Since a connection broke, and what it carried may arrive late; the outcome of a"
                " commit was unknown; or the producer was unusable.",
                by(increase, "sentiment_transaction_resets_total", "instance", "reason")),
        ),
        "Where a worker's second goes": (
            Panel("Phases of the loop, mean over the workers",
                "Mostly `consume`: it waits for events. `wait_commit`: the brokers are the limit,"
                " and larger batches help. `commit` runs beside the loop, and with a backlog"
                " `score` does too, so that the sum may be above one.",
                {"{{phase}}": PHASES},
                "percentunit", 16, stack=True),
            Panel("Time of the model for a text",
                "By version. Above some tens of microseconds, scikit-learn serves.",
                {VERSION: TEXT_TIME}, "s"),
        ),
        "Workers": (
            Panel("Partitions by worker",
                "A worker without any is a spare: there are more workers than partitions.",
                by(total, "sentiment_assigned_partitions", "instance"), width=6, stack=True),
            Panel("Changes of the assignment",
                "Workers came or went. `lost`: the group took a worker for dead.",
                by(increase, "sentiment_rebalances_total", "kind"), width=6),
            Panel("Since the loop last turned",
                "Above WORKER_STUCK_TIMEOUT_S the worker's liveness fails.",
                {"{{instance}}": age("sentiment_last_progress_timestamp_seconds")}, "s", 6,
                limits=(60, 120)),
            Panel("Connections that brokers refused",
                "For their credentials or certificates; the log has the brokers' reason.",
                by(increase, "sentiment_broker_refusals_total", "instance", "reason"), width=6),
        ),
        "Trends": (
            Panel("Tallies in the windows",
                "What the trends took in of the workers' counts, and what was no tally.",
                {"tallies": per_second("sentiment_trend_tallies_total"),
                 "refused": per_second("sentiment_trend_tallies_refused_total")},
                "ops", 12, colors={"refused": "red"}),
            Panel("Age of the latest tally",
                "Grows while the trends are behind, and while there is nothing to count.",
                {"age": "time() - max(sentiment_trend_merged_timestamp_seconds)"}, "s", 6),
            Panel("Events without a window",
                "Too old or too far ahead for the windows, counted for each of the three lengths.",
                {"left out": per_second("sentiment_trend_events_left_out_total")}, "eps", 6),
        ),
    },
    {"model swapped": SWAPPED},
)  # fmt: skip

# The models: which are served, how right they are, and how a challenger does.

SHADOW = "sentiment_shadow_texts_total"
DIFFERENCE = "sentiment_shadow_difference"
SENTIMENTS = ("positive", "negative")
PAIR = ("champion_version", "challenger_version")
BOTH = per_second(SHADOW, *PAIR)
PAIR_LEGEND = "{{challenger_version}} beside {{champion_version}}"


def labelled(sentiment: str = ".*", label: str = ".*") -> str:
    """Events that people labelled, by model version: what was answered, and what is right.

    A second process of the trends counts the same labels again, hence the largest.
    """
    series = f'sentiment_feedback_labels{{sentiment=~"{sentiment}", label=~"{label}"}}'
    return f"sum by (model_version) (max by (model_version, sentiment, label) ({series}))"


def right(sentiment: str, label: str, whole: str) -> str:
    """Those of one kind, among others; both as `labelled` takes them."""
    return ratio(labelled(sentiment, label), whole)


def drift(figure: str, *, above_reference: bool = False) -> str:
    """The largest of the workers' figures by model version, or how far above the reference."""
    reference = f" - sentiment_drift_reference_{figure}" if above_reference else ""
    return f"max by (model_version) (sentiment_drift_{figure}{reference})"


MODEL = Board(
    "model",
    "Sentiment: model",
    "Which models are served, how right they are, and how a challenger does beside the champion.",
    ("sentiment_assigned_partitions", "sentiment_trend_tallies_total"),
    {
        "Served": (
            Panel("Models served",
                "By each worker: champion, and challenger while one is on trial; and by what each"
                " is scored: the compiled form, or scikit-learn for what can't be compiled.",
                {"": MODELS}, width=12, kind="table"),
            Panel("Results by model",
                "By the version that answered. Two at a time: a swap, or a canary.",
                {VERSION: per_second("sentiment_results_total", "model_version")}, "eps", 12,
                stack=True),
            Panel("Swaps",
                "Models taken over, and models refused by a check; then the one before goes on.",
                by(increase, "sentiment_model_swaps_total", "outcome"),
                colors={"swapped": "green", "refused": "red"}),
            Panel("Looks at the registry that failed",
                "By reason: it doesn't answer, or what it should have is missing. Workers go on"
                " with the model that they have, and no new champion reaches them.",
                by(increase, "sentiment_registry_errors_total", "instance", "reason")),
            Panel("Since the model was loaded",
                "By worker. One alone that is older than a swap has not followed.",
                {"{{instance}}": age("sentiment_model_loaded_timestamp_seconds")}, "s"),
        ),
        "By people's labels": (
            Panel("Accuracy",
                "Share of labelled events that were answered rightly, by model version. People"
                " label what annoys them: compare versions, and not with the evaluation.",
                {VERSION: " + ".join(right(same, same, labelled()) for same in SENTIMENTS)},
                "percentunit", 6, most=1),
            Panel("Precision", "Of those answered as positive, the share that is.",
                {VERSION: right("positive", "positive", labelled(sentiment="positive"))},
                "percentunit", 6, most=1),
            Panel("Recall", "Of those that are positive, the share that was answered so.",
                {VERSION: right("positive", "positive", labelled(label="positive"))}, "percentunit",
                6, most=1),
            Panel("Labels",
                "What the figures beside it rest on; of a hundred labels the accuracy is good to"
                " ten points.", {VERSION: labelled()}, width=6),
        ),
        "Drift: the worst of the workers, beside what the model was judged on": (
            Panel("Scores",
                "Population stability index against the model's reference: 0 is the same,"
                " ordinary streams of one kind are below 1.1, and above 1.5 there is an alert.",
                {VERSION: drift("score_psi")}, width=6),
            Panel("Unknown tokens",
                "Share of tokens that the model doesn't know, less that of its reference.",
                {VERSION: drift("unknown_token_share", above_reference=True)}, "percentunit", 6),
            Panel("Repeated text", "Share of the text that was there most often.",
                {VERSION: drift("repeated_text_share")}, "percentunit", 6, most=1),
            Panel("Positive", "Share of texts called positive, less that of the reference.",
                {VERSION: drift("positive_share", above_reference=True)}, "percentunit", 6),
        ),
        "A challenger in the shadow": (
            Panel("Agreement",
                "Share of texts that champion and challenger give the same sentiment.",
                {PAIR_LEGEND: ratio(per_second(SHADOW + '{agree="true"}', *PAIR), BOTH)},
                "percentunit", most=1),
            Panel("Difference of the scores",
                "How far apart the two probabilities of positive are.",
                {f"p50, {PAIR_LEGEND}": quantile(0.5, DIFFERENCE, *PAIR),
                 f"p99, {PAIR_LEGEND}": quantile(0.99, DIFFERENCE, *PAIR)},
                "percentunit", most=1),
            Panel("Texts scored by both", "MODEL_SHADOW_SHARE of the stream.", {PAIR_LEGEND: BOTH},
                "eps"),
        ),
        "What they cost": (
            Panel("Time for a text", "By model version.", {VERSION: TEXT_TIME}, "s", 12),
            Panel("Texts lower-cased by Python",
                "A letter's case hung on its context; each costs some microseconds.",
                {"texts": per_second("sentiment_slow_texts_total")}, "eps", 12),
        ),
    },
    {
        "model swapped": SWAPPED,
        "model refused": 'increase(sentiment_model_swaps_total{outcome="refused"}[1m]) > 0',
    },
)  # fmt: skip

# The page and its API: requests, feeds, and the events that they send.

REQUESTS = "app_request_count_total"
ANSWER_TIME = "app_request_latency_seconds"
# These wait for a result as long as they are asked to.
QUICK = ANSWER_TIME + '{endpoint!~"/api/results/.*"}'
SENT = "sentiment_web_events_total"
FAILED = ratio(per_second(REQUESTS + '{status=~"5.."}'), per_second(REQUESTS))

PAGE = Board(
    "page",
    "Sentiment: page",
    "The page and its API: requests, errors, latency, live feeds, and the events that they send.",
    (REQUESTS,),
    {
        "Now": (
            stat("Requests", "All of them, probes too.", "requests", per_second(REQUESTS), "reqps"),
            stat("Errors",
                "Share of requests with a status of 500 or above; 503 means that Kafka is away.",
                "errors", FAILED, "percentunit", (0.01, 0.05)),
            stat("Latency, p99", "Feeds and requests that wait for a result are left out.", "p99",
                quantile(0.99, QUICK), "s", (0.5, 1)),
            stat("Open feeds", "Browsers that show results as they come.", "feeds",
                total("sentiment_web_feeds"), "short"),
            stat("Events sent", "That the brokers acknowledged.", "sent",
                per_second(SENT + '{outcome="delivered"}'), "eps"),
            stat("Events not sent", "That they did not, in time.", "failed",
                per_second(SENT + '{outcome="failed"}'), "eps", (0.1, 1)),
        ),
        "Requests": (
            Panel("By endpoint", "`other` is what no route answers.",
                by(per_second, REQUESTS, "method", "endpoint"), "reqps", 12, stack=True),
            Panel("By status",
                "400 to 499: the caller's own doing; 422 is an event that could not be"
                " classified. From 500 on: ours, or Kafka's.", by(per_second, REQUESTS, "status"),
                "reqps", 12, stack=True),
            Panel("Latency",
                "Feeds and requests that wait for a result are left out. To send waits for"
                " brokers.", quantiles(QUICK, 50, 90, 99), "s", 12, limits=(0.5, 1)),
            Panel("Latency by endpoint, p99",
                "Requests for a result wait for it as long as they are asked to.",
                {"{{endpoint}}": quantile(0.99, ANSWER_TIME, "endpoint")}, "s", 12),
        ),
        "Events and results": (
            Panel("Events sent", "By outcome: acknowledged by the brokers, or not in time.",
                by(per_second, SENT, "outcome"), "eps",
                colors={"delivered": "green", "failed": "red"}),
            Panel("Results seen", "Every result on the topic passes each replica of the page.",
                by(per_second, "model_prediction_count_total", "prediction"), "eps", stack=True,
                colors={"positive": "green", "negative": "red"}),
            Panel("Open feeds", "Each holds a thread of the server: WEB_THREADS bounds them.",
                by(total, "sentiment_web_feeds", "instance"), stack=True),
        ),
    },
)  # fmt: skip


def files() -> dict[str, str]:
    """Each dashboard's file and what belongs into it."""
    boards = (THROUGHPUT, MODEL, PAGE)
    return {f"{board.name}.json": json.dumps(render(board), indent=2) + "\n" for board in boards}
