"""Times that others wrote: timestamps of records, and points in time that a person gives.

A record's timestamp is what its producer's clock said, or any number at all. What follows from it,
an event's age and the interval that it counts in, is decided here, for workers, trends and page.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from sentiment.errors import InputError

# The last millisecond that a date can tell: 9999-12-31T23:59:59.999Z.
LATEST_MS = 253_402_300_799_999
# The age of an event, from its timestamp to a later moment of our clock, is never below zero: a
# timestamp ahead of it is the fault of a clock, and one such event would make up for the delay of a
# thousand others. And never above a week, as Kafka keeps events for so long by default: what is
# older did not wait here, and one event of 1970 would add 56 years to every sum. Where a topic is
# kept for longer, an age of a week, beyond the last bucket of every histogram, means that or more.
OLDEST_MS = 7 * 86_400_000
# Clocks that a time service keeps differ by milliseconds. From a second on, which is what results
# may take (the objective in observability/rules.yml), a difference makes latencies worthless.
TOLERANCE_MS = 1000

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
HINT = (
    "Give `beginning`, a duration such as 30s, 10m, 2h or 7d, or a time such as"
    " 2026-01-31T08:00:00Z."
)

Skew = Literal["", "ahead", "old"]


class Moment(NamedTuple):
    """What an event's timestamp says."""

    at: datetime  # the timestamp as it is; now where it is no date
    counted_ms: int  # the moment that the event counts in, since 1970; never later than now
    age_ms: float  # by the rule above
    skew: Skew  # where the timestamp is off: more than a second ahead, or too old


def moment(timestamp_ms: int, now_ms: int) -> Moment:
    """Read an event's timestamp, in ms since 1970; it is negative where there is none."""
    at = date_of(timestamp_ms)
    ahead_ms = timestamp_ms - now_ms
    skew: Skew = "ahead" if ahead_ms > TOLERANCE_MS else ""
    if at is None:
        return Moment(datetime.fromtimestamp(now_ms / 1000, UTC), now_ms, 0, skew)
    if -ahead_ms > OLDEST_MS:
        skew = "old"
    return Moment(at, min(timestamp_ms, now_ms), age_ms(timestamp_ms, now_ms), skew)


def age_ms(timestamp_ms: float, now_ms: float) -> float:
    """The age of an event at a moment of our clock, in milliseconds: from zero to `OLDEST_MS`."""
    return min(max(now_ms - timestamp_ms, 0), OLDEST_MS)


def sum_of_ages_ms(sum_ms: float, events: int) -> float:
    """The same rule for a sum of ages that somebody else made, as workers without the rule did."""
    return min(max(sum_ms, 0.0), float(events * OLDEST_MS))


def date_of(timestamp_ms: int) -> datetime | None:
    """The date of a record's timestamp; None where it is none, or the record has none."""
    if not 0 <= timestamp_ms <= LATEST_MS:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp_ms)


def parse_since(
    text: str, now: float, option: str = "--since", tell: Callable[[str], None] | None = None
) -> "float | Literal['beginning']":
    """Read a point in time that a person gives: `beginning`, a duration, or a time by ISO 8601.

    Returns `beginning`, or seconds since 1970. Where a time names no zone, `tell` is given a
    sentence, and it is taken as local time; without `tell` it is refused, since local time here is
    not that of the person.

    Raises:
        InputError: It is none of these.
    """
    if text == "beginning":
        return "beginning"
    if duration := re.fullmatch(r"(\d{1,9})([smhd])", text):
        return max(0.0, now - int(duration[1]) * SECONDS[duration[2]])
    try:
        given = datetime.fromisoformat(text)
        at = given.astimezone()
    except (ValueError, OverflowError, OSError):
        raise InputError(f"{option} {text!r} is no point in time.", HINT) from None
    if given.tzinfo is None:
        if tell is None:
            raise InputError(
                f"{option} {text!r} names no time zone.",
                "End it with Z for UTC, or with an offset such as +01:00.",
            )
        utc = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        tell(f"{option} {text} names no time zone, so it is local time: {at.isoformat()} ({utc}).")
    return max(0.0, at.timestamp())
