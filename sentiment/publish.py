"""Publish a saved model directory to an MLflow registry, under a name and an alias.

Uses nothing but MLflow's client, so that it works with the small `mlflow-skinny`, and against
servers of MLflow 2 as well: the files are artifacts of a run, and the version points to them.
"""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.artifact import checksums, digest, metadata, open_model
from sentiment.errors import InputError, ModelNotFoundError
from sentiment.registry import DIGEST_TAG
from sentiment.tracking import connect, experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "sentiment"
ALIAS = "champion"

# Above a slow server's time for storing 15 MB, below a person's patience.
TIMEOUT_S = 60.0

# Marks versions that this package brought, which a newer package may replace.
BUNDLED_TAG = "sentiment.bundled"

# Where the model stands among the artifacts of its run.
_ARTIFACT_PATH = "model"


def bundled_model() -> Path:
    """The directory of the model that comes with this package."""
    return Path(str(files("sentiment"))) / "bundled"


def ensure_published(tracking_uri: str | None = None, name: str = NAME, alias: str = ALIAS) -> str:
    """Publish the bundled model where the alias is missing or points to an older bundled one.

    A model that somebody else put there stays: it was chosen, and ours was not.

    Args:
        tracking_uri: The registry; None: what MLflow finds in the environment.
        name: Name of the registered model.
        alias: The alias to set.

    Returns:
        The version that the alias points to.

    Raises:
        RegistryUnavailableError: The registry doesn't answer.
    """
    directory = bundled_model()
    try:
        with connect(TIMEOUT_S, tracking_uri) as client:
            there = client.get_model_version_by_alias(name, alias)
            same = there.tags.get(DIGEST_TAG) == digest(checksums(directory))
            if same or BUNDLED_TAG not in there.tags:
                return str(there.version)
    except ModelNotFoundError:
        pass
    return publish(directory, tracking_uri, name, alias)


def publish(
    directory: Path,
    tracking_uri: str | None = None,
    name: str = NAME,
    alias: str = ALIAS,
) -> str:
    """Publish a model directory as a new version, and point the alias to it.

    Args:
        directory: Made by `sentiment train`; checked as the worker will check it.
        tracking_uri: The registry; None: what MLflow finds in the environment.
        name: Name of the registered model; made if missing.
        alias: The alias to set; empty: none.

    Returns:
        The new version.

    Raises:
        InputError: There is no such directory.
        ModelRefusedError: It fails a check, and nothing was published.
        RegistryUnavailableError: The registry doesn't answer.
    """
    if not (directory / "MLmodel").is_file():
        raise InputError(
            f"{directory} is no model directory: it has no MLmodel file.",
            "`sentiment train` makes one.",
        )
    open_model(directory)
    tags = {f"sentiment.{key}": value for key, value in metadata(directory).items()}
    tags[DIGEST_TAG] = digest(checksums(directory))
    if directory == bundled_model():
        tags[BUNDLED_TAG] = "true"
    with connect(TIMEOUT_S, tracking_uri) as client:
        _ensure_registered(client, name)
        run = client.create_run(
            experiment_id(client, tracking_uri, name), run_name=f"publish {name}"
        )
        status = "FAILED"
        try:
            client.log_artifacts(run.info.run_id, str(directory), _ARTIFACT_PATH)
            source = f"{run.info.artifact_uri}/{_ARTIFACT_PATH}"
            made = client.create_model_version(
                name, source, run.info.run_id, tags=tags, await_creation_for=int(TIMEOUT_S)
            )
            if alias:
                client.set_registered_model_alias(name, alias, made.version)
            status = "FINISHED"
        finally:
            client.set_terminated(run.info.run_id, status)
    return str(made.version)


def _ensure_registered(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
