"""The API as an OpenAPI document, made of the types that the code itself reads and answers with."""

from functools import lru_cache
from typing import Any

import msgspec
from flask import Blueprint, Response, render_template

from sentiment.wire import EVENT_EXAMPLE, RESULT_EXAMPLE, SentimentResult, TextEvent
from web import services
from web.answers import FeedbackTaken, FeedStatus, Refusal, Sent, Status, respond
from web.api import Opinion
from web.settings import WebSettings
from web.trends import Windows
from web.uploads import Progress, Row

Json = dict[str, Any]

# The version of the API, not of the programs: the first number grows when a caller would break.
API_VERSION = "1.0.0"
TYPES = (
    TextEvent,
    SentimentResult,
    Sent,
    Opinion,
    FeedbackTaken,
    Progress,
    Row,
    Windows,
    Status,
    FeedStatus,
    Refusal,
)
TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer", "minimum": 0}


def _header(meaning: str, schema: Json = TEXT) -> Json:
    return {"required": True, "schema": schema, "description": meaning}


REQUEST_ID: Json = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
RETRY: Json = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
# Headers of the refusals that have some of their own.
ALSO = {401: {"WWW-Authenticate": _header("`Bearer`.")}, 429: RETRY, 502: RETRY, 503: RETRY}
SENDING = {
    401: "`key_needed`, `wrong_key`: the server has API keys, and none of them came with it.",
    429: "`too_many_requests`: more than `WEB_RATE_LIMIT`.",
    503: "`kafka_unavailable`, `not_delivered`: Kafka is away, or did not acknowledge.",
}
NO_JSON = "`not_json_type`: the body is not sent as JSON."
NO_BATCH = "`no_batch`: never here, too long ago, or in another process: each replica has its own."
SENT_EXAMPLE: Json = {
    "events": [{"id": EVENT_EXAMPLE["id"], "input": RESULT_EXAMPLE["input"]}],
    "token": None,
}

openapi = Blueprint("openapi", __name__, url_prefix="/api")


@openapi.get("/openapi.json")
def for_programs() -> Response:
    """The OpenAPI document, with this server's limits."""
    return respond(document(services.current().web))


@openapi.get("/docs")
def for_people() -> str:
    """The same as a page, made here: no script, and nothing from elsewhere."""
    return render_template("docs.html", api=document(services.current().web))


# Building it takes 20 ms of the processor, which anybody may ask for.
@lru_cache(maxsize=1)
def document(settings: WebSettings) -> Json:
    """The document (OpenAPI 3.1), with the limits of these settings."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Streaming sentiment classification",
            "version": API_VERSION,
            "description": "Texts in, sentiments out, through Apache Kafka. Unknown members and"
            " parameters are no error: ignore those that you don't know.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": _paths(settings),
        "components": {
            "schemas": _schemas(settings.max_batch),
            "headers": {
                "RequestId": _header(
                    "The request's own if it came with a well-formed one; in the log lines of the"
                    " request too."
                ),
                "RetryAfter": _header("Seconds after which to try again.", NUMBER),
            },
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _paths(settings: WebSettings) -> Json:
    counts = "Whether Kafka answers, and counts."
    found = {
        "/api/events": {"post": _send()},
        "/api/results/{id}": {"get": _result(settings)},
        "/api/feedback": {"post": _feedback()},
        "/api/batches": {"post": _upload(settings)},
        **_of_an_upload(),
        "/api/trends": {"get": _trends()},
        "/api/stream": {"get": _stream()},
        "/api/status": {
            "get": _operation(
                "getStatus", "How things are", "", [], {200: _answer(counts, _json(Status))}
            )
        },
    }
    security: list[Json] = [{"key": []}, {"bearer": []}]
    if not settings.api_keys.get_secret_value():
        # Whoever has no key may send too.
        security.append({})
    for operations in found.values():
        if "post" in operations:
            operations["post"]["security"] = security
    return found


def _send() -> Json:
    event = {"schema": {"$ref": "#/components/schemas/Events"}, "example": EVENT_EXAMPLE}
    first = "$response.body#/events/0/"
    place = {name: f"{first}input/{name}" for name in ("partition", "offset")}
    return _operation(
        "sendEvents",
        "Send texts to classify",
        "Puts one or many events on the topic, and answers once the brokers have all of them. A"
        " `traceparent` header goes on to the results' records.",
        _body({"application/json": event}),
        {
            202: _answer(
                "The brokers have them.",
                _json(Sent, SENT_EXAMPLE),
                links={"result": _link("getResult", f"{first}id", "What it became.", **place)},
            ),
            400: "Which event is wrong and why, by the codes of dead letters; `no_events`.",
            413: "`too_large`, `too_many_events`, `request_entity_too_large`.",
            415: NO_JSON,
            **SENDING,
        },
    )


def _result(settings: WebSettings) -> Json:
    wait = {"type": "number", "minimum": 0}
    place = {**NUMBER, "maximum": 2**63 - 1}
    longest = f"Seconds to wait for it; cut to {settings.max_wait_s:g}. None: only look."
    return _operation(
        "getResult",
        "What became of an event",
        "Of the last event with the id, whoever sent it, or of the one in the place that the POST"
        " answered. An explanation is there for its sender alone.",
        [
            _parameter("id", {**TEXT, "minLength": 1}, "The event's id.", place="path"),
            _parameter("wait", wait, longest),
            _parameter("partition", place, "With `offset`: of this event alone."),
            _parameter("offset", place, "Where it stands in its partition."),
            _parameter("token", TEXT, "What the POST answered; shows the explanation."),
        ],
        {
            200: _answer("The result.", _json(SentimentResult, RESULT_EXAMPLE)),
            400: "`invalid_wait`, `invalid_place`.",
            404: "`no_result`: it may still come, be too long ago, or never have been sent.",
            422: "The event is a dead letter; the code says why.",
            429: "`too_many_waits`: as many feeds and waits as one caller may have.",
            503: "`kafka_unavailable`: none is here, and none can come; `too_many_waits`, of all"
            " callers; `busy`.",
        },
    )


def _feedback() -> Json:
    return _operation(
        "giveFeedback",
        "A person's word on a result",
        "A label, or whether the result is right. What the result said is looked up among the"
        " latest results; where it is not known, the caller says it.",
        _body(_json(Opinion, {"id": EVENT_EXAMPLE["id"], "verdict": "right"})),
        {
            202: _answer("The brokers have it.", _json(FeedbackTaken)),
            400: "`not_json`, `invalid_field`, `label_or_verdict`.",
            404: "`no_result`: it is not known here, and the request has no `sentiment`.",
            413: "`too_large`, `request_entity_too_large`.",
            415: NO_JSON,
            422: "`unknown_model`: no result of this model was seen lately.",
            **SENDING,
        },
    )


def _upload(settings: WebSettings) -> Json:
    examples = {
        "text/csv": "text\nGreat.\n",
        "text/tab-separated-values": "text\nGreat.\n",
        "text/plain": "Great.\nAwful.\n",
        "application/x-ndjson": '{"text": "Great."}\n',
        "application/jsonl": '{"text": "Great."}\n',
    }
    lines = {**TEXT, "minLength": 1}
    body: Json = {kind: {"schema": lines, "example": one} for kind, one in examples.items()}
    file = {
        **TEXT,
        "format": "binary",
        "description": "Named `….csv`, `….tsv`, `….txt`, `….jsonl` or `….ndjson`, each of them"
        " also with `.gz`.",
    }
    form = {
        "type": "object",
        "description": "A form with one file, whose format is told by the end of its name.",
        "properties": {"file": file},
        "required": ["file"],
    }
    name = "$response.body#/id"
    return _operation(
        "upload",
        "Send many lines",
        "A table with a column `text` (or only one column), a text a line, or JSON Lines of events,"
        f" each also compressed by gzip; at most {settings.max_upload_lines:,} lines and"
        f" {settings.max_upload_bytes:,} bytes. The events are sent in the background, under ids of"
        " their own, from which nobody can tell the upload's.",
        _body({**body, "multipart/form-data": {"schema": form}}),
        {
            202: _answer(
                "It is taken in.",
                _json(Progress),
                headers={"Location": _header("Where its progress is.")},
                links={
                    "progress": _link("getUpload", name, "How far it has come."),
                    "results": _link("getUploadResults", name, "Its results."),
                },
            ),
            403: "`other_origin`: another site's page may not upload.",
            413: "`too_many_lines`, `form_too_large`, `request_entity_too_large`.",
            415: "`not_a_table`: neither the type nor the file's name is a known one.",
            422: "`no_text_column`, `broken_table`, `no_lines`, `no_file`.",
            **SENDING,
            503: "`kafka_unavailable`; `too_many_batches` are waited for.",
        },
    )


def _of_an_upload() -> Json:
    pattern = {**TEXT, "pattern": "^[0-9a-f]{32}$"}
    batch = _parameter("id", pattern, "The upload's id.", place="path")
    formats = {**TEXT, "enum": ["jsonl", "csv"], "default": "jsonl"}
    content = {
        "application/x-ndjson": {"schema": TEXT, "x-line": _reference(Row)},
        "text/csv": {"schema": TEXT},
    }
    told: dict[int, Json | str] = {200: _answer("Its progress.", _json(Progress)), 404: NO_BATCH}
    progress = _operation("getUpload", "How far an upload has come", "", [batch], told)
    results = _operation(
        "getUploadResults",
        "The results of an upload",
        "In the order of its lines, with their texts, so far as they are there. Each line of JSON"
        " is a `Row`; the CSV has the same as columns, and an apostrophe before what a spreadsheet"
        " would take for a formula.",
        [batch, _parameter("format", formats, "How they are written.")],
        {200: _answer("The results.", content), 400: "`invalid_format`.", 404: NO_BATCH},
    )
    return {
        "/api/batches/{id}": {"get": progress},
        "/api/batches/{id}/results": {"get": results},
    }


def _trends() -> Json:
    window = {"type": "integer", "enum": [10, 60, 3600], "default": 10}
    seconds = {**NUMBER, "maximum": 9_999_999_999}
    source = "Only this one; empty: events without one. None: all together."
    return _operation(
        "getTrends",
        "Results by time",
        "Windows of the results by their events' times, at most a second old.",
        [
            _parameter("window", window, "Length of the windows, in seconds."),
            _parameter("seconds", seconds, "How far back; by default 60 windows."),
            _parameter("source", TEXT, source),
        ],
        {
            200: _answer("The windows, the oldest first.", _json(Windows)),
            400: "`invalid_parameter`.",
            404: "`trends_not_configured`: this server knows no trends.",
            502: "`trends_unavailable`, `trends_failed`.",
        },
    )


def _stream() -> Json:
    feed = {"schema": {"$ref": "#/components/schemas/FeedEvent"}}
    sentiments = {**TEXT, "enum": ["", "positive", "negative"]}
    return _operation(
        "followResults",
        "Results as they come",
        "Server-sent events without an end: `result` with a `SentimentResult` that has no"
        " explanation, `status` with a `FeedStatus`. At most ten results a second; `skipped` counts"
        " the others.",
        [
            _parameter("sentiment", sentiments, "Only this."),
            _parameter("source", TEXT, "Only this source; empty: all."),
        ],
        {
            200: _answer("The feed.", {"text/event-stream": feed}),
            400: "`invalid_sentiment`.",
            429: "`too_many_feeds`: as many feeds and waits as one caller may have.",
            503: "`too_many_feeds`: as many as the server bears; `busy`.",
        },
    )


def _operation(
    name: str,
    summary: str,
    description: str,
    takes: Json | list[Json],
    answers: dict[int, Json | str],
) -> Json:
    """What a route takes (a body, or parameters) and answers; a sentence alone is a refusal."""
    responses = {
        f"{status}": answer
        if isinstance(answer, dict)
        else _answer(answer, _json(Refusal), headers=ALSO.get(status, {}))
        for status, answer in sorted(answers.items())
    }
    found: Json = {"operationId": name, "summary": summary, "description": description}
    found |= {"parameters": takes} if isinstance(takes, list) else takes
    return {key: value for key, value in {**found, "responses": responses}.items() if value}


def _body(content: Json) -> Json:
    return {"requestBody": {"required": True, "content": content}}


def _answer(meaning: str, content: Json, *, headers: Json | None = None, **more: Json) -> Json:
    headers = {**REQUEST_ID, **(headers or {})}
    return {"description": meaning, "headers": headers, "content": content, **more}


def _link(operation: str, value: str, meaning: str, **more: str) -> Json:
    """Where to go on with what an answer has: `value` is the `id` of another operation."""
    return {"operationId": operation, "parameters": {"id": value, **more}, "description": meaning}


def _parameter(name: str, schema: Json, meaning: str, *, place: str = "query") -> Json:
    return {"name": name, "in": place, **_header(meaning, schema), "required": place == "path"}


def _json(kind: type, example: object = None) -> Json:
    also = {} if example is None else {"example": example}
    return {"application/json": {"schema": _reference(kind), **also}}


def _reference(kind: type) -> Json:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _schemas(max_events: int) -> Json:
    """Every schema by its name: those of the types, and what no type can say."""
    _, found = msgspec.json.schema_components(TYPES, ref_template="#/components/schemas/{name}")
    # A rule that is applied after decoding: white space alone is no text.
    found["TextEvent"]["properties"]["text"] |= {"minLength": 1, "pattern": r"\S"}
    found["Opinion"]["oneOf"] = [{"required": ["label"]}, {"required": ["verdict"]}]
    data = {
        **TEXT,
        "contentMediaType": "application/json",
        "contentSchema": {"oneOf": [_reference(SentimentResult), _reference(FeedStatus)]},
        "description": "JSON: a `SentimentResult` or a `FeedStatus`.",
    }
    found["FeedEvent"] = {
        "type": "object",
        "description": "One server-sent event.",
        "properties": {"event": {**TEXT, "enum": ["result", "status"]}, "data": data},
        "required": ["event", "data"],
    }
    one = _reference(TextEvent)
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": max_events}
    found["Events"] = {
        "title": "Events",
        "description": "One event, a list of events, or an object with such a list.",
        "oneOf": [
            {"allOf": [one, {"not": {"required": ["events"]}}]},
            many,
            {"type": "object", "properties": {"events": many}, "required": ["events"]},
        ],
    }
    return found
