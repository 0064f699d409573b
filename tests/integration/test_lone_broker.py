"""A cluster of one broker, as on a laptop, that is away for a while."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.broker import LocalKafka
from local.settings import LocalSettings
from sentiment.interrupts import KILLED
from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.trends_process import StartTrends
from tests.integration.workers import read_results, send

pytestmark = pytest.mark.kafka

# Long enough for clients to give up on all addresses that they know.
AWAY_S = 15.0


@pytest.fixture
def lone_broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of the test's own."""
    with LocalKafka(tmp_path / "kafka", LocalSettings().cache_dir, print) as broker:
        yield broker


@pytest.fixture
def bootstrap_servers(lone_broker: LocalKafka) -> str:
    """What the settings and the workers of this file's tests use."""
    return lone_broker.bootstrap_servers


def test_a_worker_goes_on_when_its_only_broker_is_back(
    lone_broker: LocalKafka, settings: Settings, start_worker: StartWorker
) -> None:
    """The same worker, unharmed, classifies what comes after the broker's return, once."""
    worker = start_worker()
    send(settings, [b'{"text":"a good film"}'])
    assert len(read_results(settings, 1)) == 1
    lone_broker.kill(0)
    time.sleep(AWAY_S)
    lone_broker.start(0)
    lone_broker.wait_until_ready()
    send(settings, [b'{"text":"a bad film"}'])
    assert [result.sentiment for result in read_results(settings, 2)] == ["positive", "negative"]
    assert worker.log.count("worker starts") == 1


def test_the_trends_end_though_their_broker_is_away(
    lone_broker: LocalKafka,
    settings: Settings,
    start_worker: StartWorker,
    start_trends: StartTrends,
) -> None:
    """SIGTERM ends them in bounded time, at the worst with the code of what would have followed."""
    start_worker()
    send(settings, [b'{"text":"a good film"}'])
    trends = start_trends()
    # Its views answer before it has a connection.
    trends.wait_for(1)
    lone_broker.kill(0)
    assert trends.end(signal.SIGTERM) in {0, KILLED}, trends.log
    # Topics are deleted after the test.
    lone_broker.start(0)
    lone_broker.wait_until_ready()


def test_the_trends_wait_for_their_first_broker(
    lone_broker: LocalKafka, settings: Settings, start_trends: StartTrends
) -> None:
    """Without a broker they stay up, alive and not ready; they begin when it is there."""
    del settings  # its fixture makes the topics
    lone_broker.kill(0)
    trends = start_trends(KAFKA_CONNECT_TIMEOUT_S="2")
    trends.wait_for_probe("/readyz", 503, "No Kafka broker answers")
    trends.wait_for_probe("/livez", 200, "ok")
    lone_broker.start(0)
    lone_broker.wait_until_ready()
    trends.wait_for_probe("/readyz", 200, "ok")
    assert "Traceback" not in trends.log
