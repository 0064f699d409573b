"""The schemas: those of the types, and what no type can say."""

from typing import Any

import msgspec

from sentiment.wire import SentimentResult, TextEvent
from web.answers import FeedbackTaken, FeedStatus, Refusal, Sent, Status
from web.batches.batch import Progress
from web.batches.export import Row
from web.feedback import Opinion
from web.settings import WebSettings
from web.trends import Windows

# The small pieces of an OpenAPI document.


Json = dict[str, Any]

TEXT: Json = {"type": "string"}
REQUEST_ID: Json = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
RETRY: Json = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
CHALLENGE: Json = {
    "WWW-Authenticate": {"required": True, "schema": TEXT, "description": "`Bearer`."}
}


def reference(kind: type) -> Json:
    """The schema of a type."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def as_json(kind: type, example: object = None) -> Json:
    """Content of one type, as JSON."""
    content: Json = {"schema": reference(kind)}
    if example is not None:
        content["example"] = example
    return {"application/json": content}


def answer(meaning: str, content: Json, headers: Json | None = None) -> Json:
    """An answer that is a success."""
    return {
        "description": meaning,
        "headers": {**REQUEST_ID, **(headers or {})},
        "content": content,
    }


def link(operation: str, value: str, meaning: str, **more: str) -> Json:
    """Where to go on with what an answer has: `value` is the `id` of another operation."""
    return {"operationId": operation, "parameters": {"id": value, **more}, "description": meaning}


def refusals(**meanings: str) -> Json:
    """Answers that are none, by `s` and their status, each with the codes that it may have."""
    refused: Json = {}
    for name, meaning in meanings.items():
        status = name.removeprefix("s")
        headers = {
            "401": CHALLENGE,
            "429": RETRY,
            "502": RETRY,
            "503": RETRY,
        }.get(status, {})
        refused[status] = {
            "description": meaning,
            "headers": {**REQUEST_ID, **headers},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
    return refused


def parameter(name: str, place: str, schema: Json, meaning: str) -> Json:
    """A parameter in the `path` or in the `query`."""
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": meaning,
    }


def body(content: Json) -> Json:
    """The body that a request has to have."""
    return {"required": True, "content": content}


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
UPLOAD: Json = {
    "type": "object",
    "description": "A form with one file, whose format is told by the end of its name.",
    "properties": {
        "file": {
            **TEXT,
            "format": "binary",
            "description": "Named `….csv`, `….tsv`, `….txt`, `….jsonl` or `….ndjson`,"
            " each of them also with `.gz`.",
        }
    },
    "required": ["file"],
}


FEED_EVENT: Json = {
    "type": "object",
    "description": "One server-sent event.",
    "properties": {
        "event": {**TEXT, "enum": ["result", "status"]},
        "data": {
            **TEXT,
            "contentMediaType": "application/json",
            "contentSchema": {"oneOf": [reference(SentimentResult), reference(FeedStatus)]},
            "description": "JSON: a `SentimentResult` or a `FeedStatus`.",
        },
    },
    "required": ["event", "data"],
}


def schemas(settings: WebSettings) -> Json:
    """Every schema, by its name."""
    _, found = msgspec.json.schema_components(TYPES, ref_template="#/components/schemas/{name}")
    # A rule that is looked at after decoding: white space alone is no text.
    found["TextEvent"]["properties"]["text"] |= {"minLength": 1, "pattern": r"\S"}
    found["Opinion"]["oneOf"] = [{"required": ["label"]}, {"required": ["verdict"]}]
    found["FeedEvent"] = FEED_EVENT
    found["Events"] = _events(settings.max_batch)
    return found


def _events(limit: int) -> Json:
    one = reference(TextEvent)
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": limit}
    return {
        "title": "Events",
        "description": "One event, a list of events, or an object with such a list.",
        "oneOf": [
            {"allOf": [one, {"not": {"required": ["events"]}}]},
            many,
            {"type": "object", "properties": {"events": many}, "required": ["events"]},
        ],
    }
