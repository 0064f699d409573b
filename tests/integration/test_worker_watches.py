"""What a worker sees of its brokers beside the loop: lag, expired events, hanging transactions."""

import re
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from local.broker import LocalKafka
from local.settings import LocalSettings
from sentiment.kafka import clients
from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.workers import (
    PATIENCE_S,
    WorkerProcess,
    monitored,
    read_results,
    send,
)

# By `expire`: offsets 2, 3 and 4 of two partitions.
EXPIRED = 6
GOOD = b'{"text":"a good film"}'


def metric(worker: WorkerProcess, name: str, labels: str = "") -> float:
    """A metric's value, summed over what the labels leave open; 0 where there is none."""
    lines = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", worker.get("/metrics"), re.MULTILINE)
    return sum(float(value) for found, value in lines if labels in found)


def wait_until(true: Callable[[], bool], worker: WorkerProcess) -> None:
    """Wait for something that the worker shows."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, worker.log
        time.sleep(0.2)


def not_ready(worker: WorkerProcess) -> str:
    """Why it isn't ready; empty where it is."""
    try:
        worker.get("/readyz")
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    return ""


def test_an_idle_topic_has_no_lag(settings: Settings, start_worker: StartWorker) -> None:
    """Marks of transactions behind the last event are no events that wait."""
    producer = clients.new_producer(settings.kafka, transactional_id=settings.topics.events)
    producer.init_transactions(30)
    for _ in range(5):
        producer.begin_transaction()
        for partition in range(settings.topics.partitions):
            producer.produce(settings.topics.events, GOOD, partition=partition)
        producer.commit_transaction(30)
    worker = start_worker()
    assert len(read_results(settings, 20)) == 20
    lag = f'partition="{settings.topics.partitions - 1}"'
    wait_until(lambda: lag in worker.get("/metrics"), worker)
    wait_until(lambda: metric(worker, "sentiment_consumer_lag") == 0, worker)


def expire(settings: Settings) -> None:
    """Delete the first events of partition 0 and 1, as a short retention does."""
    admin = clients.new_admin(settings.kafka)
    before = [TopicPartition(settings.topics.events, partition, 5) for partition in (0, 1)]
    for deleted in admin.delete_records(before).values():
        deleted.result(30)


def test_events_that_expired_unread_are_counted_and_told(
    settings: Settings, start_worker: StartWorker
) -> None:
    """The number of each partition is in the log and in a counter, and the stream goes on."""
    worker = start_worker()
    send(settings, [GOOD] * 8)
    assert len(read_results(settings, 8)) == 8
    worker.end()
    # Offsets 2 to 11 of each partition.
    send(settings, [GOOD] * 40)
    expire(settings)
    worker = start_worker()
    assert len(read_results(settings, 8 + 40 - EXPIRED)) == 8 + 40 - EXPIRED
    topic = settings.topics.events
    for partition in (0, 1):
        labels = f'partition="{partition}",topic="{topic}"'
        worker.wait_for_metric(f"sentiment_expired_events_total{{{labels}}} 3.0")
    assert metric(worker, "sentiment_expired_events_total") == EXPIRED
    assert worker.log.count("events expired before they were read") == 2


def test_a_worker_may_stop_at_expired_events(settings: Settings, start_worker: StartWorker) -> None:
    """With WORKER_EXPIRED=stop nothing behind them is committed, at any start, and it says why."""
    worker = start_worker()
    send(settings, [GOOD] * 8)
    assert len(read_results(settings, 8)) == 8
    worker.end()
    send(settings, [GOOD] * 40)
    expire(settings)
    for _ in range(2):
        worker = start_worker(WORKER_EXPIRED="stop")
        assert worker.wait() == 6
        assert "3 events of" in worker.log
        assert "WORKER_EXPIRED=go_on" in worker.log
        assert "Traceback" not in worker.log
    places = [result.input.partition for result in read_results(settings, 8)]
    assert (places.count(0), places.count(1)) == (2, 2)


def test_a_transaction_that_hangs_is_named(settings: Settings, start_worker: StartWorker) -> None:
    """What it holds back for too long, while all else goes on: log, metric, readiness."""
    # Somebody else's, which the brokers will not end while the test runs.
    hanging = clients.new_producer(
        settings.kafka, transactional_id=settings.topics.tallies, transaction_timeout_ms=600_000
    )
    hanging.init_transactions(30)
    send(settings, [GOOD] * 8)
    # Beside the ten seconds that a transaction may last.
    program = monitored(CHECK_S=0.5, OVERDUE_S=3.0)
    worker = start_worker(*program)
    assert len(read_results(settings, 8)) == 8
    member = clients.new_consumer(settings.kafka, group_id=settings.worker.group_id)
    hanging.begin_transaction()
    hanging.produce(settings.topics.results, b"never committed", partition=3)
    hanging.flush(30)
    hanging.send_offsets_to_transaction(
        [TopicPartition(settings.topics.events, 0, 1)], member.consumer_group_metadata(), 30
    )
    busy = clients.new_producer(settings.kafka)

    def is_named() -> bool:
        # What goes on elsewhere says nothing of it.
        busy.produce(settings.topics.events, GOOD, partition=1)
        assert busy.flush(30) == 0
        return metric(worker, "sentiment_hanging_transactions") == 2

    wait_until(is_named, worker)
    assert worker.log.count("a transaction hangs") == 2
    assert f'"holds_back": "{settings.topics.results}-3"' in worker.log
    offsets = "holds back the group's committed offsets of partition 0"
    wait_until(lambda: offsets in not_ready(worker), worker)
    hanging.abort_transaction(30)
    wait_until(lambda: metric(worker, "sentiment_hanging_transactions") == 0, worker)
    wait_until(lambda: not not_ready(worker), worker)


class TestForgottenProducer:
    """A broker that forgets transactional ids within seconds."""

    @pytest.fixture
    def bootstrap_servers(self, tmp_path: Path) -> Iterator[str]:
        """What the settings and the workers of this class use."""

        class Forgetful(LocalKafka):
            def properties(self, number: int) -> str:
                return super().properties(number) + (
                    "transactional.id.expiration.ms=1000\n"
                    "transaction.remove.expired.transaction.cleanup.interval.ms=500\n"
                    "producer.id.expiration.ms=1000\n"
                    "producer.id.expiration.check.interval.ms=500\n"
                )

        with Forgetful(tmp_path / "kafka", LocalSettings().cache_dir, print) as broker:
            yield broker.bootstrap_servers

    def test_it_is_replaced_at_once(self, settings: Settings, start_worker: StartWorker) -> None:
        """An id that expired between two transactions costs one new producer, and nothing else."""
        worker = start_worker()
        for count in (4, 8, 12):
            if count > 4:
                # Any longer than it takes the broker to forget.
                time.sleep(4)
            send(settings, [GOOD] * 4)
            assert len(read_results(settings, count)) == count
        replaced = metric(worker, "sentiment_transaction_resets_total")
        aborted = metric(worker, "sentiment_transactions_total", 'outcome="aborted"')
        assert 0 < aborted <= replaced <= 4, worker.log
        assert worker.log.count("worker starts") == 1
