"""How the producers are set up; what that is good for is shown by `make chaos`."""

from typing import Any

import pytest

from sentiment.kafka import clients
from sentiment.settings import KafkaSettings

IN_FLIGHT = "max.in.flight.requests.per.connection"


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The properties of each producer that is made; the library does not tell them."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(clients, "Producer", lambda config, **_: made.append(config))
    return made


def test_outside_a_transaction_one_request_is_under_way(configs: list[dict[str, Any]]) -> None:
    """No batch gets past one that was refused; a transaction needs no such care."""
    clients.new_producer(KafkaSettings())
    clients.new_producer(KafkaSettings(), transactional_id="a")
    assert [config.get(IN_FLIGHT) for config in configs] == [1, None]


def test_what_people_set_wins(configs: list[dict[str, Any]]) -> None:
    """`KAFKA_CONFIG` is the last word, here as elsewhere."""
    clients.new_producer(KafkaSettings(config={IN_FLIGHT: 5}))
    assert configs[0][IN_FLIGHT] == 5
