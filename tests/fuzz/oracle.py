"""What the decoder has to say of any bytes, read a second time with the standard library alone."""

import json
import re
from datetime import datetime
from typing import Any

from sentiment import wire
from sentiment.wire import EventError, TextEvent, decode_event

# Deeper than this one parser may give up and the other not; an honest event has three levels.
DEEP = 200
# What Python converts without a limit of its own; longer ones are compared as floats.
DIGITS = 4000
# RFC 3339, section 5.6: what every reader of it takes. Some take more.
TIME = re.compile(
    r"(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3])(:[0-5]\d){2}"
    r"(\.\d{1,6})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
)
# Whatever else a reader takes, a time without a zone is none.
ZONE = re.compile(r"([Zz]|[+-]\d\d(:?\d\d)?)$")


def check(value: bytes) -> None:
    """Decode bytes and compare with the second reading.

    Raises:
        AssertionError: They differ; the message says how.
    """
    expected = expect(value)
    said = _decoded(value)
    if isinstance(said, EventError):
        assert expected in {"either", said.code, "refused"}, f"{said.code}, not {expected}"
        return
    assert expected in {"either", "accepted"}, f"accepted, not {expected}"
    _same(said, dict(_read(value)))
    assert decode_event(wire.encode(said)) == said, "another event after a turn on the wire"


def _decoded(value: bytes) -> TextEvent | EventError:
    try:
        return decode_event(value)
    except EventError as error:
        return error


def expect(value: bytes) -> str:  # noqa: C901, PLR0911 - one line a rule
    """`accepted`, a code, `refused` with any code, or `either` where RFCs leave room."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    try:
        pairs = _read(value)
    except RecursionError:
        return "either"
    except ValueError:
        return "not_json"
    if _depth(value) > DEEP:
        return "either"
    if not isinstance(pairs, Object):
        return "not_object"
    fields = dict(pairs)
    if "text" not in fields:
        return "missing_text"
    if not isinstance(fields["text"], str):
        return "text_not_string"
    if _half(pairs):
        return "refused"
    # A name that stands there twice: each value counts.
    verdicts = {_verdict(name, given) for name, given in pairs}
    if "refused" in verdicts:
        return "refused"
    if not fields["text"].strip():
        return "either" if "either" in verdicts else "empty_text"
    return "either" if "either" in verdicts else "accepted"


class Object(list[tuple[str, Any]]):
    """A JSON object with its names as often as they stand there."""


def _read(value: bytes) -> Any:  # noqa: ANN401 - any JSON
    def number(digits: str) -> float:
        return int(digits) if len(digits) < DIGITS else float(digits)

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(
        value.decode(), object_pairs_hook=Object, parse_int=number, parse_constant=refuse
    )


def _verdict(name: str, given: Any) -> str:  # noqa: ANN401 - any JSON
    """Whether a field's value is one of its type: `accepted`, `refused` or `either`."""
    good = True
    if name == "text":
        good = isinstance(given, str)
    elif name in {"id", "source"}:
        good = given is None or (isinstance(given, str) and 1 <= len(given) <= 256)
    elif name == "explain":
        good = isinstance(given, bool)
    elif name == "attributes":
        good = given is None or (isinstance(given, Object) and _finite(given))
    elif name == "created_at" and given is not None:
        return _time(given)
    return "accepted" if good else "refused"


def _time(given: object) -> str:
    if not isinstance(given, str):
        return "refused"
    if not TIME.fullmatch(given):
        return "either" if ZONE.search(given) else "refused"
    try:
        datetime.fromisoformat(given.upper())
    except ValueError:
        # The 30th of February.
        return "refused"
    return "accepted"


def _finite(given: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether every number can be a float: the decoder gives the caller's own data back as such."""
    if isinstance(given, Object):
        return all(_finite(inner) for _, inner in given)
    if isinstance(given, list):
        return all(_finite(inner) for inner in given)
    if isinstance(given, int | float):
        try:
            return abs(float(given)) != float("inf")
        except OverflowError:
            return False
    return True


def _half(given: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a string, or a name, holds half of a surrogate pair."""
    if isinstance(given, str):
        return any("\ud800" <= character <= "\udfff" for character in given)
    return isinstance(given, list | tuple) and any(_half(inner) for inner in given)


def _depth(value: bytes) -> int:
    """How deep it is nested at most; brackets within strings count too, to be safe."""
    deepest = depth = 0
    for byte in value:
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest


def _same(event: TextEvent, fields: dict[str, Any]) -> None:
    for name in ("text", "id", "source", "explain"):
        wanted = fields.get(name, False if name == "explain" else None)
        assert getattr(event, name) == wanted, f"another {name}"
    assert _alike(event.attributes, fields.get("attributes")), "other attributes"
    given = fields.get("created_at")
    assert (event.created_at is None) == (given is None), "another created_at"
    if given is not None and TIME.fullmatch(given):
        assert event.created_at == datetime.fromisoformat(given.upper()), "another created_at"


def _alike(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether they are the same; the decoder may hold a long integer as a float."""
    if isinstance(theirs, Object):
        last = dict(theirs)
        return (
            isinstance(ours, dict)
            and ours.keys() == last.keys()
            and all(_alike(ours[name], last[name]) for name in last)
        )
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_alike, ours, theirs))
    if isinstance(theirs, int | float) and not isinstance(theirs, bool):
        return bool(ours == theirs or float(ours) == float(theirs))
    return type(ours) is type(theirs) and bool(ours == theirs)
