"""What is wrong with a record that is no valid event: a code for programs, words for people."""

import json
from typing import Literal

import msgspec

ErrorCode = Literal[
    "invalid_utf8",  # the bytes are no UTF-8
    "not_json",  # not one JSON value (RFC 8259: NaN and Infinity are none)
    "too_deep",  # nested deeper than any honest event
    "not_object",  # JSON, but no object
    "missing_text",  # an object without `text`
    "text_not_string",  # `text` is no string
    "empty_text",  # `text` is empty or only white space
    "lone_surrogate",  # half of a UTF-16 pair: no character
    "invalid_field",  # an optional field has the wrong type or length
    "too_large",  # more bytes than the setting allows
    "model_failed",  # valid, but the model gave no answer for it
]


class EventError(Exception):
    """A record that is no valid `TextEvent`. It becomes a dead letter.

    Args:
        code: What is wrong, for programs.
        message: What is wrong, for people; never holds the text itself.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def diagnose(value: bytes, error: Exception) -> EventError:  # noqa: PLR0911 - one line a code
    """Name what is wrong with a value that didn't decode. Slower than decoding, and that is fine.

    Args:
        value: The record's value.
        error: What the decoder said of it.

    Returns:
        The error with its code.
    """
    try:
        # Integers as floats: Python refuses to convert thousands of digits, JSON allows them.
        document = json.loads(value.decode(), parse_int=float, parse_constant=_refuse_constant)
    except UnicodeDecodeError as bad:
        return EventError("invalid_utf8", f"not UTF-8 at byte {bad.start}: {bad.reason}")
    except RecursionError:
        return EventError("too_deep", "JSON is nested too deeply")
    except ValueError:
        return EventError("not_json", _without_content(error))
    if not isinstance(document, dict):
        return EventError("not_object", f"JSON {_name(document)} instead of an object")
    if "text" not in document:
        return EventError("missing_text", "the object has no 'text'")
    text = document["text"]
    if not isinstance(text, str):
        return EventError("text_not_string", f"'text' is JSON {_name(text)} instead of a string")
    if isinstance(error, RecursionError):
        return EventError("too_deep", "JSON is nested too deeply")
    if isinstance(error, msgspec.ValidationError):
        return EventError("invalid_field", str(error))
    # The one thing that Python's parser takes and RFC 8259's readers may refuse.
    return EventError("lone_surrogate", "a string holds half of a UTF-16 surrogate pair")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _without_content(error: Exception) -> str:
    return str(error) if isinstance(error, msgspec.DecodeError) else "JSON is malformed"


def _name(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
