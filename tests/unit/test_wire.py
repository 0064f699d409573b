"""Claims about the wire: what is an event, what is none and why, and what the documents say."""

import json
import re
import tracemalloc
from datetime import UTC, datetime
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from hypothesis import example, given, strategies as st

from sentiment import wire
from sentiment.kafka import topics
from sentiment.settings import Settings, TopicSettings
from sentiment.wire import ErrorCode, EventError, TextEvent, decode_event
from stream_worker.trends.settings import TrendsSettings
from tools import asyncapi, docs

DEEP = b"[" * 100_000 + b"]" * 100_000
DIGITS = b"9" * 5000

BAD: dict[str, tuple[bytes, str]] = {
    "plain text": (b"what a film", "not_json"),
    "nothing": (b"", "not_json"),
    "white space": (b" \n", "not_json"),
    "cut short": (b'{"text":"good', "not_json"),
    "trailing garbage": (b'{"text":"good"} x', "not_json"),
    "two documents": (b'{"text":"good"}{"text":"bad"}', "not_json"),
    "trailing NUL": (b'{"text":"good"}\x00', "not_json"),
    "comment": (b'{"text":"good"} // yes', "not_json"),
    "single quotes": (b"{'text':'good'}", "not_json"),
    "leading zero": (b'{"text":"good","n":01}', "not_json"),
    "unknown escape": (b'{"text":"\\x41"}', "not_json"),
    "byte order mark": (b'\xef\xbb\xbf{"text":"good"}', "not_json"),
    "raw NUL": (b'{"text":"a\x00b"}', "not_json"),
    "raw line feed": (b'{"text":"a\nb"}', "not_json"),
    "raw control character in an unknown field": (b'{"text":"a","x":"\x01"}', "not_json"),
    "NaN as text": (b'{"text":NaN}', "not_json"),
    "NaN in an unknown field": (b'{"text":"a","x":NaN}', "not_json"),
    "Infinity in attributes": (b'{"text":"a","attributes":{"x":-Infinity}}', "not_json"),
    "array": (b'["text"]', "not_object"),
    "string": (b'"text"', "not_object"),
    "number": (b"1", "not_object"),
    "huge number": (DIGITS, "not_object"),
    "null": (b"null", "not_object"),
    "no text": (b'{"txt":"good"}', "missing_text"),
    "no text, huge number": (b'{"x":' + DIGITS + b"}", "missing_text"),
    "number as text": (b'{"text":1}', "text_not_string"),
    "huge number as text": (b'{"text":' + DIGITS + b"}", "text_not_string"),
    "null as text": (b'{"text":null}', "text_not_string"),
    "object as text": (b'{"text":{"text":"a"}}', "text_not_string"),
    "a second text that is no string": (b'{"text":"a","text":1}', "text_not_string"),
    "empty text": (b'{"text":""}', "empty_text"),
    "white space as text": (b'{"text":" \\t\\n"}', "empty_text"),
    "wide white space as text": ('{"text":"\u00a0\u3000\u2028"}'.encode(), "empty_text"),
    "Latin-1": ('{"text":"caf\u00e9"}'.encode("latin-1"), "invalid_utf8"),
    "UTF-16": ('{"text":"a"}'.encode("utf-16"), "invalid_utf8"),
    "overlong": (b'{"text":"\xc0\xaf"}', "invalid_utf8"),
    "above U+10FFFF": (b'{"text":"\xf4\x90\x80\x80"}', "invalid_utf8"),
    "cut in a character": (b'{"text":"\xe2\x82"}', "invalid_utf8"),
    "raw surrogate": (b'{"text":"\xed\xa0\x80"}', "invalid_utf8"),
    "no UTF-8 in an unknown field": (b'{"text":"a","x":"\xff"}', "invalid_utf8"),
    "no UTF-8 in an unknown name": (b'{"text":"a","\xff":1}', "invalid_utf8"),
    "no UTF-8 in attributes": (b'{"text":"a","attributes":{"\xff":1}}', "invalid_utf8"),
    "first half of a pair": (b'{"text":"a\\ud83d"}', "lone_surrogate"),
    "second half of a pair": (b'{"text":"\\ude00a"}', "lone_surrogate"),
    "pair the wrong way round": (b'{"text":"\\ude00\\ud83d"}', "lone_surrogate"),
    "half of a pair in an id": (b'{"text":"a","id":"\\ud83d"}', "lone_surrogate"),
    "half of a pair in an unknown field": (b'{"text":"a","x":"\\ud83d"}', "lone_surrogate"),
    "deep text": (b'{"text":' + DEEP + b"}", "too_deep"),
    "deep attributes": (b'{"text":"a","attributes":{"x":' + DEEP + b"}}", "too_deep"),
    "deep unknown field": (b'{"text":"a","x":' + DEEP + b"}", "too_deep"),
    "deep and never closed": (b'{"x":' * 50_000, "too_deep"),
    "number as id": (b'{"text":"a","id":1}', "invalid_field"),
    "huge number as id": (b'{"text":"a","id":' + DIGITS + b"}", "invalid_field"),
    "empty id": (b'{"text":"a","id":""}', "invalid_field"),
    "long id": (b'{"text":"a","id":"' + b"x" * 257 + b'"}', "invalid_field"),
    "number as source": (b'{"text":"a","source":1}', "invalid_field"),
    "no date": (b'{"text":"a","created_at":"yesterday"}', "invalid_field"),
    "no time zone": (b'{"text":"a","created_at":"2026-01-31T08:00:00"}', "invalid_field"),
    "string as explain": (b'{"text":"a","explain":"yes"}', "invalid_field"),
    "array as attributes": (b'{"text":"a","attributes":[]}', "invalid_field"),
    "huge number in attributes": (b'{"text":"a","attributes":{"x":1e999}}', "invalid_field"),
}

GOOD: dict[str, tuple[bytes, str]] = {
    "only text": (b'{"text":"good"}', "good"),
    "unknown fields": (b'{"text":"good","likes":3,"user":{"name":"x"}}', "good"),
    "a huge number in an unknown field": (b'{"text":"good","x":' + DIGITS + b"}", "good"),
    "nested like honest data": (b'{"text":"a","x":' + b"[" * 90 + b"]" * 90 + b"}", "a"),
    "escaped NUL": (b'{"text":"a\\u0000b"}', "a\x00b"),
    "escaped control characters": (b'{"text":"a\\u0001\\u001b[31m"}', "a\x01\x1b[31m"),
    "delete character": (b'{"text":"a\x7fb"}', "a\x7fb"),
    "pair of surrogates": (b'{"text":"\\ud83d\\ude00"}', "\U0001f600"),
    "escaped name": (b'{"te\\u0078t":"good"}', "good"),
    "second text of two": (b'{"text":"a","text":"b"}', "b"),
    "line end after it": (b'{"text":"good"}\r\n', "good"),
    "nulls": (b'{"text":"good","id":null,"source":null,"attributes":null}', "good"),
}


@pytest.mark.parametrize(("value", "code"), BAD.values(), ids=BAD)
def test_bad_values_get_their_code(value: bytes, code: str) -> None:
    """Each kind of bad input is named by its own error code."""
    with pytest.raises(EventError) as caught:
        decode_event(value)
    assert caught.value.code == code


def test_every_code_but_those_of_the_worker_is_tried() -> None:
    """The table of bad values covers each error code that decoding can give."""
    worker_only = {"too_large", "model_failed", "unreadable_batch"}
    assert {code for _, code in BAD.values()} == set(get_args(ErrorCode)) - worker_only


@pytest.mark.parametrize(("value", "text"), GOOD.values(), ids=GOOD)
def test_odd_but_valid_values_are_events(value: bytes, text: str) -> None:
    """What is unusual and still valid is decoded, not rejected."""
    assert decode_event(value).text == text


@pytest.mark.parametrize(
    "value",
    [
        b'{"text":"SECRET',
        b'{"text":["SECRET"]}',
        b'{"text":"SECRET \xff"}',
        b'{"text":"SECRET \\ud83d"}',
        b'{"text":"a","created_at":"SECRET"}',
        b'{"text":"a","attributes":{"SECRET":1e999}}',
        b'{"text":"SECRET","id":' + b'"SECRET"' * 100 + b"}",
        b'{"text":"SECRET","id":"' + b"SECRET" * 100 + b'"}',
        b"SECRET",
        b'{"SECRET":1}',
    ],
)
def test_messages_never_hold_the_text(value: bytes) -> None:
    """What people wrote is not repeated in an error, which ends up in headers and logs."""
    with pytest.raises(EventError) as caught:
        decode_event(value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


pieces = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b'"text"', b":", b",", b"\\ud83d", b"\xff", b"\xc3\xa9", b"1"]
)


@given(st.one_of(st.binary(), st.lists(pieces).map(b"".join)))
@example(b'{"text":"a","x":"\xff"}')
def test_no_bytes_raise_anything_but_an_event_error(value: bytes) -> None:
    """Whatever the bytes, they are an event with a text, or an `EventError` with a known code."""
    try:
        event = decode_event(value)
    except EventError as error:
        assert error.code in get_args(ErrorCode)  # noqa: PT017 - either outcome is right
    else:
        assert event.text.strip()


characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, min_size=1).filter(lambda text: not text.isspace())
short = st.none() | st.text(characters, min_size=1, max_size=256)
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(characters),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(characters), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "begin", [b'{"text":1,', b'{"text":"\\ud800",', b'{"id":1,"text":"",', b"{"]
)
def test_what_is_wrong_is_told_without_objects(begin: bytes) -> None:
    """A large value is not read into memory to name its fault, whatever else is in it."""
    value = begin + b'"x":[' + b"{}," * 100_000 + b"{}]}"
    tracemalloc.start()
    try:
        with pytest.raises(EventError):
            decode_event(value)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(value)
    finally:
        tracemalloc.stop()


@given(
    st.builds(
        TextEvent,
        text=texts,
        id=short,
        source=short,
        created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        explain=st.booleans(),
        attributes=st.none() | st.dictionaries(st.text(characters), data),
    )
)
def test_valid_events_survive_the_wire(event: TextEvent) -> None:
    """Encoding and decoding gives the same event, also by way of another JSON library."""
    assert decode_event(wire.encode(event)) == event
    assert decode_event(json.dumps(json.loads(wire.encode(event))).encode()) == event


def test_result_leaves_out_what_it_does_not_have() -> None:
    """A result without source, creation time and explanation has no such fields, and decodes."""
    now = datetime(2026, 1, 31, tzinfo=UTC)
    model, place = wire.Model("sentiment", "3"), wire.Input("text-events", 0, 7)
    result = wire.SentimentResult("a", "positive", 0.9, 0.9, model, place, now, now)
    assert json.loads(wire.encode(result)) == {
        "id": "a",
        "sentiment": "positive",
        "score": 0.9,
        "confidence": 0.9,
        "model": {"name": "sentiment", "version": "3"},
        "input": {"topic": "text-events", "partition": 0, "offset": 7},
        "received_at": "2026-01-31T00:00:00Z",
        "processed_at": "2026-01-31T00:00:00Z",
    }
    assert wire.decode_result(wire.encode(result)) == result


def test_tracing_and_cloudevents_headers_are_passed_on() -> None:
    """`traceparent`, `tracestate` and `ce_*` reach the result in order; other headers do not."""
    kept: wire.Headers = [("traceparent", b"00-1"), ("ce_id", b"1"), ("tracestate", None)]
    others: wire.Headers = [("authorization", b"x"), ("ce", b"x"), ("x-ce_id", b"x")]
    assert wire.passed_on([*kept[:1], *others, *kept[1:]]) == kept


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
