"""Claims about what a worker says of a registry that lost something, on real ones of MLflow."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from structlog.testing import capture_logs
from structlog.typing import EventDict

from sentiment import metrics
from sentiment.errors import ArtifactMissingError, VersionMissingError
from sentiment.registry import registry
from sentiment.registry.publish import bundled_model, publish
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings, Settings
from stream_worker import served_models as following
from stream_worker.served_models import ServedModels
from tests import compiled
from tests.integration.conftest import StartWorker
from tests.integration.mlflow_server import Server
from tests.integration.workers import PATIENCE_S, WorkerProcess, read_results, send

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

NAME = "sentiment"


@pytest.fixture(scope="module", params=["server", "sqlite"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """A registry, once behind a server and once as a file, and where it keeps artifacts."""
    folder = tmp_path_factory.mktemp("store")
    server = Server(folder)
    address = f"sqlite:///{folder}/mlflow.db"
    if request.param == "server":
        server.start()
        address = server.uri
    yield address, folder / "artifacts"
    server.kill()


@pytest.fixture
def uri(store: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The registry with versions 1 and 2 of the model, and nothing else."""
    address, artifacts = store
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    publish(bundled_model())
    publish_other(tmp_path, "second")
    yield address
    with suppress(MlflowException):
        # A test may have deleted it.
        MlflowClient(address).delete_registered_model(NAME)
    shutil.rmtree(artifacts)


def publish_other(folder: Path, name: str, alias: str = "champion") -> str:
    """Publish a model that differs from the others by its card."""
    directory = Path(shutil.copytree(bundled_model(), folder / name))
    (directory / "MODEL_CARD.md").write_text(name)
    return publish(directory, alias=alias)


@pytest.fixture
def artifacts(store: tuple[str, Path]) -> Path:
    """Where the registry keeps the files of models."""
    return store[1]


def stored(artifacts: Path, name: str) -> Path:
    """Where the model is that `publish_other` made."""
    cards = artifacts.rglob("MODEL_CARD.md")
    (found,) = [card.parent for card in cards if card.read_text() == name]
    return found


def settings_of(folder: Path) -> ModelSettings:
    """The model's settings with a cache of the test's own."""
    return ModelSettings(cache_dir=compiled.provide(folder / "cache"), registry_timeout_s=20)


def errors(reason: str) -> float:
    """How many looks at the registry failed for a reason."""
    name = "sentiment_registry_errors_total"
    return metrics.REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


def told(worker: ServedModels, looks: int = 3) -> list[EventDict]:
    """What a worker says at some looks at the registry."""
    with capture_logs() as said:
        for _ in range(looks):
            worker.check()
    return [line for line in said if line["log_level"] == "warning"]


def test_a_deleted_version_is_told_as_such(uri: str, tmp_path: Path) -> None:
    """The version that served is named, with what to do, once; it goes on serving."""
    worker = ServedModels(settings_of(tmp_path), Registry(settings_of(tmp_path)))
    MlflowClient(uri).delete_model_version(NAME, "2")
    before = errors("version_missing")
    [line] = told(worker)
    assert line["event"] == "version is gone"
    assert line["reason"].startswith("Version 2 of 'sentiment' was deleted")
    assert "'champion'" in line["reason"]
    assert "sentiment promote" in line["hint"]
    assert errors("version_missing") == before + 3
    assert worker.models.champion.version == "2"
    MlflowClient(uri).set_registered_model_alias(NAME, "champion", "1")
    assert told(worker) == []
    assert worker.models.champion.version == "1"


def test_a_deleted_alias_is_told_as_such(uri: str, tmp_path: Path) -> None:
    """The alias is named, and not the version, which is still there."""
    worker = ServedModels(settings_of(tmp_path), Registry(settings_of(tmp_path)))
    MlflowClient(uri).delete_registered_model_alias(NAME, "champion")
    [line] = told(worker)
    assert (line["event"], line["reason"]) == (
        "alias is gone",
        "There is no alias 'champion' of 'sentiment'.",
    )
    # Another trouble is another line.
    MlflowClient(uri).delete_registered_model(NAME)
    [line] = told(worker)
    assert (line["event"], line["reason"]) == (
        "model is not in the registry",
        "The registry has no model 'sentiment'.",
    )
    assert worker.models.champion.version == "2"


@pytest.mark.parametrize("gone", ["model.skops", "MLmodel", "all of its files"])
def test_a_missing_artifact_is_named(
    uri: str, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """The file and where it is missing; the old model goes on until the file is back."""
    worker = ServedModels(settings_of(tmp_path), Registry(settings_of(tmp_path)))
    assert publish_other(tmp_path, "third", alias="") == "3"
    folder = stored(artifacts, "third")
    place = folder if gone.startswith("all") else folder / gone
    shutil.move(place, tmp_path / "moved")
    MlflowClient(uri).set_registered_model_alias(NAME, "champion", "3")
    before = errors("artifact_missing"), errors("unavailable")
    [line] = told(worker)
    assert line["event"] == "artifact is missing"
    assert f"Version 3 of 'sentiment' has lost {gone}" in line["reason"]
    assert str(MlflowClient(uri).get_model_version(NAME, "3").source) in line["reason"]
    # Each try is a download of all that is there: no more than one in a minute.
    assert (errors("artifact_missing"), errors("unavailable")) == (before[0] + 1, before[1])
    assert worker.models.champion.version == "2"
    monkeypatch.setattr(registry, "MISSING_PAUSE_S", 0.0)
    again = ServedModels(settings_of(tmp_path), Registry(settings_of(tmp_path)))
    assert len(told(again)) == 1
    shutil.move(tmp_path / "moved", place)
    assert told(again) == []
    assert again.models.champion.version == "3"


def test_a_trial_ends_with_its_version(uri: str, tmp_path: Path) -> None:
    """A challenger whose version or alias is deleted is none any more: that is no trouble."""
    settings = settings_of(tmp_path)
    publish_other(tmp_path, "trial", alias="challenger")
    trial = Registry(settings.replace(uri=settings.challenger_uri))
    worker = ServedModels(settings, Registry(settings), trial)
    worker.check()
    assert worker.models.challenger is not None
    MlflowClient(uri).delete_model_version(NAME, "3")
    assert told(worker) == []
    assert worker.models.challenger is None


def test_a_start_without_files_takes_the_last_good_copy(
    uri: str, artifacts: Path, tmp_path: Path
) -> None:
    """What was loaded once serves where the store has lost it; a version that is gone does not."""
    settings = settings_of(tmp_path)
    Registry(settings).load_champion()
    shutil.rmtree(stored(artifacts, "second"))
    assert Registry(settings).load_champion().version == "2"
    with pytest.raises(ArtifactMissingError, match="all of its files"):
        Registry(settings.replace(cache_dir=tmp_path / "empty")).load_champion()
    MlflowClient(uri).delete_model_version(NAME, "2")
    for version in ("2", "7"):
        with pytest.raises(VersionMissingError, match=f"no version {version} of 'sentiment'"):
            Registry(settings.replace(uri=f"models:/{NAME}/{version}")).load_champion()
        with pytest.raises(VersionMissingError, match=f"no version {version} of 'sentiment'"):
            Registry(settings).load(version)


def lines(worker: WorkerProcess) -> list[tuple[str, str]]:
    """What a worker has said of its registry: event and reason."""
    said = [json.loads(line) for line in worker.log.splitlines() if line.startswith("{")]
    return [
        (line["event"], line.get("reason", ""))
        for line in said
        if line["event"] in {*following.EVENTS.values(), "registry is in order again"}
    ]


@pytest.mark.kafka
def test_a_worker_tells_each_trouble_once(
    settings: Settings,
    start_worker: StartWorker,
    mlflow_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deleted version, deleted alias, lost file, dead server: four sentences, and no event less."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    publish(bundled_model())
    publish_other(tmp_path, "second")
    publish_other(tmp_path, "third", alias="")
    (stored(tmp_path / "artifacts", "third") / "model.skops").unlink()
    worker = start_worker(
        MLFLOW_TRACKING_URI=mlflow_server.uri,
        MODEL_POLL_INTERVAL_S="0.2",
        MODEL_REGISTRY_TIMEOUT_S="20",
        LOG_FORMAT="json",
    )
    send(settings, [b'{"text": "a good one"}'])
    read_results(settings, 1)
    client = MlflowClient(mlflow_server.uri)

    def in_order(times: int) -> None:
        client.set_registered_model_alias(NAME, "champion", "1")
        deadline = time.monotonic() + PATIENCE_S
        while lines(worker).count(("registry is in order again", "")) < times:
            assert time.monotonic() < deadline, worker.log
            time.sleep(0.1)

    client.delete_model_version(NAME, "2")
    worker.wait_for_log("version is gone")
    in_order(1)
    client.delete_registered_model_alias(NAME, "champion")
    worker.wait_for_log("alias is gone")
    in_order(2)
    client.set_registered_model_alias(NAME, "champion", "3")
    worker.wait_for_log("artifact is missing")
    in_order(3)
    mlflow_server.kill()
    worker.wait_for_log("registry does not answer")
    told = [line for line in lines(worker) if line[0] != "registry is in order again"]
    assert [event for event, _ in told] == [
        "version is gone",
        "alias is gone",
        "artifact is missing",
        "registry does not answer",
    ]
    assert "Version 2 of" in told[0][1]
    assert "model.skops" in told[2][1]
    scraped = worker.get("/metrics")
    for reason in ("version_missing", "alias_missing", "artifact_missing", "unavailable"):
        series = f'sentiment_registry_errors_total{{reason="{reason}"}} '
        [count] = [line for line in scraped.splitlines() if line.startswith(series)]
        assert float(count.removeprefix(series)) >= 1
    send(settings, [b'{"text": "a good one"}'] * 5)
    assert {result.model.version for result in read_results(settings, 6)[-5:]} == {"1"}
