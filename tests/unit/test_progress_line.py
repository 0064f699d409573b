"""Claims about the line that tells how far a long command has come."""

import pytest

from sentiment import cli
from sentiment.cli import Progress
from trainer.reports import silent, ticking


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def info(self, event: str, **fields: object) -> None:
        """Take one line."""
        self.lines.append({"event": event, **fields})


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """A log in place of the real one, on a clock that stands at 100 s and then at 110 s."""
    log = Log()
    monkeypatch.setattr(cli, "log", log)
    clock = iter([100.0, 110.0, 110.1])
    monkeypatch.setattr(cli, "time", type("Clock", (), {"monotonic": lambda: next(clock)}))
    return log


def test_a_known_total_tells_the_time_left(log: Log) -> None:
    """The rate is this start's own; what an earlier one did counts as done. Not said too often."""
    told = Progress(total=1000, begun=500)
    told.update(600)
    told.update(601)
    assert log.lines == [
        {"event": "progress", "sent": 600, "rate": 10, "percent": 60, "of": 1000,
         "seconds_left": 40}
    ]  # fmt: skip


def test_a_share_alone_tells_no_time(log: Log) -> None:
    """Where the total isn't known, only what is known is said."""
    Progress().update(50, 0.5)
    assert log.lines == [{"event": "progress", "sent": 50, "rate": 5, "percent": 50}]


@pytest.mark.usefixtures("log")
def test_lines_go_where_they_are_wanted() -> None:
    """What is told its lines gets the same as a terminal, of the thing that is counted."""
    said: list[str] = []
    Progress(total=1000, what="texts", say=said.append).update(500)
    assert said == ["500 of 1,000 texts, 50 per second, 50 %, 0:00:10 left"]


def test_items_pass_through_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item comes out once; the lines count them by their size."""
    monkeypatch.setattr(cli, "LOG_INTERVAL_S", -1)
    told: list[str] = []
    assert list(ticking(["ab", "c"], told.append, "letters", total=3, size=len)) == ["ab", "c"]
    assert [line.partition(",")[0] for line in told] == ["2 of 3 letters", "3 of 3 letters"]
    assert list(ticking(iter("xy"), told.append, "letters")) == ["x", "y"]
    assert [line.partition(",")[0] for line in told[2:]] == ["1 letters", "2 letters"]
    assert list(ticking("xyz", silent, "letters")) == ["x", "y", "z"]
