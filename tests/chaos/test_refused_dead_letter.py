"""A dead-letter topic that refuses a message: what the worker puts there instead."""

from pathlib import Path

from tests.chaos import faults, report, world
from tests.chaos.conftest import Ground
from tests.chaos.round import Round


def test_a_refused_dead_letter_is_shortened(ground: Ground, tmp_path: Path) -> None:
    """What is too large for its topic is told by size and digest; all else goes on, in order."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=500)
    own.workers = 1

    def meanwhile() -> None:
        faults.limit_dead_letters(own, faults.SMALL_BYTES)
        own.traffic.send_large()

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.seen["input"] == 501
    assert own.fleet.exits == {"stopped at the end: 0": 1}
    assert "records shortened" in own.fleet.logs()[0].read_text()
