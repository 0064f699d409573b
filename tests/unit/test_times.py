"""Claims about times that others wrote."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st
from werkzeug.datastructures import MultiDict

from sentiment.cli import cli
from sentiment.dead_letters.command import selection
from sentiment.errors import InputError
from sentiment.times import (
    LATEST_MS,
    OLDEST_MS,
    TOLERANCE_MS,
    age_ms,
    date_of,
    moment,
    parse_since,
    sum_of_ages_ms,
)
from web.operators import routes

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


@pytest.fixture
def east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is three hours ahead of UTC."""
    monkeypatch.setenv("TZ", "<+03>-3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


EIGHT = datetime(2026, 1, 31, 8, tzinfo=UTC).timestamp()


@pytest.mark.usefixtures("east")
@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("beginning", "beginning", False),
        ("90s", EIGHT - 90, False),
        ("7d", EIGHT - 7 * 86_400, False),
        ("999999999d", 0.0, False),
        ("2026-01-31T08:00:00Z", EIGHT, False),
        ("2026-01-31T09:30+01:30", EIGHT, False),
        ("2026-01-31T11:00", EIGHT, True),
        ("2026-01-31 11:00:00", EIGHT, True),
        ("2026-01-31", EIGHT - 11 * 3600, True),
    ],
)
def test_a_time_without_a_zone_is_local_and_told(
    text: str, expected: float | str, *, told: bool
) -> None:
    """What a person may write; where a zone is missing, one line says which moment it is."""
    lines: list[str] = []
    assert parse_since(text, EIGHT, "--from", lines.append) == expected
    assert len(lines) == told
    if told:
        assert lines[0].startswith(f"--from {text} ")
        assert "+03:00" in lines[0]
        utc = datetime.fromtimestamp(float(expected), UTC).isoformat().replace("+00:00", "Z")
        assert f"({utc})" in lines[0]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "8:00", "2026-13-01", "0001-01-01T00:00+14:00", "-5m", "1000000000s"]
)
def test_what_is_no_point_in_time(text: str) -> None:
    """A sentence that names option and value, and a hint with what would be one."""
    with pytest.raises(InputError, match="--to") as refused:
        parse_since(text, EIGHT, "--to", pytest.fail)
    assert repr(text) in refused.value.message
    assert "2026-01-31T08:00:00Z" in refused.value.hint


@pytest.mark.usefixtures("east")
def test_commands_say_which_moment_they_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """`dlq list` and the others: on standard error, so that their output stays a program's."""
    chosen = selection((), (), "2026-01-31T11:00", "2026-01-31T12:00", ())
    assert (chosen.since, chosen.until) == (EIGHT, EIGHT + 3600)
    out, err = capsys.readouterr()
    assert out == ""
    assert "2026-01-31T08:00:00Z" in err
    assert "2026-01-31T09:00:00Z" in err


@pytest.mark.parametrize("command", [["results"], ["dlq", "list"], ["replay"]])
def test_help_says_what_no_zone_means(command: list[str]) -> None:
    """Whoever reads the help learns that a time without a zone is local time."""
    shown = CliRunner().invoke(cli, [*command, "--help"]).output
    assert "without a zone, local time" in " ".join(shown.split())


def test_the_page_asks_for_a_zone() -> None:
    """A server's local time is not that of the person before the page: nothing is assumed."""
    with pytest.raises(InputError, match="names no time zone") as refused:
        routes.read(MultiDict({"since": "2026-01-31T11:00"})).selection()
    assert "Z" in refused.value.hint
    assert routes.read(MultiDict({"since": "2026-01-31T08:00Z"})).selection().since == EIGHT
