import json
import uuid
from typing import Any

import msgspec
import pytest

from producer.command import Columns, to_event
from sentiment.errors import InputError
from sentiment.kafka.producer import checked, encode
from sentiment.rows import Fault, Row
from sentiment.wire import TextEvent


def raw(document: str) -> Row:
    """A row of JSON Lines, as its reader makes it."""
    return msgspec.json.decode(document, type=dict[str, msgspec.Raw])


def event(row: Row, **columns: str) -> tuple[dict[str, Any], str | None]:
    """The event of a row, decoded, and its key."""
    value, key = to_event(row, Columns(**columns))
    return json.loads(value), key


def test_a_text_gets_an_id() -> None:
    """An event without an id gets a new UUID each time, so that repeats can be told."""
    (first, key), (second, _) = event({"text": "good"}), event({"text": "good"})
    assert uuid.UUID(first["id"]) != uuid.UUID(second["id"])
    assert first["text"] == "good"
    assert key is None


@pytest.mark.parametrize("row", [{"text": "good", "id": None}, raw('{"text":"good","id":null}')])
def test_null_is_no_id(row: Row) -> None:
    """A row whose id is null gets one too."""
    assert uuid.UUID(event(row)[0]["id"]).version == 4


def test_columns_become_fields() -> None:
    """Named columns are the text, the id and the key; numbers become strings."""
    found, key = event(
        {"review": "good", "nr": 17, "customer": "c-1"}, text="review", id="nr", key="customer"
    )
    assert (found["text"], found["id"], key) == ("good", "17", "c-1")
    assert "review" not in found


def test_columns_of_json_become_fields() -> None:
    """The same for rows of JSON Lines, which may hold anything besides."""
    found, key = event(
        raw('{"review":"good","nr":17,"user":{"name":"x"}}'), text="review", id="nr", key="nr"
    )
    assert found == {"nr": 17, "user": {"name": "x"}, "id": "17", "text": "good"}
    assert key == "17"


def test_whole_events_pass_through() -> None:
    """A line that is a complete event is sent with all of its fields, known and unknown."""
    document = (
        '{"id":"a","text":"good","source":"shop","created_at":"2026-01-31T08:00:00Z",'
        '"explain":true,"attributes":{"n":1.50},"likes":3}'
    )
    value, _ = to_event(raw(document), Columns(source="other"))
    assert value.decode() == document


def test_source_fills_the_gap() -> None:
    """The source that was given is that of rows which don't say their own."""
    assert event({"text": "good"}, source="shop")[0]["source"] == "shop"
    assert event(raw('{"text":"good","source":"own"}'), source="shop")[0]["source"] == "own"


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        (Fault("not_utf8", "not UTF-8 at byte 3", ""), {}, "not UTF-8 at byte 3"),
        (raw('{"text":"good"}'), {"text": "review"}, "no 'review'"),
        (raw('{"text":"good"}'), {"id": "nr"}, "no 'nr'"),
        (raw('{"text":"good","nr":[1]}'), {"key": "nr"}, "'nr'"),
        (raw('{"text":"good","nr":true}'), {"id": "nr"}, "'nr'"),
        (raw('{"text":"good","nr":1.5}'), {"id": "nr"}, "'nr'"),
        ({"text": "caf\udce9"}, {}, "no character"),
        ({"text": "good", "x": object()}, {}, "not valid"),
    ],
)
def test_bad_rows_say_why(row: Row, columns: dict[str, str], message: str) -> None:
    """A row that can't be an event is an error that says which part of it is wrong."""
    with pytest.raises(InputError, match=message):
        to_event(row, Columns(**columns))


def test_required_columns() -> None:
    """A file must have the columns that were named, and that of the text."""
    assert Columns().required() == {"text"}
    assert Columns("review", "nr", "customer").required() == {"review", "nr", "customer"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (TextEvent(" \n"), "empty_text"),
        (TextEvent("good", id=""), "invalid_field"),
        (TextEvent("good", source="x" * 257), "invalid_field"),
        (TextEvent("x" * 400), "too_large"),
        ({"text": 1}, "text_not_string"),
        ({}, "missing_text"),
    ],
)
def test_the_rules_of_the_wire_hold_before_sending(
    fields: TextEvent | dict[str, Any], code: str
) -> None:
    """What would become a dead letter is refused with the code that it would have."""
    with pytest.raises(InputError, match=rf"\({code}\)"):
        checked(encode(fields), 400)


def test_the_largest_event_allowed_is_allowed() -> None:
    """The limit counts the bytes of the whole event, and includes itself."""
    value = encode({"text": "\u00e9" * 50})
    assert checked(value, len(value)).text == "\u00e9" * 50
    with pytest.raises(InputError, match="too_large"):
        checked(value, len(value) - 1)
