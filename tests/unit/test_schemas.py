import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sentiment import asyncapi, events, schemas, topics
from sentiment.settings import Settings, TopicSettings

SCHEMAS = {
    kind.__name__: json.loads(text)
    for kind, text in zip(
        asyncapi.TYPES,
        [t for n, t in schemas.files().items() if n.startswith("schemas/")],
        strict=True,
    )
}


def test_files_are_those_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    """The contract in `docs/` is what the code generates; `make docs` writes it anew."""
    assert schemas.main(["--check"]) == 0, capsys.readouterr().err


def test_check_names_what_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed, a missing and a left-over file are each named, and writing mends all three."""
    docs = tmp_path / "docs"
    shutil.copytree(schemas.DOCS, docs)
    (docs / "asyncapi.yaml").write_text("asyncapi: 2.0.0\n")
    (docs / "schemas" / "Tally.json").unlink()
    (docs / "schemas" / "Old.json").write_text("{}")
    assert schemas.main(["--check"], docs) == 1
    told = capsys.readouterr().err
    assert re.findall(r"(\S+) is stale", told) == [
        str(docs / name) for name in ("asyncapi.yaml", "schemas/Old.json", "schemas/Tally.json")
    ]
    assert schemas.main([], docs) == 0
    assert schemas.main(["--check"], docs) == 0


def test_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document has the default names and sizes, whatever this machine's settings are."""
    before = schemas.files()
    monkeypatch.setenv("TOPICS_EVENTS", "other")
    monkeypatch.setenv("TOPICS_PARTITIONS", "9")
    assert schemas.files() == before


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid(name: str) -> None:
    """Each file is a JSON Schema by the rules of the version that it names."""
    validator = jsonschema.validators.validator_for(SCHEMAS[name])
    assert validator is jsonschema.Draft202012Validator
    validator.check_schema(SCHEMAS[name])


def test_schemas_accept_what_the_code_makes() -> None:
    """Encoded events and results pass their schemas; what the decoder refuses does not."""
    now = datetime(2026, 1, 31, tzinfo=UTC)
    event = events.TextEvent("good", id="1", source="shop", created_at=now, attributes={"a": 1})
    result = events.SentimentResult(
        "1", "positive", 0.9, 0.9, events.Model("m", "1"), events.Input("t", 0, 1), now, now
    )
    for kind, value in (("TextEvent", event), ("SentimentResult", result)):
        jsonschema.validate(json.loads(events.encode(value)), SCHEMAS[kind])
    for wrong in ({}, {"text": 1}, {"text": "a", "id": ""}, {"text": "a", "explain": "yes"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMAS["TextEvent"])


DOCUMENT: dict[str, Any] = yaml.safe_load(schemas.files()["asyncapi.yaml"])


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
        if topic.name != settings.trends.windows
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
    assert set(messages["DeadLetter"]["headers"]["properties"]) == events.ERROR_HEADERS


def test_examples_are_real() -> None:
    """The examples decode as what they are examples of."""
    messages = DOCUMENT["components"]["messages"]
    event = json.dumps(messages["TextEvent"]["examples"][0]["payload"]).encode()
    result = json.dumps(messages["SentimentResult"]["examples"][0]["payload"]).encode()
    assert events.decode_event(event).id == events.decode_result(result).id


def _written(config: dict[str, str]) -> Any:  # noqa: ANN401 - as the document has it
    """A topic's configuration as AsyncAPI writes it: numbers, and a list of policies."""
    return {
        name: [value] if name == "cleanup.policy" else int(value) for name, value in config.items()
    }
