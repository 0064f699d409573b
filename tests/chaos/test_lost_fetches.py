"""A broker that hears no more fetches, while everything else goes through."""

import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.chaos import outage, report, world
from tests.chaos.conftest import Ground
from tests.chaos.proxy import FETCH, Harm
from tests.chaos.round import Round
from tests.chaos.world import PARTITIONS, World

PATIENCE_S = 60.0
# Enough for partitions of the broker to have some, whichever they are.
UNREAD = 200


def _lag(own: World) -> dict[int, float]:
    """What the only worker shows, by partition."""
    (port,) = outage.ports(own)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        shown = answer.read().decode()
    pattern = r'^sentiment_consumer_lag\{partition="(\d+)".*\} (\S+)$'
    found = re.findall(pattern, shown, re.MULTILINE)
    return {int(partition): float(lag) for partition, lag in found}


def _wait_until(true: Callable[[], bool], own: World) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, (_lag(own), own.input_ends(), own.committed())
        time.sleep(0.5)


def test_the_lag_is_that_of_the_brokers(ground: Ground, tmp_path: Path) -> None:
    """Where the consumer gets nothing, what waits is shown all the same, and read in the end."""
    own = world.make(tmp_path, *ground, protocol="consumer", events=2000)
    own.workers = 1

    def waiting() -> dict[int, float]:
        done = own.committed()
        return {number: float(end - done[number]) for number, end in own.input_ends().items()}

    def meanwhile() -> None:
        own.traffic.rate = 100
        assert world.wait_for(own, 500, PATIENCE_S)
        leaders = own.cluster.admin.list_topics(own.settings.topics.events, timeout=30)
        leader = leaders.topics[own.settings.topics.events].partitions[0].leader
        own.proxy.harm = Harm("drop_request", frozenset({FETCH}), frozenset({leader - 1}))
        _wait_until(lambda: max(waiting().values()) > UNREAD, own)
        own.traffic.rate = 0
        # Events that go to other brokers are read.
        _wait_until(lambda: min(waiting().values()) == 0, own)
        _wait_until(lambda: _lag(own) == waiting(), own)
        assert len(_lag(own)) == PARTITIONS
        own.proxy.heal()
        own.traffic.rate = 100

    outcome = Round(own, [], "consumer", print).run(meanwhile)
    assert not outcome.counts, report.as_text([outcome])
