"""A broker that hears no more fetches, while everything else goes through."""

import re
from pathlib import Path

from tests.chaos import report, world
from tests.chaos.conftest import Ground
from tests.chaos.proxy import FETCH, Harm
from tests.chaos.round import Round
from tests.chaos.world import PARTITIONS
from tests.processes import until

PATIENCE_S = 60.0
# Enough for partitions of the broker to have some, whichever they are.
UNREAD = 200


def test_the_lag_is_that_of_the_brokers(ground: Ground, tmp_path: Path) -> None:
    """Where the consumer gets nothing, what waits is shown all the same, and read in the end."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=20_000)
    own.workers = 1

    def waiting() -> dict[int, float]:
        done = own.committed()
        return {number: float(end - done[number]) for number, end in own.input_ends().items()}

    def lag() -> dict[int, float]:
        shown = own.fleet.metric("sentiment_consumer_lag")
        return {int(re.findall(r'partition="(\d+)"', name)[0]): shown[name] for name in shown}

    def meanwhile() -> None:
        own.traffic.rate = 400
        assert world.wait_for(own, 500, PATIENCE_S)
        leaders = own.cluster.admin.list_topics(own.settings.topics.events, timeout=30)
        leader = leaders.topics[own.settings.topics.events].partitions[0].leader
        own.proxy.harm = Harm("drop_request", frozenset({FETCH}), frozenset({leader - 1}))
        until(lambda: max(waiting().values()) > UNREAD, "events wait")
        own.traffic.rate = 0
        until(lambda: min(waiting().values()) == 0, "those of other brokers are read")
        until(lambda: lag() == waiting(), "what waits is shown")
        assert len(lag()) == PARTITIONS
        own.proxy.heal()
        # What was dropped is asked for anew on other connections; else the client waits a minute.
        own.proxy.reset_all()
        own.traffic.count = own.traffic.sent

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome])
