"""What the routes answer that only look."""

from sentiment.asyncapi import RESULT_EXAMPLE
from sentiment.events import SentimentResult
from sentiment.settings import WebSettings
from web.answers import Status
from web.batches.batch import Progress
from web.batches.export import Row
from web.openapi.parts import TEXT, Json, answer, as_json, parameter, reference, refusals
from web.trends import Windows

BATCH = parameter("id", "path", {**TEXT, "pattern": "^[0-9a-f]{32}$"}, "The upload's id.")
GONE = "`no_batch`: never here, too long ago, or in another process: each replica has its own."


def result(settings: WebSettings) -> Json:
    """A result."""
    wait = {"type": "number", "minimum": 0}
    return {
        "operationId": "getResult",
        "summary": "What became of an event",
        "parameters": [
            parameter("id", "path", {**TEXT, "minLength": 1}, "The event's id."),
            parameter(
                "wait",
                "query",
                wait,
                f"Seconds to wait for it; cut to {settings.max_wait_s:g}. None: only look.",
            ),
        ],
        "responses": {
            "200": answer("The result.", as_json(SentimentResult, RESULT_EXAMPLE)),
            **refusals(
                s400="`invalid_wait`.",
                s404="`no_result`: it may still come, be too long ago, or never have been sent.",
                s422="The event is a dead letter; the code says why.",
                s503="`kafka_unavailable`: none is here, and none can come.",
            ),
        },
    }


def progress() -> Json:
    """An upload."""
    return {
        "operationId": "getUpload",
        "summary": "How far an upload has come",
        "parameters": [BATCH],
        "responses": {
            "200": answer("Its progress.", as_json(Progress)),
            **refusals(s404=GONE),
        },
    }


def download() -> Json:
    """An upload's results."""
    formats = {**TEXT, "enum": ["jsonl", "csv"], "default": "jsonl"}
    return {
        "operationId": "getUploadResults",
        "summary": "The results of an upload",
        "description": "In the order of its lines, with their texts, so far as they are there. Each"
        " line of JSON is a `Row`; the CSV has the same as columns, and an apostrophe before what a"
        " spreadsheet would take for a formula.",
        "parameters": [BATCH, parameter("format", "query", formats, "How they are written.")],
        "responses": {
            "200": answer(
                "The results.",
                {
                    "application/x-ndjson": {"schema": TEXT, "x-line": reference(Row)},
                    "text/csv": {"schema": TEXT},
                },
            ),
            **refusals(s400="`invalid_format`.", s404=GONE),
        },
    }


def trends() -> Json:
    """Trends."""
    window = {"type": "integer", "enum": [10, 60, 3600], "default": 10}
    seconds = {"type": "integer", "minimum": 0, "maximum": 9_999_999_999}
    return {
        "operationId": "getTrends",
        "summary": "Results by time",
        "description": "Windows of the results by their events' times, at most a second old.",
        "parameters": [
            parameter("window", "query", window, "Length of the windows, in seconds."),
            parameter("seconds", "query", seconds, "How far back; by default 60 windows."),
            parameter(
                "source",
                "query",
                TEXT,
                "Only this one; empty: events without one. None: all together.",
            ),
        ],
        "responses": {
            "200": answer("The windows, the oldest first.", as_json(Windows)),
            **refusals(
                s400="`invalid_parameter`.",
                s404="`trends_not_configured`: this server knows no trends.",
                s502="`trends_unavailable`, `trends_failed`.",
            ),
        },
    }


def stream() -> Json:
    """The feed."""
    return {
        "operationId": "followResults",
        "summary": "Results as they come",
        "description": "Server-sent events without an end: `result` with a `SentimentResult`,"
        " `status` with a `FeedStatus`. At most ten results a second; `skipped` counts the others.",
        "parameters": [
            parameter(
                "sentiment", "query", {**TEXT, "enum": ["", "positive", "negative"]}, "Only this."
            ),
            parameter("source", "query", TEXT, "Only this source; empty: all."),
        ],
        "responses": {
            "200": answer(
                "The feed.",
                {"text/event-stream": {"schema": {"$ref": "#/components/schemas/FeedEvent"}}},
            ),
            **refusals(
                s400="`invalid_sentiment`.", s503="`too_many_feeds`: as many as the server bears."
            ),
        },
    }


def status() -> Json:
    """The status."""
    return {
        "operationId": "getStatus",
        "summary": "How things are",
        "responses": {"200": answer("Whether Kafka answers, and counts.", as_json(Status))},
    }
