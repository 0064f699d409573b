"""Claims about the line that tells how far a long command has come."""

import pytest

from sentiment import cli
from sentiment.cli import Progress


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
