"""What of transactions can be told without brokers: broken connections, pauses."""

import logging

import pytest

from sentiment.kafka.transactions import Connections, pause_s
from sentiment.settings import KafkaSettings

BROKEN = [
    "127.0.0.1:9092/1: Disconnected: connection reset by peer (after 1040ms in state UP)",
    "TxnCoordinator: 127.0.0.1:9092: Disconnected: closed by peer (after 2ms in state UP)",
    "GroupCoordinator: 127.0.0.1:9092: 1 request(s) timed out: disconnect (after 61ms in state UP)",
    "ssl://b-1.example:9096/1: Receive failed: Connection timed out (after 300ms in state REAUTH)",
]
WHOLE = [
    "127.0.0.1:9092/bootstrap: Decommissioning this broker (after 0ms in state UP)",
    "ssl://b-1.example:9096/bootstrap: Disconnected: closed by peer (after 51ms in state UP)",
    "127.0.0.1:9092/1: Connect to ipv4#127.0.0.1:9092 failed: refused (after 0ms in state CONNECT)",
    "127.0.0.1:9092/1: ApiVersionRequest failed: Timed out (after 9ms in state APIVERSION_QUERY)",
]


def _is_broken(kind: str, said: str) -> bool:
    connections = Connections(KafkaSettings())
    line = "%s [%s] %s"
    connections.log(logging.INFO, line, kind, "sentiment-stream#producer-1", said)
    return connections.broken > 0


@pytest.mark.parametrize("said", BROKEN)
def test_a_connection_that_carried_requests_is_broken(said: str) -> None:
    """Whoever ended it, and however: the next transaction has a new producer."""
    assert _is_broken("FAIL", said)


@pytest.mark.parametrize("said", WHOLE)
def test_a_connection_that_carried_none_is_not(said: str) -> None:
    """Bootstrap connections and those that never came up cost no new producer."""
    assert not _is_broken("FAIL", said)


def test_other_lines_say_nothing_of_connections() -> None:
    """Whatever their text has in it."""
    assert not _is_broken("STATE", BROKEN[0])


def test_pauses_grow_to_seconds_and_stay_there() -> None:
    """Brokers that are away for hours cost thousands of tries."""
    pauses = [pause_s(tries) for tries in range(5000)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1 < pauses[-1] < 10
