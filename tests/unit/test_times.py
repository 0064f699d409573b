"""Claims about times that others wrote."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from sentiment.times import (
    LATEST_MS,
    OLDEST_MS,
    TOLERANCE_MS,
    age_ms,
    date_of,
    moment,
    sum_of_ages_ms,
)

NOW_MS = 1_770_000_000_000
# Whatever 64 bits can hold: producers may write any of it.
TIMESTAMPS = st.integers(-(2**63), 2**63 - 1)


@given(TIMESTAMPS, st.integers(0, LATEST_MS))
def test_no_timestamp_gives_a_nonsensical_age(timestamp_ms: int, now_ms: int) -> None:
    """Whatever the timestamp: an age from 0 to a week, and a moment that is not in the future."""
    found = moment(timestamp_ms, now_ms)
    assert 0 <= found.age_ms <= OLDEST_MS
    assert 0 <= found.counted_ms <= now_ms
    assert found.age_ms == age_ms(found.counted_ms, now_ms)


@pytest.mark.parametrize(
    ("behind_ms", "age", "skew"),
    [
        (0, 0, ""),
        (120, 120, ""),
        (OLDEST_MS, OLDEST_MS, ""),
        (OLDEST_MS + 1, OLDEST_MS, "old"),
        (NOW_MS - 1, OLDEST_MS, "old"),
        (-TOLERANCE_MS, 0, ""),
        (-TOLERANCE_MS - 1, 0, "ahead"),
        (-3_000_000, 0, "ahead"),
    ],
)
def test_ages_and_what_is_off(behind_ms: int, age: int, skew: str) -> None:
    """Honest ages are what they are; a timestamp beyond a bound has that bound, and is named."""
    found = moment(NOW_MS - behind_ms, NOW_MS)
    assert (found.age_ms, found.skew) == (age, skew)
    assert found.at.timestamp() * 1000 == NOW_MS - behind_ms


@pytest.mark.parametrize(
    ("timestamp_ms", "skew"),
    [(-1, ""), (-(2**63), ""), (LATEST_MS + 1, "ahead"), (2**63 - 1, "ahead")],
)
def test_what_is_no_date_is_now(timestamp_ms: int, skew: str) -> None:
    """A record without a timestamp, or with one beyond the year 9999, is of this moment."""
    assert date_of(timestamp_ms) is None
    now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    assert moment(timestamp_ms, NOW_MS) == (now, NOW_MS, 0, skew)


@given(TIMESTAMPS)
def test_dates_are_exact_to_the_millisecond(timestamp_ms: int) -> None:
    """Each timestamp that is a date is that date."""
    at = date_of(timestamp_ms)
    if at is not None:
        assert round(at.timestamp() * 1000) == timestamp_ms


@given(st.floats(allow_nan=False), st.integers(0, 10**9))
def test_sums_of_others_are_bounded(sum_ms: float, events: int) -> None:
    """A sum of ages from elsewhere is one that so many events can have."""
    assert 0 <= sum_of_ages_ms(sum_ms, events) <= events * OLDEST_MS
