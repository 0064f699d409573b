import pytest

from producer.command import Pacer


def sent_at(pacer: Pacer, count: int, now: float) -> list[float]:
    """When events go out if nothing but the pacer takes time."""
    times = []
    for _ in range(count):
        now += pacer.delay(now)
        times.append(now)
    return times


@pytest.mark.parametrize("rate", [0.5, 7, 100, 999])
def test_events_are_evenly_spread(rate: float) -> None:
    """Each event goes out at its own place: the n-th after n intervals, the first at once."""
    times = sent_at(Pacer(rate, 100.0), 200, 100.0)
    assert times == pytest.approx([100 + n / rate for n in range(200)], abs=Pacer.MIN_SLEEP_S)


@pytest.mark.parametrize("rate", [2_000, 50_000])
def test_high_rates_hold_on_average(rate: float) -> None:
    """Where the clock is too coarse for single events they go in small groups, not too many."""
    times = sent_at(Pacer(rate, 0.0), 10 * int(rate), 0.0)
    assert times[-1] == pytest.approx(10.0, abs=2 * Pacer.MIN_SLEEP_S)
    group = max(times.count(time) for time in set(times[:500]))
    assert group <= rate * Pacer.MIN_SLEEP_S + 2


def test_no_rate_never_waits() -> None:
    """Without a rate events go as fast as they can."""
    assert sent_at(Pacer(None, 0.0), 1000, 5.0) == [5.0] * 1000


def test_short_delays_are_made_up_for() -> None:
    """Work that takes time between events doesn't lower the rate."""
    pacer, now = Pacer(10, 0.0), 0.0
    for _ in range(100):
        now += pacer.delay(now)
        now += 0.03
    assert now == pytest.approx(100 / 10, abs=0.1)


def test_a_long_stall_is_not_made_up_for() -> None:
    """After a stall of a minute a second's worth of events follows at once, not a minute's."""
    pacer = Pacer(10, 0.0)
    sent_at(pacer, 10, 0.0)
    times = sent_at(pacer, 100, 60.0)
    assert sum(time == pytest.approx(60.0) for time in times) == pytest.approx(11, abs=1)
    assert times[-1] == pytest.approx(60 + (100 - 11) / 10, abs=0.1)
