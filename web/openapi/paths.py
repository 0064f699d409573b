"""Every route, by its path."""

from sentiment.wire import EVENT_EXAMPLE, RESULT_EXAMPLE, SentimentResult
from web.answers import FeedbackTaken, Sent, Status
from web.batches.batch import Progress
from web.batches.export import Row
from web.feedback import Opinion
from web.openapi.schemas import (
    TEXT,
    UPLOAD,
    Json,
    answer,
    as_json,
    body,
    link,
    parameter,
    reference,
    refusals,
)
from web.settings import WebSettings
from web.trends import Windows


def paths(settings: WebSettings) -> Json:
    """Every route, by its path."""
    security: list[Json] = [{"key": []}, {"bearer": []}]
    if not settings.api_keys.get_secret_value():
        # Whoever has no key may send too.
        security.append({})
    found = {
        "/api/events": {"post": send()},
        "/api/results/{id}": {"get": result(settings)},
        "/api/feedback": {"post": feedback()},
        "/api/batches": {"post": upload(settings)},
        "/api/batches/{id}": {"get": progress()},
        "/api/batches/{id}/results": {"get": download()},
        "/api/trends": {"get": trends()},
        "/api/stream": {"get": stream()},
        "/api/status": {"get": status()},
    }
    for operations in found.values():
        for method, operation in operations.items():
            if method == "post":
                operation["security"] = security
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return found


# What the routes answer that only look.


BATCH = parameter("id", "path", {**TEXT, "pattern": "^[0-9a-f]{32}$"}, "The upload's id.")
GONE = "`no_batch`: never here, too long ago, or in another process: each replica has its own."


def result(settings: WebSettings) -> Json:
    """A result."""
    wait = {"type": "number", "minimum": 0}
    place = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    return {
        "operationId": "getResult",
        "summary": "What became of an event",
        "description": "Of the last event with the id, whoever sent it, or of the one in the place"
        " that the POST answered. An explanation is there for its sender alone.",
        "parameters": [
            parameter("id", "path", {**TEXT, "minLength": 1}, "The event's id."),
            parameter(
                "wait",
                "query",
                wait,
                f"Seconds to wait for it; cut to {settings.max_wait_s:g}. None: only look.",
            ),
            parameter("partition", "query", place, "With `offset`: of this event alone."),
            parameter("offset", "query", place, "Where it stands in its partition."),
            parameter("token", "query", TEXT, "What the POST answered; shows the explanation."),
        ],
        "responses": {
            "200": answer("The result.", as_json(SentimentResult, RESULT_EXAMPLE)),
            **refusals(
                s400="`invalid_wait`, `invalid_place`.",
                s404="`no_result`: it may still come, be too long ago, or never have been sent.",
                s422="The event is a dead letter; the code says why.",
                s429="`too_many_waits`: as many feeds and waits as one caller may have.",
                s503="`kafka_unavailable`: none is here, and none can come; `too_many_waits`, of"
                " all callers; `busy`.",
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
        "description": "Server-sent events without an end: `result` with a `SentimentResult`"
        " that has no explanation,"
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
                s400="`invalid_sentiment`.",
                s429="`too_many_feeds`: as many feeds and waits as one caller may have.",
                s503="`too_many_feeds`: as many as the server bears; `busy`.",
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


# What the routes take that send.


LOCATION: Json = {
    "Location": {"required": True, "schema": TEXT, "description": "Where its progress is."}
}
SENDING = {
    "s401": "`key_needed`, `wrong_key`: the server has API keys, and none of them came with it.",
    "s429": "`too_many_requests`: more than `WEB_RATE_LIMIT`.",
    "s503": "`kafka_unavailable`, `not_delivered`: Kafka is away, or did not acknowledge.",
}


SENT_EXAMPLE: Json = {
    "events": [{"id": EVENT_EXAMPLE["id"], "input": RESULT_EXAMPLE["input"]}],
    "token": None,
}


def send() -> Json:
    """Events."""
    return {
        "operationId": "sendEvents",
        "summary": "Send texts to classify",
        "description": "Puts one or many events on the topic, and answers once the brokers have"
        " all of them. A `traceparent` header goes on to the results' records.",
        "requestBody": body(
            {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Events"},
                    "example": EVENT_EXAMPLE,
                }
            }
        ),
        "responses": {
            "202": {
                **answer(
                    "The brokers have them.",
                    as_json(Sent, SENT_EXAMPLE),
                ),
                "links": {
                    "result": link(
                        "getResult",
                        "$response.body#/events/0/id",
                        "What it became.",
                        partition="$response.body#/events/0/input/partition",
                        offset="$response.body#/events/0/input/offset",
                    ),
                },
            },
            **refusals(
                s400="Which event is wrong and why, by the codes of dead letters; `no_events`.",
                s413="`too_large`, `too_many_events`, `request_entity_too_large`.",
                s415="`not_json_type`: the body is not sent as JSON.",
                **SENDING,
            ),
        },
    }


def feedback() -> Json:
    """Feedback."""
    example = {"id": EVENT_EXAMPLE["id"], "verdict": "right"}
    return {
        "operationId": "giveFeedback",
        "summary": "A person's word on a result",
        "description": "A label, or whether the result is right. What the result said is looked up"
        " among the latest results; where it is not known, the caller says it.",
        "requestBody": body(as_json(Opinion, example)),
        "responses": {
            "202": answer("The brokers have it.", as_json(FeedbackTaken)),
            **refusals(
                s400="`not_json`, `invalid_field`, `label_or_verdict`.",
                s404="`no_result`: it is not known here, and the request has no `sentiment`.",
                s413="`too_large`, `request_entity_too_large`.",
                s415="`not_json_type`: the body is not sent as JSON.",
                s422="`unknown_model`: no result of this model was seen lately.",
                **SENDING,
            ),
        },
    }


def upload(settings: WebSettings) -> Json:
    """Uploads."""
    lines = {**TEXT, "minLength": 1}
    limits = f"{settings.max_upload_lines:,} lines and {settings.max_upload_bytes:,} bytes"
    return {
        "operationId": "upload",
        "summary": "Send many lines",
        "description": "A table with a column `text` (or only one column), a text a line, or JSON"
        f" Lines of events, each also compressed by gzip; at most {limits}. The events are sent in"
        " the background, under ids of their own, from which nobody can tell the upload's.",
        "requestBody": body(
            {
                "text/csv": {"schema": lines, "example": "text\nGreat.\n"},
                "text/tab-separated-values": {"schema": lines, "example": "text\nGreat.\n"},
                "text/plain": {"schema": lines, "example": "Great.\nAwful.\n"},
                "application/x-ndjson": {"schema": lines, "example": '{"text": "Great."}\n'},
                "application/jsonl": {"schema": lines, "example": '{"text": "Great."}\n'},
                "multipart/form-data": {"schema": UPLOAD},
            }
        ),
        "responses": {
            "202": {
                **answer("It is taken in.", as_json(Progress), LOCATION),
                "links": {
                    "progress": link("getUpload", "$response.body#/id", "How far it has come."),
                    "results": link("getUploadResults", "$response.body#/id", "Its results."),
                },
            },
            **refusals(
                s403="`other_origin`: another site's page may not upload.",
                s413="`too_many_lines`, `form_too_large`, `request_entity_too_large`.",
                s415="`not_a_table`: neither the type nor the file's name is a known one.",
                s422="`no_text_column`, `broken_table`, `no_lines`, `no_file`.",
                **{**SENDING, "s503": "`kafka_unavailable`; `too_many_batches` are waited for."},
            ),
        },
    }
