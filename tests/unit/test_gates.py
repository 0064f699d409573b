"""Claims about each gate before `champion`: what it lets through, what not, and what it says."""

import math

import pytest

from trainer import gates
from trainer.params import Promote
from trainer.reports import Interval

NAN = math.nan


@pytest.mark.parametrize(
    ("metric", "difference", "passed"),
    [
        ("macro_accuracy", Interval(0.02, 0.011, 0.03), True),
        ("macro_accuracy", Interval(0.02, 0.01, 0.03), False),
        ("macro_accuracy", Interval(0.02, -0.01, 0.05), False),
        ("macro_accuracy", Interval(-0.02, -0.03, -0.011), False),
        ("macro_accuracy", Interval(0.02, NAN, 0.03), False),
        # Lower is better.
        ("log_loss", Interval(-0.02, -0.03, -0.011), True),
        ("log_loss", Interval(-0.02, -0.03, -0.01), False),
        ("log_loss", Interval(0.02, 0.011, 0.03), False),
    ],
)
def test_main_metric_is_better_within_its_interval(
    metric: str, difference: Interval, *, passed: bool
) -> None:
    """The unlucky end of the interval must exceed the least gain; a lower log-loss is a gain."""
    params = Promote(metric=metric, min_gain=0.01)  # type: ignore[arg-type]
    check = gates.better(difference, params)
    assert check.passed is passed
    assert metric in check.reason
    assert "0.01" in check.reason


def test_gain_is_told_from_its_lower_to_its_upper_end() -> None:
    """With a metric of which less is better, the interval of the gain is the other way round."""
    check = gates.better(Interval(-0.02, -0.03, -0.01), Promote(metric="log_loss"))
    assert "gain in log_loss (less is better) +0.0200, interval +0.0100 to +0.0300" in check.reason


@pytest.mark.parametrize(
    ("metric", "value", "passed"),
    [
        ("accuracy", 0.8, True),
        ("accuracy", 0.79, False),
        ("accuracy", NAN, False),
        ("log_loss", 0.8, True),
        ("log_loss", 0.81, False),
        ("f1", None, False),
    ],
)
def test_first_champion_reaches_the_least(
    metric: str, value: float | None, *, passed: bool
) -> None:
    """Without a champion the figure itself counts; a report that lacks it passes nothing."""
    overall = {} if value is None else {metric: Interval(value, 0, 1)}
    check = gates.first(overall, Promote(metric=metric, min_metric=0.8))  # type: ignore[arg-type]
    assert check.passed is passed
    assert metric in check.reason


@pytest.mark.parametrize(
    ("challenger", "passed", "named"),
    [
        ({"a": 0.88, "b": 0.95}, True, "a 0.9000 to 0.8800"),
        ({"a": 0.879, "b": 0.95}, False, "a 0.9000 to 0.8790"),
        ({"a": 0.5, "b": 0.4}, False, "2 of 2"),
        ({"a": NAN}, False, "a 0.9000 to nan"),
        ({"a": 0.9, "new": 0.1}, True, "none of 1"),
        ({"new": 0.1}, True, "nothing in common"),
    ],
)
def test_no_share_is_much_worse(challenger: dict[str, float], *, passed: bool, named: str) -> None:
    """A loss at the limit passes, one above doesn't; what the champion doesn't have is ignored."""
    check = gates.no_loss("domains", challenger, {"a": 0.9, "b": 0.9, "gone": 1.0}, 0.02)
    assert check.passed is passed
    assert named in check.reason
    assert "new 0.1" not in check.reason
    assert check.skipped is ("nothing" in check.reason)


def test_each_loss_is_told_the_worst_first() -> None:
    """All that fell too far is listed, and only that."""
    champion = {"a": 0.9, "b": 0.9, "c": 0.9}
    check = gates.no_loss("domains", {"a": 0.8, "b": 0.9, "c": 0.7}, champion, 0.02)
    assert check.reason == ("2 of 3 fall by more than 0.02: c 0.9000 to 0.7000, a 0.9000 to 0.8000")


@pytest.mark.parametrize(
    ("reported", "now", "passed", "said"),
    [
        (1e-12, 1e-9, True, "1.0e-12 in the report and 1.0e-09 now"),
        (1e-8, 0.0, False, "1.0e-08 in the report"),
        (0.0, 1e-8, False, "1.0e-08 now"),
        (NAN, 0.0, False, "nan"),
        (0.0, NAN, False, "nan"),
        (None, 0.0, False, "an odd step"),
        (None, None, False, "an odd step"),
        (0.0, None, False, "scikit-learn here"),
    ],
)
def test_compiled_form_is_equal(
    reported: float | None, now: float | None, *, passed: bool, said: str
) -> None:
    """Both in the report and now; what isn't compiled doesn't pass."""
    check = gates.compiled(reported, "an odd step", now, Promote())
    assert check.passed is passed
    assert said in check.reason


@pytest.mark.parametrize(("size", "passed"), [(15_000_000, True), (15_000_001, False)])
def test_size_is_bounded(size: int, *, passed: bool) -> None:
    """Fifteen megabytes pass and a byte more doesn't."""
    check = gates.size(size, Promote(max_size_mb=15))
    assert check.passed is passed
    assert "15.00 MB; allowed are 15" in check.reason


@pytest.mark.parametrize(
    ("speed", "passed"), [(50.0, True), (49.0, False), (500.0, True), (NAN, False)]
)
def test_speed_is_a_share_of_the_champions(speed: float, *, passed: bool) -> None:
    """Half the champion's speed passes, less doesn't."""
    check = gates.speed(speed, 100.0, Promote(min_speed_share=0.5))
    assert check.passed is passed
    assert "the champion 100" in check.reason


def test_a_skipped_gate_lets_through() -> None:
    """What has nothing to be compared with is no reason against a model, and is told as such."""
    check = gates.skip("speed", "there is no champion yet")
    assert check.passed
    assert check.skipped
