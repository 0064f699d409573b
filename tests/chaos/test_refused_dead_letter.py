"""A dead-letter topic that refuses a message: the worker has nowhere to put it."""

from pathlib import Path

from tests.chaos import faults, report, world
from tests.chaos.conftest import Ground
from tests.chaos.round import Round

# For one event to be refused; the brokers may hear of the limit only after they took the first.
PATIENCE_S = 20.0
TRIES = 6


def test_a_refused_dead_letter_stops_the_worker_and_loses_nothing(
    ground: Ground, tmp_path: Path
) -> None:
    """What is too large for its topic ends the worker with code 4; all goes on when it is taken."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=500)
    own.workers = 1
    # Ten aborts with their pauses are half a minute.
    own.fleet.environment = {**own.fleet.environment, "WORKER_MAX_CONSECUTIVE_ABORTS": "4"}

    large = 0

    def meanwhile() -> None:
        nonlocal large
        faults.limit_dead_letters(own, faults.SMALL_BYTES)
        ended = False
        while not ended:
            assert large < TRIES, own.fleet.exits
            own.traffic.send_large()
            large += 1
            ended = own.fleet.wait_for_exit("by itself: 4", PATIENCE_S)
        faults.limit_dead_letters(own, faults.LARGE_BYTES)

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert outcome.seen["input"] == 500 + large
    log = own.fleet.logs()[0].read_text()
    assert "MSG_SIZE_TOO_LARGE" in log
    assert "transactions in a row were aborted" in log
