"""The AsyncAPI document of the topics, made of the types of the wire and the topics' shapes."""

from typing import Any, get_args

import msgspec

from sentiment import events, topics
from sentiment.counts import Tally, Trend
from sentiment.event_errors import ErrorCode
from sentiment.events import Feedback, Redriven, SentimentResult, TextEvent
from sentiment.settings import Settings, TopicSettings

Json = dict[str, Any]

# The version of the wire, not of the programs: the first number grows when a reader would break.
WIRE_VERSION = "1.0.0"
# The latest Kafka binding that version 3.0 of AsyncAPI knows.
BINDING = "0.5.0"

TYPES = (TextEvent, SentimentResult, Redriven, Tally, Trend, Feedback)

TEXT = {"type": "string"}
TRACING: Json = {
    "type": "object",
    "properties": {
        "traceparent": {**TEXT, "description": "W3C trace context."},
        "tracestate": {**TEXT, "description": "W3C trace context, the vendors' part."},
    },
    "patternProperties": {"^ce_": {**TEXT, "description": "CloudEvents attributes."}},
    "description": "Of an event's headers, these are passed on to its result.",
}
ERRORS: Json = {
    "type": "object",
    "description": "The record's own headers, verbatim, and these. Values are UTF-8 text.",
    "properties": {
        events.ERROR_EXCEPTION: {**TEXT, "description": "Class of the error."},
        events.ERROR_MESSAGE: {**TEXT, "description": "What is wrong, without the text itself."},
        events.ERROR_TOPIC: {**TEXT, "description": "Topic of the record."},
        events.ERROR_PARTITION: {**TEXT, "description": "Its partition, in digits."},
        events.ERROR_OFFSET: {**TEXT, "description": "Its offset, in digits."},
        events.ERROR_CODE: {**TEXT, "enum": list(get_args(ErrorCode)), "description": "What."},
        events.ERROR_TIMESTAMP: {**TEXT, "format": "date-time", "description": "When."},
        events.ERROR_ATTEMPT: {**TEXT, "description": "1, and more after a redrive; in digits."},
        events.ERROR_MODEL_VERSION: {**TEXT, "description": "Model that was serving."},
    },
    "required": sorted(events.ERROR_HEADERS),
}
EVENT_EXAMPLE: Json = {
    "id": "review-1042",
    "text": "I loved every minute of it.",
    "source": "shop",
    "created_at": "2026-01-31T08:00:00Z",
}
RESULT_EXAMPLE: Json = {
    "id": "review-1042",
    "sentiment": "positive",
    "score": 0.97,
    "confidence": 0.97,
    "model": {"name": "sentiment", "version": "3"},
    "input": {"topic": "text-events", "partition": 2, "offset": 4711},
    "received_at": "2026-01-31T08:00:00.120Z",
    "processed_at": "2026-01-31T08:00:00.131Z",
    "source": "shop",
    "created_at": "2026-01-31T08:00:00Z",
}


def document() -> Json:
    """Build the document with the default names and shapes of the topics.

    Returns:
        An AsyncAPI 3.0 document; the application that it describes is the whole system.
    """
    settings = Settings()
    # Not from the environment: the document is the same wherever it is made.
    settings.topics = names = TopicSettings.model_construct()
    shapes = {topic.name: topic for topic in topics.wanted(settings)}
    _, schemas = msgspec.json.schema_components(TYPES, ref_template="#/components/schemas/{name}")
    messages = {
        "TextEvent": _message(
            "TextEvent", "The caller's, to keep an order; else the id.", TRACING, EVENT_EXAMPLE
        ),
        "SentimentResult": _message("SentimentResult", "The event's key.", TRACING, RESULT_EXAMPLE),
        "DeadLetter": {
            "title": "What could not be classified, and why",
            "contentType": "application/octet-stream",
            "headers": ERRORS,
            "payload": {"description": "The record's value, byte for byte."},
            "bindings": _key("The record's key, byte for byte."),
        },
        "Redriven": _message("Redriven", "The dead letter's partition and offset: `2-17`."),
        "Tally": _message("Tally", "Input topic and partition: `text-events-2`."),
        "Trend": _message("Trend", "Length, start and source: `60:1700000000:shop`."),
        "Feedback": _message("Feedback", "The event's id."),
    }
    roles = (
        ("events", names.events, "TextEvent", "receive", "Texts to classify."),
        ("results", names.results, "SentimentResult", "send", "One result per valid event."),
        ("deadLetters", names.dead_letters, "DeadLetter", "send", "What could not be classified."),
        ("redriven", names.redriven, "Redriven", "send", "Dead letters that were put back."),
        ("tallies", names.tallies, "Tally", "send", "Counts per batch and input partition."),
        ("trends", names.trends, "Trend", "send", "Windowed sums; a key's last one counts."),
        ("feedback", names.feedback, "Feedback", "receive", "People's labels for results."),
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Streaming sentiment classification",
            "version": WIRE_VERSION,
            "description": "Texts in, sentiments out, on Apache Kafka. Read with"
            " `isolation.level=read_committed`: every event then is exactly one result or one"
            " dead letter. Unknown fields are no error: ignore those that you don't know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            role: _channel(shapes[name], message, meaning)
            for role, name, message, _, meaning in roles
        },
        "operations": {
            f"{action}{role[0].upper()}{role[1:]}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{role}"},
                "summary": meaning,
            }
            for role, _, _, action, meaning in roles
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(topic: topics.Topic, message: str, meaning: str) -> Json:
    return {
        "address": topic.name,
        "description": meaning,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    name: value.split(",") if name == "cleanup.policy" else int(value)
                    for name, value in topic.config.items()
                },
                "bindingVersion": BINDING,
            }
        },
    }


def _message(name: str, key: str, headers: Json | None = None, example: Json | None = None) -> Json:
    message: Json = {
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": _key(key),
    }
    if headers:
        message["headers"] = headers
    if example:
        message["examples"] = [{"payload": example}]
    return message


def _key(meaning: str) -> Json:
    return {"kafka": {"key": {"type": "string", "description": meaning}, "bindingVersion": BINDING}}
