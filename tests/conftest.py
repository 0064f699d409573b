"""The Kafka of the tests, and settings of a test's own on it."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest
from confluent_kafka import KafkaException

from local.broker import LocalKafka
from local.jars import KAFKA_VERSION
from sentiment import kafka, topics
from sentiment.settings import LocalSettings, Settings

# The version that the local Kafka runs too, so that a test means the same on both.
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
# A machine that is busy, or compiles native code first, makes no claim wrong.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

TOPICS = ("EVENTS", "RESULTS", "DEAD_LETTERS", "TALLIES", "TRENDS", "FEEDBACK")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a Kafka, so that `-m 'not kafka'` leaves it out."""
    for item in items:
        if "bootstrap_servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def bootstrap_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Apache Kafka: the one given, else a container, else the local one."""
    if given := os.environ.get("TEST_KAFKA_BOOTSTRAP_SERVERS"):
        yield given
    elif _docker_answers():
        yield from _container()
    else:
        folder = tmp_path_factory.mktemp("kafka")
        with LocalKafka(folder, LocalSettings().cache_dir, print) as broker:
            yield broker.bootstrap_servers


@pytest.fixture
def settings(
    bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Settings]:
    """Settings with topics, a group and folders of the test's own; processes inherit them."""
    own = uuid.uuid4().hex[:8]
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    for name in TOPICS:
        monkeypatch.setenv(f"TOPICS_{name}", f"{own}-{name.lower()}")
    monkeypatch.setenv("WORKER_GROUP_ID", f"{own}-workers")
    monkeypatch.setenv("TRENDS_GROUP_ID", f"{own}-trends")
    monkeypatch.setenv("WORKER_HTTP_PORT", "0")
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "models"))
    settings = Settings()
    topics.create(settings)
    # Made before the test, which may change its settings.
    admin = kafka.new_admin(settings.kafka)
    names = [topic.name for topic in topics.wanted(settings)]
    yield settings
    # A broker with a thousand partitions that nobody needs any more is slow for the next test.
    for future in admin.delete_topics(names).values():
        with suppress(KafkaException):
            # A test may have stopped the broker, and its topics with it.
            future.result(timeout=10)


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    # Its own program asks: the Python client leaves a socket open where no daemon answers.
    command = [docker, "info"]
    asked = subprocess.run(command, capture_output=True, timeout=30, check=False)
    return asked.returncode == 0


def _container() -> Iterator[str]:
    """Apache Kafka's own image as a plain container that tells its clients our port."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    from local.ports import free_port

    port = free_port()
    container = (
        DockerContainer(IMAGE)
        .with_bind_ports(9092, port)
        .with_env("KAFKA_NODE_ID", "1")
        .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093")
        .with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://127.0.0.1:{port}")
        .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env(
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
        )
        .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env("KAFKA_GROUP_CONSUMER_SESSION_TIMEOUT_MS", "6000")
        .with_env("KAFKA_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS", "6000")
        .waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    )
    with container:
        yield f"127.0.0.1:{port}"
