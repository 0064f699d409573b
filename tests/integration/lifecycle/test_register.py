"""Claims about registering and listing versions, in a SQLite store."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow import MlflowClient

from sentiment.errors import InputError, ModelNotFoundError, ModelRefusedError
from sentiment.registry.artifact import checksums, digest
from sentiment.registry.download import DIGEST_TAG
from tests.integration.lifecycle.steps import (
    GOOD,
    TEST,
    chain,
    champion,
    judged,
    run,
    tags,
)
from tests.integration.releases import release
from trainer import promote as audit
from trainer.commands.models import (
    models,
    register as register_command,
    rollback as rollback_command,
)
from trainer.promote import rollback
from trainer.register import register

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


def test_registered_with_all_that_is_known(
    client: MlflowClient, registered: Callable[..., str], tmp_path: Path
) -> None:
    """Tags name data, code, files and drift reference; figures and plots stand in the run, and,
    with parameters, at the logged model under Models.
    """  # noqa: D205 - one claim
    assert registered() == "1"
    version = client.get_model_version_by_alias("sentiment", "challenger")
    directory = tmp_path / "release-1"
    assert version.tags[DIGEST_TAG] == digest(checksums(directory))
    assert version.tags["sentiment.train_sha256"] == "ab" * 32
    assert len(version.tags["sentiment.test_sha256"]) == 64
    assert len(version.tags["sentiment.drift_sha256"]) == 64
    assert version.tags["sentiment.code_version"]
    assert version.tags["sentiment.package_version"]
    assert version.tags["sentiment.accuracy"] == "0.8500"
    assert version.run_id is not None
    logged = client.get_run(version.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics["domain/tweets"] == pytest.approx(0.8)
    assert logged.data.metrics["behaviour/strong_words"] > 0
    assert (
        logged.data.metrics["macro_accuracy_low"]
        < 0.85
        < logged.data.metrics["macro_accuracy_high"]
    )
    assert logged.data.params["candidate"] == "champion"
    paths = [file.path for file in client.list_artifacts(version.run_id)]
    assert paths == ["MODEL_CARD.md", "plots"]
    (model,) = client.search_logged_models([logged.info.experiment_id])
    assert (model.status, model.name) == ("READY", "sentiment")
    assert {metric.key: metric.value for metric in model.metrics or []} == logged.data.metrics
    assert model.params == logged.data.params
    assert json.loads(model.tags["mlflow.modelVersions"])[0]["version"] == 1


def test_mlflow_users_load_the_champion(registered: Callable[..., str]) -> None:
    """`mlflow.pyfunc` loads the champion by its alias, with signature and input example."""
    judged(registered())
    model = mlflow.pyfunc.load_model("models:/sentiment@champion")
    assert list(model.predict(["loved it, great", "boring, awful"])) == [1, 0]
    assert model.metadata.signature is not None
    example = model.metadata.load_input_example("models:/sentiment@champion")
    assert len(model.predict(example)) == 1


@pytest.mark.parametrize(
    ("gone", "error"),
    [
        ("MLmodel", InputError),
        ("drift.json", InputError),
        ("MODEL_CARD.md", InputError),
        ("evaluation/report.json", InputError),
        ("evaluation/scores.npy", InputError),
        ("model.skops", ModelRefusedError),
        ("signature", ModelRefusedError),
        ("saved_input_example_info", ModelRefusedError),
    ],
)
def test_what_lacks_a_part_is_not_registered(
    client: MlflowClient, tmp_path: Path, gone: str, error: type[Exception]
) -> None:
    """Without any one part of a release nothing is published, and the part is named."""
    directory = release(tmp_path / "release", TEST, GOOD)
    if (directory / gone).exists():
        (directory / gone).unlink()
    else:
        document = yaml.safe_load((directory / "MLmodel").read_text())
        del document[gone]
        (directory / "MLmodel").write_text(yaml.safe_dump(document))
    with pytest.raises(error, match=gone):
        register(directory)
    assert not client.search_registered_models()
    assert client.get_experiment_by_name("sentiment") is None


def test_interrupted_registration_leaves_no_version(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while files go up leaves a run and a model that are marked as failed; no version."""
    directory = release(tmp_path / "release", TEST, GOOD)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", interrupt)
    with pytest.raises(KeyboardInterrupt):
        register(directory)
    experiment = client.get_experiment_by_name("sentiment")
    assert experiment is not None
    (left,) = client.search_runs([experiment.experiment_id])
    assert left.info.status == "FAILED"
    (model,) = client.search_logged_models([experiment.experiment_id])
    assert model.status == "FAILED"
    assert not client.search_registered_models()


def test_models_are_listed(client: MlflowClient, registered: Callable[..., str]) -> None:
    """Each version with aliases, figures, data and moves, newest first; for programs as JSON."""
    chain(client, registered, 2)
    rollback()
    lines = run(models).stdout.splitlines()
    assert lines[0].split()[:5] == ["version", "aliases", "accuracy", "macro", "data"]
    assert lines[1].split()[:5] == ["2", "challenger", "0.8500", "0.8500", "ab" * 6]
    assert lines[2].split()[:2] == ["1", "champion"]
    newest, oldest = json.loads(run(models, "--json").stdout)
    assert newest["version"] == "2"
    assert newest["rolled_back_at"]
    assert oldest["aliases"] == ["champion"]
    assert oldest["rolled_back_at"] is None
    missing = run(models, "--name", "nobody")
    assert isinstance(missing.exception, ModelNotFoundError)
    assert isinstance(run(models, "--name", "it's").exception, InputError)


def test_commands_of_a_life(tmp_path: Path) -> None:
    """`register`, `register --bundled` and `rollback` on the command line."""
    directory = release(tmp_path / "release", TEST, GOOD)
    assert run(register_command, directory).stdout == (
        "sentiment version 1 is now sentiment@challenger\n"
    )
    bundled = json.loads(run(register_command, "--bundled", "--json").stdout)
    assert bundled == {"name": "sentiment", "version": "2", "alias": "champion"}
    assert champion() == "2"
    refused = run(register_command, directory, "--alias", "champion")
    assert isinstance(refused.exception, InputError)
    assert run(register_command, directory, "--bundled").exit_code == 2
    assert run(register_command, "--bundled", "--alias", "").stdout == "sentiment version 3\n"
    judged("1", force="to go back from it")
    back = run(rollback_command, "--json")
    assert json.loads(back.stdout) == {"name": "sentiment", "version": "2", "replaced": "1"}
    assert "Checking version 2" in back.stderr


def test_code_version_is_the_commit(
    tmp_path: Path,
    registered: Callable[..., str],
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The commit stands at the version, with `-dirty` where files differ; without Git `unknown`."""
    from trainer import tables

    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    assert tables.code_version() == "unknown"
    tables.git("init")
    (project / "a").write_text("a")
    tables.git("add", "a")
    tables.git("-c", "user.name=Ada", "-c", "user.email=a@b.c", "commit", "-m", "first")
    commit = tables.code_version()
    assert len(commit) == 40
    assert tags(client, registered())["sentiment.code_version"] == commit
    # DVC's note of a run, which is about to be written.
    (project / "dvc.lock").touch()
    assert tables.code_version() == commit
    (project / "a").write_text("b")
    assert tables.code_version() == f"{commit}-dirty"
    tables.git("config", "user.name", "Ada Lovelace")
    assert audit.who() == "Ada Lovelace"
    monkeypatch.setenv("PATH", "")
    assert tables.code_version() == "unknown"
