"""The models: which are served, how right they are, and how a challenger does."""

from observability.grafana.board import Board, Row
from observability.grafana.panel import Panel, per_second, quantile, ratio, worst

SHADOW = "sentiment_shadow_texts_total"
DIFFERENCE = "sentiment_shadow_difference"
PAIR = ("champion_version", "challenger_version")
VERSION = "version {{model_version}}"
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


SERVED = Row(
    "Served",
    (
        Panel(
            "Models served",
            "By each worker: champion, and challenger while one is on trial; and by what each is"
            " scored: the compiled form, or scikit-learn for what can't be compiled.",
            {
                "": "max by (instance, model_name, model_version, scorer, role)"
                " (sentiment_model_info)"
            },
            width=12, kind="table",
        ),
        Panel(
            "Results by model",
            "By the version that answered. Two at a time: a swap, or a canary.",
            {
                VERSION: per_second("sentiment_results_total", "model_version")
            },
            "eps", 12, stack=True,
        ),
        Panel(
            "Swaps",
            "Models taken over, and models refused by a check; then the one before goes on.",
            {
                "{{outcome}}": "sum by (outcome)"
                " (increase(sentiment_model_swaps_total[$__rate_interval]))"
            },
            colors={"swapped": "green", "refused": "red"},
        ),
        Panel(
            "Looks at the registry that failed",
            "By reason: it doesn't answer, or what it should have is missing. Workers go on with"
            " the model that they have, and no new champion reaches them.",
            {
                "{{instance}} {{reason}}": "sum by (instance, reason)"
                " (increase(sentiment_registry_errors_total[$__rate_interval]))"
            },
        ),
        Panel(
            "Since the model was loaded",
            "By worker. One alone that is older than a swap has not followed.",
            {
                "{{instance}}": "time() - max by (instance)"
                " (sentiment_model_loaded_timestamp_seconds)"
            },
            "s",
        ),
    ),
)  # fmt: skip

LIVE = Row(
    "By people's labels",
    (
        Panel(
            "Accuracy",
            "Share of labelled events that were answered rightly, by model version. People label"
            " what annoys them: compare versions, and not with the evaluation.",
            {
                VERSION: right("positive", "positive", labelled())
                + " + "
                + right("negative", "negative", labelled())
            },
            "percentunit", 6, most=1,
        ),
        Panel(
            "Precision",
            "Of those answered as positive, the share that is.",
            {
                VERSION: right(
                    "positive", "positive", labelled(sentiment="positive")
                )
            },
            "percentunit", 6, most=1,
        ),
        Panel(
            "Recall",
            "Of those that are positive, the share that was answered so.",
            {
                VERSION: right(
                    "positive", "positive", labelled(label="positive")
                )
            },
            "percentunit", 6, most=1,
        ),
        Panel(
            "Labels",
            "What the figures beside it rest on; of a hundred labels the accuracy is good to ten"
            " points.",
            {VERSION: labelled()}, width=6,
        ),
    ),
)  # fmt: skip

TRIAL = Row(
    "A challenger in the shadow",
    (
        Panel(
            "Agreement",
            "Share of texts that champion and challenger give the same sentiment.",
            {
                PAIR_LEGEND: ratio(
                    per_second(SHADOW + '{agree="true"}', *PAIR), per_second(SHADOW, *PAIR)
                )
            },
            "percentunit", most=1,
        ),
        Panel(
            "Difference of the scores",
            "How far apart the two probabilities of positive are.",
            {
                f"p50, {PAIR_LEGEND}": quantile(0.5, DIFFERENCE, *PAIR),
                f"p99, {PAIR_LEGEND}": quantile(0.99, DIFFERENCE, *PAIR),
            },
            "percentunit", most=1,
        ),
        Panel(
            "Texts scored by both",
            "MODEL_SHADOW_SHARE of the stream.",
            {PAIR_LEGEND: per_second(SHADOW, *PAIR)}, "eps",
        ),
    ),
)  # fmt: skip

COST = Row(
    "What they cost",
    (
        Panel(
            "Time for a text",
            "By model version.",
            {
                VERSION: per_second(
                    "sentiment_scoring_seconds_total", "model_version"
                )
                + " / "
                + per_second("sentiment_scored_texts_total", "model_version")
            },
            "s", 12,
        ),
        Panel(
            "Texts lower-cased by Python",
            "A letter's case hung on its context; each costs some microseconds.",
            {"texts": per_second("sentiment_slow_texts_total")}, "eps", 12,
        ),
    ),
)  # fmt: skip

DRIFT = Row(
    "Drift: the worst of the workers, beside what the model was judged on",
    (
        Panel(
            "Scores",
            "Population stability index against the model's reference: 0 is the same, ordinary"
            " streams of one kind are below 1.1, and above 1.5 there is an alert.",
            {VERSION: worst("sentiment_drift_score_psi")}, width=6,
        ),
        Panel(
            "Unknown tokens",
            "Share of tokens that the model doesn't know, less that of its reference.",
            {
                VERSION: worst(
                    "sentiment_drift_unknown_token_share",
                    "sentiment_drift_reference_unknown_token_share",
                )
            },
            "percentunit", 6,
        ),
        Panel(
            "Repeated text",
            "Share of the text that was there most often.",
            {VERSION: worst("sentiment_drift_repeated_text_share")}, "percentunit", 6, most=1,
        ),
        Panel(
            "Positive",
            "Share of texts called positive, less that of the reference.",
            {
                VERSION: worst(
                    "sentiment_drift_positive_share", "sentiment_drift_reference_positive_share"
                )
            },
            "percentunit", 6,
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "model",
    "Sentiment: model",
    "Which models are served, how right they are, and how a challenger does beside the champion.",
    ("sentiment_assigned_partitions", "sentiment_trend_tallies_total"),
    (SERVED, LIVE, DRIFT, TRIAL, COST),
    {
        "model swapped": "changes(sentiment_model_loaded_timestamp_seconds[1m]) > 0",
        "model refused": 'increase(sentiment_model_swaps_total{outcome="refused"}[1m]) > 0',
    },
)
