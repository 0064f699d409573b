import json

import msgspec
import pytest
from flask import Flask

from sentiment import wire
from web.answers import ApiError
from web.parsing import one_at_a_time, parse, trace

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def parsed(document: object) -> list[wire.TextEvent]:
    """The events of a request with this document."""
    return parse(json.dumps(document).encode(), 10, 1000)


def refused(body: bytes) -> tuple[int, dict[str, object]]:
    """Status and error object of a body that is not taken."""
    with pytest.raises(ApiError) as caught:
        parse(body, 3, 200)
    with Flask("test").app_context():
        document: dict[str, dict[str, object]] = json.loads(caught.value.response().data)
    return caught.value.status, document["error"]


@pytest.mark.parametrize(
    "document",
    [{"text": "a", "id": "1"}, [{"text": "a", "id": "1"}], {"events": [{"text": "a", "id": "1"}]}],
)
def test_one_list_or_batch(document: object) -> None:
    """One event may stand alone, in a list, or in an object with a list."""
    [event] = parsed(document)
    assert (event.text, event.id, event.source) == ("a", "1", "web")


def test_id_is_made_and_source_is_kept() -> None:
    """An event without an id gets a new one; a source that is given stays."""
    first, second = parsed([{"text": "a", "source": "shop"}, {"text": "a"}])
    assert first.id != second.id
    assert len(first.id or "") == 32
    assert (first.source, second.source) == ("shop", "web")


def test_what_is_sent_is_an_event() -> None:
    """What parsing returns decodes by the workers' rules, whatever else the caller put in."""
    [event] = parsed({"text": "\u202e<b>\x00", "unknown": [1], "attributes": {"k": 1}})
    sent = wire.decode_event(wire.encode(event))
    assert (sent.text, sent.id, sent.source) == (event.text, event.id, "web")
    assert sent.attributes == {"k": 1}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b'{"text": NaN}', 400, "not_json"),
        (b'"text"', 400, "not_object"),
        (b"{}", 400, "missing_text"),
        (b'{"text": 1}', 400, "text_not_string"),
        (b'{"text": " \\n"}', 400, "empty_text"),
        (b'{"text": "\\ud800"}', 400, "lone_surrogate"),
        (b'{"text": "\xff"}', 400, "invalid_utf8"),
        (b'{"text": "a", "id": 1}', 400, "invalid_field"),
        (b'{"text": "a", "id": "' + b"x" * 257 + b'"}', 400, "invalid_field"),
        (b'{"events": 1}', 400, "invalid_field"),
        (b"[]", 400, "no_events"),
        (b'{"events": []}', 400, "no_events"),
        (b"[" * 100_000, 400, "too_deep"),
        (b'[{"text": "a"}' + b', {"text": "a"}' * 3 + b"]", 413, "too_many_events"),
        (b'{"text": "' + b"a" * 200 + b'"}', 413, "too_large"),
    ],
)
def test_refusals(body: bytes, status: int, code: str) -> None:
    """Each wrong body is refused with its status and the code that a dead letter would have."""
    found, error = refused(body)
    assert (found, error["code"]) == (status, code)
    assert error["message"]


def test_refusal_names_the_event() -> None:
    """Which event of many is wrong is told by its number, and its text is not repeated."""
    _, error = refused(msgspec.json.encode([{"text": "secret words"}, {"text": ""}]))
    assert error["event"] == 1
    assert "secret" not in str(error)


def test_a_small_request_waits_for_no_large_one() -> None:
    """While what is large is read, what is small has its turn."""
    with one_at_a_time:
        assert parsed({"text": "a"})


@pytest.mark.parametrize(
    ("parent", "state", "kept"),
    [
        (PARENT, "a=1", [("traceparent", PARENT), ("tracestate", "a=1")]),
        (PARENT, f"a={'1' * 510}", [("traceparent", PARENT), ("tracestate", f"a={'1' * 510}")]),
        (PARENT, f"a={'1' * 511}", [("traceparent", PARENT)]),
        (f"{PARENT}-", "a=1", []),
    ],
)
def test_what_each_event_of_a_request_has_is_bounded(
    parent: str, state: str, kept: wire.Headers
) -> None:
    """A `tracestate` beyond the length that has to be passed on is left out."""
    headers = {"traceparent": parent, "tracestate": state}
    with Flask("test").test_request_context(headers=headers):
        assert trace() == kept
