import json
import re
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
import yaml

from sentiment import wire
from sentiment.kafka import topics
from sentiment.settings import Settings, TopicSettings
from stream_worker.trends.settings import TrendsSettings
from tools import asyncapi, docs

SCHEMAS = {name: json.loads(text) for name, text in asyncapi.schemas().items()}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid(name: str) -> None:
    """Each file is a JSON Schema by the rules of the version that it names."""
    validator = jsonschema.validators.validator_for(SCHEMAS[name])
    assert validator is jsonschema.Draft202012Validator
    validator.check_schema(SCHEMAS[name])


def test_schemas_accept_what_the_code_makes() -> None:
    """Encoded events and results pass their schemas; what the decoder refuses does not."""
    now = datetime(2026, 1, 31, tzinfo=UTC)
    event = wire.TextEvent("good", id="1", source="shop", created_at=now, attributes={"a": 1})
    result = wire.SentimentResult(
        "1", "positive", 0.9, 0.9, wire.Model("m", "1"), wire.Input("t", 0, 1), now, now
    )
    for kind, value in (("TextEvent", event), ("SentimentResult", result)):
        jsonschema.validate(json.loads(wire.encode(value)), SCHEMAS[kind])
    for wrong in ({}, {"text": 1}, {"text": "a", "id": ""}, {"text": "a", "explain": "yes"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMAS["TextEvent"])


DOCUMENT: dict[str, Any] = yaml.safe_load(docs.as_yaml(asyncapi.document()))


def test_document_has_what_asyncapi_requires() -> None:
    """Version, title and API version stand; operations name their action and a channel."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"]["title"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", DOCUMENT["info"]["version"])
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"]["$ref"].startswith("#/channels/")
    used = {operation["channel"]["$ref"] for operation in DOCUMENT["operations"].values()}
    assert used == {f"#/channels/{name}" for name in DOCUMENT["channels"]}


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for item in node.values() for found in _references(item)]
    return []


def test_references_resolve() -> None:
    """Every `$ref` of the document leads to something in it, and every component is used."""
    references = set(_references(DOCUMENT))
    for reference in references:
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for kind, components in DOCUMENT["components"].items():
        assert {f"#/components/{kind}/{name}" for name in components} <= references


def test_channels_are_the_topics() -> None:
    """Each topic is a channel with its partitions and configuration, and there is no other."""
    settings = Settings()
    settings.topics = TopicSettings.model_construct()
    wanted = {
        topic.name: (topic.partitions, _written(topic.config))
        for topic in topics.wanted(settings)
        # Faust's own, and nobody else's to read.
        if topic.name != settings.of(TrendsSettings).windows
    }
    channels = {
        channel["address"]: (
            channel["bindings"]["kafka"]["partitions"],
            channel["bindings"]["kafka"]["topicConfiguration"],
        )
        for channel in DOCUMENT["channels"].values()
    }
    assert channels == wanted


def test_messages_tell_keys_and_headers() -> None:
    """Every message has a key; events and results have tracing, dead letters the error headers."""
    messages = DOCUMENT["components"]["messages"]
    assert all(message["bindings"]["kafka"]["key"] for message in messages.values())
    for name in ("TextEvent", "SentimentResult"):
        assert "traceparent" in messages[name]["headers"]["properties"]
        assert "^ce_" in messages[name]["headers"]["patternProperties"]
    assert set(messages["DeadLetter"]["headers"]["properties"]) == wire.ERROR_HEADERS


def test_examples_are_real() -> None:
    """The examples decode as what they are examples of."""
    messages = DOCUMENT["components"]["messages"]
    event = json.dumps(messages["TextEvent"]["examples"][0]["payload"]).encode()
    result = json.dumps(messages["SentimentResult"]["examples"][0]["payload"]).encode()
    assert wire.decode_event(event).id == wire.decode_result(result).id


def _written(config: dict[str, str]) -> Any:  # noqa: ANN401 - as the document has it
    """A topic's configuration as AsyncAPI writes it: numbers, and a list of policies."""
    words: dict[str, Any] = {
        "cleanup.policy": lambda value: [value],
        "compression.type": str,
    }
    return {name: words.get(name, int)(value) for name, value in config.items()}
