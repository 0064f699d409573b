"""The worker's rules, applied before sending: better an error here than a dead letter there."""

from typing import Any

import msgspec

from sentiment import events
from sentiment.errors import InputError
from sentiment.event_errors import EventError
from sentiment.events import TextEvent


def encode(event: TextEvent | dict[str, Any]) -> bytes:
    """JSON of an event.

    Raises:
        InputError: A value has no JSON.
    """
    try:
        return events.encode(event)
    except UnicodeEncodeError:
        raise InputError("The event is not valid: a string holds what is no character.") from None
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(f"The event is not valid: {error}.") from None


def checked(value: bytes, max_bytes: int) -> TextEvent:
    """Check an event by the rules of the worker, before it can become a dead letter.

    Raises:
        InputError: The event breaks one of them.
    """
    if len(value) > max_bytes:
        raise InputError(
            f"The event is not valid: {len(value):,} bytes, more than {max_bytes:,} (too_large).",
            "WORKER_MAX_EVENT_BYTES sets the limit, for the workers too.",
        )
    try:
        return events.decode_event(value)
    except EventError as error:
        raise InputError(f"The event is not valid: {error.message} ({error.code}).") from None
