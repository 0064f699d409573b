"""The short form of `make outage`."""

from pathlib import Path

import pytest

from tests.chaos import report, world
from tests.chaos.outage import EVENTS, Outage

# Longer than a commit, a start and a session may take, all together.
AWAY_S = 36.0


@pytest.mark.timeout(900)
def test_everything_waits_for_its_only_broker(tmp_path: Path) -> None:
    """Worker, trends, page and replay outlive a broker that hangs, talks nonsense, names nobody."""
    with world.running(tmp_path, 1) as ground:
        own = world.make(tmp_path / "run", *ground, protocol="classic", events=EVENTS)
        run = Outage(own, tmp_path / "run", ("hang", "garbage", "nobody"), AWAY_S, print)
        outcome = run.run()
    assert not run.wrong
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert not outcome.tracebacks
