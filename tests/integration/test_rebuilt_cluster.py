"""A broker whose data are gone, at the same address: another cluster, of which nobody is told."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.broker import LocalKafka
from local.process import free_port
from local.settings import LocalSettings
from sentiment.kafka import topics
from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.pages import page
from tests.integration.trends_process import StartTrends
from tests.integration.workers import PATIENCE_S, WorkerProcess, read_results, send

pytestmark = pytest.mark.kafka

ACCEPTED, OK = 202, 200


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of the test's own."""
    with LocalKafka(tmp_path / "kafka", LocalSettings().cache_dir, print, port=free_port()) as own:
        yield own


@pytest.fixture
def bootstrap_servers(broker: LocalKafka) -> str:
    """What the settings, workers and pages of this file's tests use."""
    return broker.bootstrap_servers


@pytest.fixture
def rebuild(broker: LocalKafka, settings: Settings, tmp_path: Path) -> Callable[[], None]:
    """Stops the broker, forgets all that it had, and begins with new topics of the same names."""

    def anew() -> None:
        broker.kill(0)
        shutil.rmtree(tmp_path / "kafka" / "broker-0" / "data")
        (tmp_path / "kafka" / "cluster-id").unlink()
        broker.start(0)
        broker.wait_until_ready()
        topics.create(settings)

    return anew


def test_workers_end_and_their_successors_begin_anew(
    rebuild: Callable[[], None], settings: Settings, start_worker: StartWorker
) -> None:
    """They say that what they began with is gone; the next ones classify what is new."""

    def start() -> list[WorkerProcess]:
        return [
            start_worker(WORKER_GROUP_PROTOCOL=protocol, WORKER_GROUP_ID=f"its-{protocol}")
            for protocol in ("consumer", "classic")
        ]

    workers = start()
    send(settings, [b'{"text":"a good film"}'] * 40)
    assert len(read_results(settings, 80)) == 80
    rebuild()
    send(settings, [b'{"text":"a bad film"}'] * 8)
    for worker in workers:
        assert worker.wait() == 1
        # Whoever notices it first: the consumer protocol, or the look at the topics.
        assert "was made anew" in worker.log or "The group id does not exist" in worker.log
        assert "Traceback" not in worker.log
    start()
    # The first ones may have had time for some of them.
    assert [result.sentiment for result in read_results(settings, 16)] == ["negative"] * 16


def test_trends_end_and_their_successors_begin_anew(
    rebuild: Callable[[], None],
    settings: Settings,
    start_worker: StartWorker,
    start_trends: StartTrends,
) -> None:
    """Nothing of the old cluster hides what the new one has, though both are there for a while."""
    start_worker()
    trends = start_trends()
    send(settings, [b'{"text":"a good film"}'] * 40)
    trends.wait_for(40)
    # These are counted, but not committed yet when the broker ends.
    send(settings, [b'{"text":"a good film"}'] * 4)
    while trends.events() < 44:
        time.sleep(0.01)
    rebuild()
    start_worker()
    send(settings, [b'{"text":"a good film"}'] * 8)
    assert trends.wait() == 1
    assert "was made anew" in trends.log
    trends.start()
    trends.wait_for(8)


def test_a_page_goes_on_with_the_new_cluster(
    rebuild: Callable[[], None], settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """The page sends events to the new cluster and shows their results, without a restart."""
    del settings  # its fixture sets the environment
    start_worker()
    with page(tmp_path / "page.log") as shown:
        assert shown.ask("/api/events", {"id": "before", "text": "a good film"})[0] == ACCEPTED
        assert shown.ask("/api/results/before?wait=30")[0] == OK
        rebuild()
        start_worker()
        deadline, number = time.monotonic() + PATIENCE_S, 0
        while shown.ask(f"/api/results/after-{number}?wait=10")[0] != OK:
            assert time.monotonic() < deadline, shown.log.read_text()
            number += 1
            shown.ask("/api/events", {"id": f"after-{number}", "text": "a good film"})
