"""The Kafka of the tests, and settings of a test's own on it."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from confluent_kafka import KafkaException

from local import broker as local_broker
from local.broker import HEAP, LocalKafka
from local.jars import KAFKA_VERSION
from local.process import HOST, free_ports
from local.settings import LocalSettings
from sentiment.kafka import clients, topics
from sentiment.settings import Settings
from tests import compiled, scheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

# The version that the local Kafka runs too, so that a test means the same on both.
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
# Far above what Docker's answer or a broker's start takes, also beside a busy laptop's programs.
PATIENCE_S = 300
# A machine that is busy, or compiles native code first, makes no claim wrong.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

TOPICS = ("EVENTS", "RESULTS", "DEAD_LETTERS", "TALLIES", "TRENDS", "FEEDBACK")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a Kafka, so that `-m 'not kafka'` leaves it out; and put all in order."""
    for item in items:
        if "bootstrap_servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)
    place = scheduling.places(item.nodeid.split("::")[0] for item in items)
    items.sort(key=lambda item: place[scheduling.unit_of(item.nodeid.split("::")[0])])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: "Producer"
) -> scheduling.Scheduler | None:
    """Where files are shared among processes (`--dist loadfile`)."""
    return scheduling.Scheduler(config, log) if config.option.dist == "loadfile" else None


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


@contextmanager
def own_settings(
    bootstrap_servers: str, patch: pytest.MonkeyPatch, cache_dir: Path
) -> Iterator[Settings]:
    """Settings with topics and a group of their own, in the environment too, for as long."""
    own = uuid.uuid4().hex[:8]
    patch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    for name in TOPICS:
        patch.setenv(f"TOPICS_{name}", f"{own}-{name.lower()}")
    patch.setenv("WORKER_GROUP_ID", f"{own}-workers")
    patch.setenv("TRENDS_GROUP_ID", f"{own}-trends")
    patch.setenv("WORKER_HTTP_PORT", "0")
    patch.setenv("MODEL_CACHE_DIR", str(compiled.provide(cache_dir)))
    settings = Settings()
    topics.create(settings)
    # Made before the test, which may change its settings.
    admin = clients.new_admin(settings.kafka)
    names = [topic.name for topic in topics.wanted(settings)]
    yield settings
    # A broker with a thousand partitions that nobody needs any more is slow for the next test.
    for future in admin.delete_topics(names).values():
        with suppress(KafkaException, TimeoutError):
            # A test may have stopped the broker, and its topics with it.
            future.result(timeout=10)


@pytest.fixture
def settings(
    bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Settings]:
    """Settings with topics, a group and folders of the test's own; processes inherit them."""
    with own_settings(bootstrap_servers, monkeypatch, tmp_path / "models") as settings:
        yield settings


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    # Its own program asks: the Python client leaves a socket open where no daemon answers.
    command = [docker, "info"]
    asked = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    return asked.returncode == 0


def _container() -> Iterator[str]:
    """Apache Kafka's own image with the local Kafka's configuration, as a plain container.

    It listens on the same port inside as on this machine: what it tells clients is where it finds
    itself too, and a broker that can't connect to itself ends no transaction.
    """
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    port, controller_port = free_ports(2)
    text = local_broker.render(0, [port], [controller_port], Path("/tmp/kafka"))  # noqa: S108 - the container's
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    container = DockerContainer(IMAGE).with_env("KAFKA_HEAP_OPTS", HEAP)
    for name, _, value in (line.partition("=") for line in lines):
        container = container.with_env(f"KAFKA_{name.replace('.', '_').upper()}", value)
    # Not on loopback, which is the container's own; it is published on this machine's alone.
    listeners = f"PLAINTEXT://:{port},CONTROLLER://127.0.0.1:{controller_port}"
    container = container.with_env("KAFKA_LISTENERS", listeners)
    ports: dict[str, Any] = container.ports
    ports[f"{port}/tcp"] = (HOST, port)
    started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(PATIENCE_S)
    with container.waiting_for(started):
        yield f"{HOST}:{port}"
