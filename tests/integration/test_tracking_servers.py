"""Claims about a model's life on servers: MLflow 3, and one like DagsHub's, as MLflow 2 is."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from sentiment.client import Classifier
from sentiment.errors import RegistryUnavailableError, SettingsError
from sentiment.registry import tracking
from sentiment.registry.publish import TIMEOUT_S
from sentiment.registry.registry import Registry
from sentiment.registry.tracking import models
from sentiment.settings import ModelSettings
from tests.integration.mlflow_server import Server
from tests.integration.proxy import PREFIX, REPOSITORY, Proxy
from tests.integration.releases import EVALUATE, GATES, release, scores, table
from trainer.commands.models import register as command
from trainer.promote import promote, rollback
from trainer.register import register, register_bundled

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

# pragma: allowlist nextline secret
TOKEN = "0123456789abcdef0123456789abcdef01234567"  # noqa: S105 - of the test's own gate
TEST = table()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running MLflow server; tests use models of different names."""
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A gate in front of it that lets the token in, with itself or with Ada as the user."""
    proxy = Proxy(server.uri)
    proxy.logins = {f"{TOKEN}:{TOKEN}", f"ada:{TOKEN}"}
    with proxy.running():
        yield proxy


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Nothing of DagsHub or MLflow in the environment but what a test puts there."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("DAGSHUB_", "MLFLOW_TRACKING_", "MLFLOW_REGISTRY_", "CAPSTONE_")):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)
    tracking._ours.clear()  # noqa: SLF001 - else it would take for a user's what it put there


def life(name: str, folder: Path) -> str:
    """Register, promote, register a better one, promote, go back; gives the second version."""
    worker = Registry(ModelSettings(uri=f"models:/{name}@champion", cache_dir=folder / "cache"))
    versions = []
    for number, share in enumerate((0.8, 1.0)):
        given = scores(TEST, film=share, tweets=share)
        versions.append(register(release(folder / str(number), TEST, given), name=name))
        decision = promote(name, params=GATES, evaluate=EVALUATE, test=TEST)
        assert decision.promoted, decision.reasons
        loaded = worker.load_champion()
        assert loaded.version == versions[-1]
        assert loaded.scorer.score(["loved it, great"])[0] > 0.5
    model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert list(model.predict(["loved it, great", "boring, awful"])) == [1, 0]
    assert rollback(name).version == versions[0]
    assert worker.load_champion().version == versions[0]
    newest, oldest = models(name, TIMEOUT_S)
    assert (newest.aliases, oldest.aliases) == (["challenger"], ["champion"])
    assert newest.accuracy == 1
    assert newest.rolled_back_at
    return versions[1]


def test_life_on_an_mlflow_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On MLflow 3, a version is a logged model that shows under Models with its metrics."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    version = life("on-mlflow", tmp_path)
    client = MlflowClient(server.uri)
    described = client.get_model_version("on-mlflow", version)
    assert described.run_id is not None
    run = client.get_run(described.run_id)
    logged = client.search_logged_models([run.info.experiment_id])
    assert [model.status for model in logged] == ["READY", "READY"]
    (model,) = [model for model in logged if model.source_run_id == described.run_id]
    assert described.source == model.artifact_location
    assert {metric.key: metric.value for metric in model.metrics or []} == run.data.metrics
    assert run.data.metrics["accuracy"] == 1


def test_standard_output_is_the_commands_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that MLflow says about runs on a server comes between a program and its JSON."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    done = CliRunner().invoke(command, ["--bundled", "--name", "bundled", "--json"])
    assert json.loads(done.stdout) == {"name": "bundled", "version": "1", "alias": "champion"}


def test_a_deployment_s_first_model(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--if-missing` publishes the bundled model once, however often a deployment says so."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    arguments = ["--bundled", "--if-missing", "--name", "first", "--json"]
    for _ in range(2):
        done = CliRunner().invoke(command, arguments)
        assert json.loads(done.stdout) == {"name": "first", "version": "1", "alias": "champion"}
    assert CliRunner().invoke(command, ["--if-missing"]).exit_code == 2
    assert CliRunner().invoke(command, [*arguments, "--alias", ""]).exit_code == 2


@pytest.mark.parametrize(
    "variables",
    [{"CAPSTONE_TEST": TOKEN}, {"DAGSHUB_USER_TOKEN": TOKEN, "DAGSHUB_USER": "ada"}],
)
def test_life_on_dagshub(
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    variables: dict[str, str],
) -> None:
    """On a server like DagsHub's, with its address and token from the environment, the files are
    artifacts of the run, since it knows no logged models; all else is the same.
    """  # noqa: D205 - one claim
    monkeypatch.setenv("DAGSHUB_CLIENT_HOST", proxy.host)
    monkeypatch.setenv("DAGSHUB_REPO", REPOSITORY)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    name = f"on-dagshub-{len(variables)}"
    version = life(name, tmp_path)
    assert set(proxy.seen) == {f"{variables.get('DAGSHUB_USER', TOKEN)}:{TOKEN}"}
    assert "/api/2.0/mlflow/logged-models" in proxy.refused
    client = MlflowClient(server.uri)
    described = client.get_model_version(name, version)
    assert described.run_id is not None
    run = client.get_run(described.run_id)
    assert described.source == f"{run.info.artifact_uri}/model"
    assert run.data.metrics["domain/tweets"] == 1
    assert run.data.params["candidate"] == "champion"
    paths = {file.path for file in client.list_artifacts(described.run_id)}
    assert paths == {"MODEL_CARD.md", "model", "plots"}
    assert not client.search_logged_models([run.info.experiment_id])


def test_wrong_token_is_told_and_not_shown(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses the token, and repeats it, is told of; the token never is."""
    secret = "fedcba9876543210"  # noqa: S105 - opens nothing  # pragma: allowlist secret
    monkeypatch.setenv("DAGSHUB_CLIENT_HOST", proxy.host)
    monkeypatch.setenv("DAGSHUB_REPO", REPOSITORY)
    monkeypatch.setenv("CAPSTONE_TEST", secret)
    with pytest.raises(RegistryUnavailableError, match="401") as refused:
        register_bundled(name="nobody")
    assert f"{secret}:{secret}" in proxy.seen
    assert "no access for ***" in refused.value.message
    assert secret not in refused.value.message + refused.value.hint
    assert "DAGSHUB_USER_TOKEN" in refused.value.hint


def test_token_goes_to_dagshub_alone(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not DagsHub never sees DagsHub's token."""
    monkeypatch.setenv("DAGSHUB_USER_TOKEN", TOKEN)
    monkeypatch.setenv("DAGSHUB_REPO", REPOSITORY)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{proxy.host}{PREFIX}")
    with pytest.raises(RegistryUnavailableError):
        models("on-mlflow", TIMEOUT_S)
    assert set(proxy.seen) == {None}


def test_what_is_taken_out_of_the_environment_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without DagsHub's variables nothing of what they brought stays; what a user set does."""
    monkeypatch.setenv("DAGSHUB_REPO", REPOSITORY)
    monkeypatch.setenv("DAGSHUB_USER_TOKEN", TOKEN)
    tracking.apply()
    tracking.apply()
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://dagshub.com/ada/reviews.mlflow"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == TOKEN
    monkeypatch.delenv("DAGSHUB_REPO")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    tracking.apply()
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ
    assert os.environ["MLFLOW_TRACKING_URI"] == "sqlite:///mine.db"


def test_who_classifies_here_asks_dagshub_where_it_is_named(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository in the environment is a registry, and none is left when it is gone."""
    monkeypatch.setenv("DAGSHUB_CLIENT_HOST", proxy.host)
    monkeypatch.setenv("DAGSHUB_REPO", REPOSITORY)
    with pytest.raises(RegistryUnavailableError):
        Classifier()
    assert proxy.seen
    monkeypatch.delenv("DAGSHUB_REPO")
    assert Classifier().version == "bundled"


def test_no_repository_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DAGSHUB_REPO that is no owner/name is a mistake in the settings."""
    monkeypatch.setenv("DAGSHUB_REPO", "https://dagshub.com/ada/reviews")
    with pytest.raises(SettingsError, match="no repository"):
        models("sentiment", TIMEOUT_S)
