"""Events and their trace from a request, by the same rules that the workers apply."""

import re
import threading
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import msgspec
from flask import request
from msgspec import UNSET, Raw, Struct, UnsetType

from sentiment import wire
from sentiment.wire import EventError, Headers, TextEvent, diagnose
from web.answers import ApiError

# What events of the page and the API are called unless they say otherwise.
SOURCE = "web"
# A megabyte of `[0,0,…]` is 70 MB of objects until it is counted. One at a time, uploads too: it
# is the processor's work alone, and Python's lock goes round among all threads that have some.
one_at_a_time = threading.Lock()
# What is smaller, as nearly all is, takes a millisecond: it doesn't wait for what is large.
SMALL_BYTES = 16_384
# W3C Trace Context; anything else would only be noise on the topic.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# As many as everybody has to pass on by that standard. Each event of a request has a copy.
MAX_TRACESTATE = 512


class _Batch(Struct):
    events: list[Raw] | UnsetType = UNSET


# Raw keeps each event's own bytes, so that all rules are those of `sentiment.wire`.
_list = msgspec.json.Decoder(list[Raw])
_batch = msgspec.json.Decoder(_Batch)


def parse(body: bytes, max_events: int, max_event_bytes: int) -> list[TextEvent]:
    """Read the events of a request: one, a list, or an object with such a list as `events`.

    Returns:
        At least one event, each with an id and a source.

    Raises:
        ApiError: 400 or 413: which event is wrong, and why.
    """
    with nullcontext() if len(body) <= SMALL_BYTES else one_at_a_time:
        values = _split(body)
        if not values:
            raise ApiError(400, "no_events", "The list of events is empty.")
        if len(values) > max_events:
            message = f"{len(values):,} events, more than the {max_events:,} that one request may"
            raise ApiError(413, "too_many_events", f"{message} hold.")
        return [_event(at, bytes(value), max_event_bytes) for at, value in enumerate(values)]


def _split(body: bytes) -> Sequence[bytes | Raw]:
    begin = body.lstrip()[:1]
    try:
        if begin == b"[":
            return _list.decode(body)
        if begin == b"{":
            batch = _batch.decode(body)
            if batch.events is not UNSET:
                return batch.events
    except msgspec.ValidationError:
        raise ApiError(400, "invalid_field", "'events' has to be a list of events.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = diagnose(body, error)
        raise ApiError(400, problem.code, f"{problem.message}.") from None
    return [body]


def _event(number: int, value: bytes, max_bytes: int) -> TextEvent:
    try:
        event = wire.decode_event(value)
        event = msgspec.structs.replace(
            event, id=event.id or uuid.uuid4().hex, source=event.source or SOURCE
        )
        encode(event, max_bytes)
    except EventError as error:
        status = 413 if error.code == "too_large" else 400
        message = f"Event {number}: {error.message}."
        raise ApiError(status, error.code, message, event=number) from None
    if event.attributes:
        # As bytes until it is sent: a megabyte of `{}` is 25 MB of objects.
        kept: Any = Raw(wire.encode(event.attributes))
        event = msgspec.structs.replace(event, attributes=kept)
    return event


def encode(event: TextEvent, max_bytes: int) -> bytes:
    """An event as it will stand on the topic, which is what the workers measure.

    Raises:
        EventError: It is too large.
    """
    value = wire.encode(event)
    if len(value) > max_bytes:
        message = f"{len(value):,} bytes, more than the {max_bytes:,} that are allowed"
        raise EventError("too_large", message)
    return value


def trace() -> Headers:
    """A trace that began in the caller goes on through the worker to the result.

    A `tracestate` of more than `MAX_TRACESTATE` characters is left out.
    """
    parent, state = (request.headers.get(name, "") for name in ("traceparent", "tracestate"))
    if not TRACEPARENT.fullmatch(parent):
        return []
    also = [("tracestate", state)] if 0 < len(state) <= MAX_TRACESTATE else []
    return [("traceparent", parent), *also]
