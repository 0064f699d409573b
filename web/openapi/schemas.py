"""The schemas: those of the types, and what no type can say."""

import msgspec

from sentiment.events import SentimentResult, TextEvent
from sentiment.settings import WebSettings
from web.answers import FeedbackTaken, FeedStatus, Refusal, Sent, Status
from web.batches.batch import Progress
from web.batches.export import Row
from web.feedback import Opinion
from web.openapi.parts import TEXT, Json, reference
from web.trends import Windows

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
            "description": "Named `….csv`, `….txt`, `….jsonl` or `….ndjson`.",
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
