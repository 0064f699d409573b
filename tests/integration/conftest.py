"""A worker, and the registry that it takes its model from."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentiment.publish import ensure_published
from sentiment.settings import Settings
from tests.integration.workers import WorkerProcess

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="session")
def registry_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real MLflow store, a SQLite file, with the bundled model as `sentiment@champion`."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"
    ensure_published(tracking_uri=uri)
    return uri


@pytest.fixture
def start_worker(
    settings: Settings, registry_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StartWorker]:
    """Starts workers on the test's own topics; ends them with the test."""
    del settings  # its fixture sets the environment
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry_uri)
    workers: list[WorkerProcess] = []

    def start(**environment: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(workers)}.log"
        workers.append(WorkerProcess(log, {**os.environ, **environment}))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()
