"""A worker, and the registry that it takes its model from."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from sentiment.kafka import clients, topics
from sentiment.registry.artifact import COMPILED
from sentiment.registry.publish import bundled_model, ensure_published, publish
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings, Settings
from tests import compiled, stores
from tests.conftest import TOPICS
from tests.integration.mlflow_server import Server
from tests.integration.pages import site
from tests.integration.replays import Replays
from tests.integration.secure_kafka import SecureKafka, secure_kafka
from tests.integration.trends_process import StartTrends, TrendsProcess
from tests.integration.workers import WorkerProcess

__all__ = ["site"]

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="session")
def secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker of its own, with passwords, certificates and ACLs."""
    with secure_kafka(tmp_path_factory.mktemp("secure-kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def registry_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real MLflow store, a SQLite file, with the bundled model as `sentiment@champion`."""
    uri = stores.provide(tmp_path_factory.mktemp("registry"))
    ensure_published(tracking_uri=uri)
    return uri


@pytest.fixture(scope="session")
def fetched(registry_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a worker keeps of that registry's champion: to fetch it takes each of them seconds."""
    folder = compiled.provide(tmp_path_factory.mktemp("fetched"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", registry_uri)
        Registry(ModelSettings().replace(cache_dir=folder)).load_champion()
    return folder


@pytest.fixture
def kept_as_sent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Topics that were there before us: brokers keep on them what producers have compressed."""
    for name in TOPICS:
        own = getattr(settings.topics, name.lower())
        monkeypatch.setenv(f"TOPICS_{name}", f"{own}-as-sent")
    older = Settings()
    kept = {"compression.type": "producer"}
    shapes = [replace(topic, config=topic.config | kept) for topic in topics.wanted(older)]
    made = [state.name for state in topics.create(older, shapes) if state.created]
    yield older
    for future in clients.new_admin(older.kafka).delete_topics(made).values():
        with suppress(KafkaException, TimeoutError):
            future.result(timeout=10)


@pytest.fixture
def start_worker(
    settings: Settings,
    registry_uri: str,
    fetched: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[StartWorker]:
    """Starts workers on the test's own topics; ends them with the test."""
    del settings  # its fixture sets the environment
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry_uri)
    own, ignored = os.environ["MODEL_CACHE_DIR"], shutil.ignore_patterns(COMPILED)
    shutil.copytree(fetched, own, ignore=ignored, dirs_exist_ok=True)
    workers: list[WorkerProcess] = []

    def start(*program: str, **environment: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(workers)}.log"
        run = program or ("-m", "sentiment", "worker")
        workers.append(WorkerProcess(log, {**os.environ, **environment}, run))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture
def start_trends(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StartTrends]:
    """Starts trends on the test's own topics; ends them with the test."""
    del settings  # its fixture sets the environment
    # The least that brokers allow: what follows a kill waits for it.
    monkeypatch.setenv("TRENDS_SESSION_TIMEOUT_S", "6")
    started: list[TrendsProcess] = []

    def start(program: Sequence[str] = ("-m", "sentiment"), **environment: str) -> TrendsProcess:
        log = tmp_path / f"trends-{len(started)}.log"
        started.append(TrendsProcess(log, environment, program))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture(scope="session")
def challenged(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry of the replays' own: version 1 is the champion, version 2 the challenger."""
    uri = stores.provide(tmp_path_factory.mktemp("replay"))
    ensure_published(tracking_uri=uri)
    assert publish(bundled_model(), uri, alias="challenger") == "2"
    return uri


@pytest.fixture
def replays(
    settings: Settings, challenged: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Replays]:
    """Replays into a topic of the test's own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", challenged)
    replays = Replays(settings, challenged)
    yield replays
    if replays.exists():
        replays.delete()


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[Server]:
    """A running MLflow server with an empty SQLite store, and a folder for artifacts."""
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()
