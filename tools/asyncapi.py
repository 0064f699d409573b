"""The AsyncAPI document and the JSON Schemas of the topics, made of the types of the wire."""

import json
from typing import Any, get_args

import msgspec

from sentiment import wire
from sentiment.kafka import topics
from tools.reference import defaults

Json = dict[str, Any]

# The version of the wire, not of the programs: the first number grows when a reader would break.
WIRE_VERSION = "1.0.0"
# The latest Kafka binding that version 3.0 of AsyncAPI knows.
BINDING = "0.5.0"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

TYPES = (wire.TextEvent, wire.SentimentResult, wire.Redriven, wire.Tally, wire.Trend, wire.Feedback)

TEXT = {"type": "string"}
TRACING: Json = {
    "type": "object",
    "properties": {
        "traceparent": {**TEXT, "description": "W3C trace context."},
        "tracestate": {**TEXT, "description": "W3C trace context, the vendors' part."},
        wire.ASKER: {**TEXT, "description": "A digest that tells the sender: see `explanation`."},
    },
    "patternProperties": {"^ce_": {**TEXT, "description": "CloudEvents attributes."}},
    "description": "Of an event's headers, these are passed on to its result.",
}
ERRORS: Json = {
    "type": "object",
    "description": "The record's own headers, verbatim, and these. Values are UTF-8 text.",
    "properties": {
        wire.ERROR_EXCEPTION: {**TEXT, "description": "Class of the error."},
        wire.ERROR_MESSAGE: {**TEXT, "description": "What is wrong, without the text itself."},
        wire.ERROR_TOPIC: {**TEXT, "description": "Topic of the record."},
        wire.ERROR_PARTITION: {**TEXT, "description": "Its partition, in digits."},
        wire.ERROR_OFFSET: {**TEXT, "description": "Its offset, in digits."},
        wire.ERROR_CODE: {**TEXT, "enum": list(get_args(wire.ErrorCode)), "description": "What."},
        wire.ERROR_TIMESTAMP: {**TEXT, "format": "date-time", "description": "When."},
        wire.ERROR_ATTEMPT: {**TEXT, "description": "1, and more after a redrive; in digits."},
        wire.ERROR_MODEL_VERSION: {**TEXT, "description": "Model that was serving."},
        wire.ERROR_VALUE_BYTES: {
            **TEXT,
            "description": "Only where the topic took no more: size of the value that is left out,"
            " in digits. The event's headers and a key above 256 bytes are left out too.",
        },
        wire.ERROR_VALUE_SHA256: {**TEXT, "description": "Digest of that value, in hexadecimal."},
    },
    "required": sorted(wire.ERROR_HEADERS - {wire.ERROR_VALUE_BYTES, wire.ERROR_VALUE_SHA256}),
}


def schemas() -> dict[str, str]:
    """The JSON Schema of each type's records, by the type's name."""
    return {
        kind.__name__: json.dumps(
            {"$schema": DIALECT, "title": kind.__name__, **msgspec.json.schema(kind)}, indent=2
        )
        + "\n"
        for kind in TYPES
    }


def document() -> Json:
    """An AsyncAPI 3.0 document of the whole system, with the topics' default names and shapes."""
    settings = defaults()
    names = settings.topics
    shapes = {topic.name: topic for topic in topics.wanted(settings)}
    _, schemas = msgspec.json.schema_components(TYPES, ref_template="#/components/schemas/{name}")
    messages = {
        "TextEvent": _message(
            "TextEvent", "The caller's, to keep an order; else the id.", TRACING, wire.EVENT_EXAMPLE
        ),
        "SentimentResult": _message(
            "SentimentResult", "The event's key.", TRACING, wire.RESULT_EXAMPLE
        ),
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
                    name: _typed(name, value) for name, value in topic.config.items()
                },
                "bindingVersion": BINDING,
            }
        },
    }


def _typed(name: str, value: str) -> Any:  # noqa: ANN401 - any JSON
    if name == "cleanup.policy":
        return value.split(",")
    return value if name == "compression.type" else int(value)


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
