"""A dead-letter topic that refuses a message: the worker has nowhere to put it."""

from pathlib import Path

from tests.chaos import faults, report, world
from tests.chaos.conftest import Ground
from tests.chaos.round import Round

PATIENCE_S = 60.0


def test_a_refused_dead_letter_stops_the_worker_and_loses_nothing(
    ground: Ground, tmp_path: Path
) -> None:
    """What is too large for its topic ends the worker with code 4; all goes on when it is taken."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=500)
    own.workers = 1
    # Ten aborts with their pauses are half a minute.
    own.fleet.environment = {**own.fleet.environment, "WORKER_MAX_CONSECUTIVE_ABORTS": "4"}

    def meanwhile() -> None:
        faults.limit_dead_letters(own, faults.SMALL_BYTES)
        own.traffic.send_large()
        assert own.fleet.wait_for_exit("by itself: 4", PATIENCE_S), own.fleet.exits
        faults.limit_dead_letters(own, faults.LARGE_BYTES)

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.seen["input"] == 501
    log = own.fleet.logs()[0].read_text()
    assert "MSG_SIZE_TOO_LARGE" in log
    assert "transactions in a row were aborted" in log
