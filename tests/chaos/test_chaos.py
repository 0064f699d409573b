"""The short form of `make chaos`: each kind of fault once."""

from pathlib import Path

import pytest

from tests.chaos import report, world
from tests.chaos.conftest import Ground
from tests.chaos.faults import FAULTS, plan
from tests.chaos.round import Round
from tests.chaos.world import Protocol

SEED = 20
EVENTS = 10_000
EVERY_S = 1.5
# Shorter than in the long form, so that a worker that hangs is told before the test's own end.
RECOVERY_S = 60.0
# Each protocol meets half of the kinds here, and all of them in the long form.
KINDS: dict[Protocol, list[str]] = {
    "consumer": list(FAULTS)[0::2],
    "classic": list(FAULTS)[1::2],
}


@pytest.mark.parametrize("protocol", KINDS)
def test_each_event_has_one_outcome_whatever_breaks(
    ground: Ground, tmp_path: Path, protocol: Protocol
) -> None:
    """Half of the faults on one group protocol: nothing lost, doubled or reordered."""
    steps = plan(SEED, len(KINDS[protocol]), EVERY_S, KINDS[protocol])
    own = world.make(tmp_path, *ground, protocol=protocol, events=EVENTS)
    outcome = Round(own, steps, protocol, print, RECOVERY_S).run()
    assert not outcome.counts, report.as_text([outcome]) + "\n" + report.histories(own, outcome)
    assert not outcome.tracebacks, report.as_text([outcome])
    assert outcome.faults.total() == len(steps)
    assert outcome.seen["input"] >= EVENTS
    # A storm makes most events invalid for a while.
    assert outcome.seen["results"] > EVENTS / 2
