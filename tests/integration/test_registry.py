"""Claims about publishing to and loading from a real registry: a SQLite store and a server."""

import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from sentiment.errors import (
    InputError,
    ModelNotFoundError,
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
)
from sentiment.registry import publish as publishing
from sentiment.registry.artifact import checksums
from sentiment.registry.publish import bundled_model, ensure_published, publish
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings
from tests import compiled, stores
from tests.integration.mlflow_server import PATIENCE_S, Server

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a SQLite store, also in the environment."""
    uri = stores.provide(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture
def settings(tmp_path: Path) -> ModelSettings:
    """The model's settings with a cache of the test's own."""
    return ModelSettings(cache_dir=compiled.provide(tmp_path / "cache"), registry_timeout_s=60)


def other_model(folder: Path) -> Path:
    """A model directory that differs from the bundled one."""
    directory = Path(shutil.copytree(bundled_model(), folder))
    (directory / "MODEL_CARD.md").write_text("another one")
    return directory


def test_server_dies_and_comes_back(
    mlflow_server: Server, settings: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published, loaded, served from the copy while the server is dead, and followed afterwards."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    assert ensure_published() == "1"
    assert ensure_published() == "1"
    registry = Registry(settings)
    assert registry.cached() is None
    first = registry.load_champion()
    assert (first.name, first.version, first.scorer.kind) == ("sentiment", "1", "compiled")
    expected = first.scorer.score(["a fine film", "a dull film"])

    mlflow_server.kill()
    with pytest.raises(RegistryUnavailableError):
        registry.resolve()
    copy = Registry(settings).load_champion()
    assert copy.version == "1"
    assert copy.scorer.score(["a fine film", "a dull film"]) == pytest.approx(expected)
    with pytest.raises(RegistryUnavailableError):
        Registry(settings.replace(uri="models:/sentiment@other")).load_champion()

    mlflow_server.start()
    assert publish(other_model(tmp_path / "other")) == "2"
    assert registry.resolve() == "2"
    assert registry.load("2").version == "2"
    cached = Registry(settings).cached()
    assert cached is not None
    assert cached.version == "2"


def test_alias_and_version_are_followed(
    store: str, settings: ModelSettings, tmp_path: Path
) -> None:
    """An alias that moves is seen at the next look; a version stays what it is."""
    from mlflow import MlflowClient

    assert publish(bundled_model()) == "1"
    assert publish(other_model(tmp_path / "other"), alias="challenger") == "2"
    registry = Registry(settings)
    assert registry.resolve() == "1"
    MlflowClient(store).set_registered_model_alias("sentiment", "champion", "2")
    assert registry.resolve() == "2"
    assert Registry(settings.replace(uri="models:/sentiment/1")).load_champion().version == "1"


def test_version_names_its_files_and_data(store: str, tmp_path: Path) -> None:
    """A version carries figures and checksums; its files lie beside the store."""
    from mlflow import MlflowClient

    publish(bundled_model())
    version = MlflowClient(store).get_model_version("sentiment", "1")
    assert version.tags["sentiment.candidate"] == "champion"
    assert float(version.tags["sentiment.accuracy"]) >= 0.88
    assert len(version.tags["sentiment.train_sha256"]) == 64
    assert len(version.tags["sentiment.sha256"]) == 64
    (stored,) = (tmp_path / "artifacts").rglob("model.skops")
    assert checksums(stored.parent) == checksums(bundled_model())


def test_new_bundled_model_is_published_again(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ensure_published` publishes again when the bundled files are others, and only then."""
    assert ensure_published(store) == "1"
    directory = other_model(tmp_path / "other")
    monkeypatch.setattr(publishing, "bundled_model", lambda: directory)
    assert ensure_published(store) == "2"
    assert ensure_published(store) == "2"


def test_a_model_that_somebody_chose_stays(store: str, tmp_path: Path) -> None:
    """`ensure_published` doesn't take the alias away from a model that is not the bundled one."""
    assert ensure_published(store) == "1"
    assert publish(other_model(tmp_path / "other"), store) == "2"
    assert ensure_published(store) == "2"


def test_what_is_missing_is_named(store: str, settings: ModelSettings, tmp_path: Path) -> None:
    """No model, no alias, no version, no directory: each says what is missing."""
    with pytest.raises(ModelNotFoundError, match="sentiment"):
        Registry(settings).resolve()
    publish(bundled_model(), alias="")
    with pytest.raises(ModelNotFoundError, match="champion"):
        Registry(settings).load_champion()
    with pytest.raises(ModelNotFoundError):
        Registry(settings.replace(uri="models:/sentiment/7")).load_champion()
    with pytest.raises(ModelNotFoundError):
        Registry(settings).load("7")
    with pytest.raises(InputError, match="MLmodel"):
        publish(tmp_path, store)


def test_damaged_artifact_is_refused(store: str, settings: ModelSettings, tmp_path: Path) -> None:
    """Files that changed after publishing are refused, and the good copy stays."""
    ensure_published(store)
    registry = Registry(settings)
    registry.load_champion()
    (stored,) = (tmp_path / "artifacts").rglob("MODEL_CARD.md")
    stored.write_text("forged")
    with pytest.raises(ModelRefusedError, match="published"):
        registry.load("1")
    assert registry.cached() is not None


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.usefixtures("store")
def test_pickle_in_the_registry_is_refused_unread(settings: ModelSettings, tmp_path: Path) -> None:
    """A model that MLflow saved as a pickle is refused, and what it hides never runs."""
    from mlflow import MlflowClient, sklearn as mlflow_sklearn
    from sklearn.linear_model import LogisticRegression

    mark = tmp_path / "mark"
    model = LogisticRegression().fit([[0], [1]], [0, 1])
    directory = tmp_path / "pickled"
    mlflow_sklearn.save_model(
        model, directory, serialization_format="pickle", pip_requirements=["scikit-learn"]
    )
    (directory / "model.pkl").write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ModelRefusedError, match="stored as pickle"):
        publish(directory)
    # Somebody else's client publishes it all the same.
    client = MlflowClient()
    client.create_registered_model("sentiment")
    version = client.create_model_version("sentiment", str(directory))
    client.set_registered_model_alias("sentiment", "champion", version.version)
    with pytest.raises(ModelRefusedError, match="stored as pickle"):
        Registry(settings).load_champion()
    assert Registry(settings).cached() is None
    assert not mark.exists()
    flavor = yaml.safe_load((directory / "MLmodel").read_text())["flavors"]["sklearn"]
    assert flavor["serialization_format"] == "pickle"


@pytest.mark.usefixtures("store")
def test_changed_copy_is_not_served(settings: ModelSettings) -> None:
    """A copy on disk whose bytes changed isn't used, and the registry mends it."""
    ensure_published()
    Registry(settings).load_champion()
    (kept,) = settings.cache_dir.rglob("model.skops")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    assert Registry(settings).cached() is None
    Registry(settings).load_champion()
    assert Registry(settings).cached() is not None


def test_same_name_elsewhere_is_another_model(
    store: str, settings: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy from one registry is never served for a model of the same name in another."""
    ensure_published(store)
    Registry(settings).load_champion()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    assert Registry(settings).cached() is None


@pytest.mark.usefixtures("store")
def test_workers_share_a_cache(settings: ModelSettings, tmp_path: Path) -> None:
    """Workers that load two versions into one cache at one time leave a good copy behind."""
    publish(bundled_model())
    publish(other_model(tmp_path / "other"))
    failures: list[BaseException] = []

    def work(version: str) -> None:
        try:
            for _ in range(5):
                Registry(settings).load(version)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(str(1 + i % 2),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not failures
    assert Registry(settings).cached() is not None
    assert not list(settings.cache_dir.rglob(".new-*"))


def test_silent_registry_is_given_up(
    settings: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes the connection and never answers is given up in the time set."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        # pragma: allowlist nextline secret - of this test
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{port}")
        with pytest.raises(RegistryUnavailableError, match="not answer") as given_up:
            Registry(settings.replace(registry_timeout_s=4)).load_champion()
    assert "secret" not in given_up.value.message


def test_user_and_password_are_sent(
    settings: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User and password of the environment reach the server, as DagsHub asks for; 401 is told."""
    seen: list[str | None] = []

    class Guard(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing of it belongs on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Guard) as guard:
        threading.Thread(target=guard.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{guard.server_port}")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        with pytest.raises(RegistryDeniedError, match=r"refuses us: .* 401") as refused:
            Registry(settings).resolve()
        guard.shutdown()
    assert set(seen) == {"Basic YWRhOnNlY3JldA=="}
    assert "secret" not in refused.value.message
    assert "MLFLOW_TRACKING_PASSWORD" in refused.value.hint


def test_the_client_tells_nobody_of_its_calls(store: str) -> None:
    """MLflow's own telemetry, which is off in tests by itself, is off everywhere else too."""
    code = (
        "import sys; from sentiment.registry.tracking import connect\n"
        "with connect(2, sys.argv[1]): pass\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "print(get_telemetry_client())"
    )
    # What MLflow takes for a test or for CI, see its `telemetry/utils.py`.
    kept = {"PATH", "HOME", "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code, store], capture_output=True, text=True, check=True,
        env={name: value for name, value in os.environ.items() if name in kept},
    )  # fmt: skip
    assert done.stdout == "None\n"
