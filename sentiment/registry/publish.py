"""Publish a saved model directory to an MLflow registry, under a name and an alias.

Uses nothing but MLflow's client, so that it works with the small `mlflow-skinny`. On a server of
MLflow 3 the files belong to a logged model, which stands under Models with its parameters and
metrics. A server of MLflow 2, such as DagsHub's, knows no logged models: there the files are
artifacts of the run. The version points to either, and is loaded in the same way.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.errors import InputError, ModelNotFoundError
from sentiment.model.formats.mlmodel import metadata
from sentiment.registry.artifact import checksums, digest, open_here
from sentiment.registry.download import DIGEST_TAG
from sentiment.registry.tracking import connect, experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run


NAME = "sentiment"
ALIAS = "champion"

# Above a slow server's time for storing 15 MB, below a person's patience.
TIMEOUT_S = 60.0

# Marks versions that this package brought, which a newer package may replace.
BUNDLED_TAG = "sentiment.bundled"

# Where the model stands among the artifacts of its run.
_ARTIFACT_PATH = "model"

# Longest value of a tag, in characters, that MLflow 2 takes (5,000), with a margin.
MAX_TAG = 4500
# MLflow 2 cuts or refuses longer values of parameters.
_MAX_PARAM = 500
# MLflow's own tag of a logged model, in which it notes the versions made of it.
_VERSIONS_TAG = "mlflow.modelVersions"
# How a server says that it knows no such call; MLflow 2.7 answers 404.
_UNKNOWN_CALL = {404, 405, 501}


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
        directory: Made by `sentiment release`; checked as the worker will check it.
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
            "`sentiment release` makes one.",
        )
    open_here(directory)
    tags = {f"sentiment.{key}": value for key, value in metadata(directory).items()}
    tags[DIGEST_TAG] = digest(checksums(directory))
    if directory == bundled_model():
        tags[BUNDLED_TAG] = "true"
    with connect(TIMEOUT_S, tracking_uri) as client, start_run(client, tracking_uri, name) as run:
        version = add_version(client, run, name, directory, tags=tags)
        if alias:
            client.set_registered_model_alias(name, alias, version)
    return version


@contextmanager
def start_run(client: "MlflowClient", tracking_uri: str | None, name: str) -> "Iterator[Run]":
    """A run in the experiment of a model's name; marked as failed if the block fails."""
    experiment = experiment_id(client, tracking_uri, name)
    run = client.create_run(experiment, run_name=f"publish {name}")
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    finally:
        client.set_terminated(run.info.run_id, status)


def add_version(  # noqa: PLR0913 - what a version is made of
    client: "MlflowClient",
    run: "Run",
    name: str,
    directory: Path,
    *,
    tags: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> str:
    """Store a model directory and make a version of it.

    Args:
        client: Of `connect`.
        run: The run that the version comes from.
        name: Name of the registered model; made if missing.
        directory: Holds `MLmodel` and what it names; stored whole.
        tags: Of the version; values are cut to `MAX_TAG` characters.
        params: Noted with the run and the logged model.
        metrics: The same.

    Returns:
        The new version.
    """
    from mlflow.entities import Metric, Param

    run_id = run.info.run_id
    params = {key: value[:_MAX_PARAM] for key, value in (params or {}).items()}
    model = _logged_model(client, run, name, params)
    model_id = model.model_id if model else None
    try:
        now = int(time.time() * 1000)
        client.log_batch(
            run_id,
            [Metric(k, v, now, 0, model_id, run_id=run_id) for k, v in (metrics or {}).items()],
            [Param(key, value) for key, value in params.items()],
        )
        if model:
            client.log_model_artifacts(model.model_id, str(directory))
            source = model.artifact_location
            client.finalize_logged_model(model.model_id, "READY")
        else:
            client.log_artifacts(run_id, str(directory), _ARTIFACT_PATH)
            source = f"{run.info.artifact_uri}/{_ARTIFACT_PATH}"
        _ensure_registered(client, name)
        made = client.create_model_version(
            name,
            source,
            run_id,
            tags={key: value[:MAX_TAG] for key, value in tags.items()},
            await_creation_for=int(TIMEOUT_S),
            model_id=model_id,
        )
    except BaseException:
        if model:
            with suppress(Exception):
                # The first failure is the one to report.
                client.finalize_logged_model(model.model_id, "FAILED")
        raise
    if model:
        # A server notes it too; a store without a server does not.
        link = json.dumps([{"name": name, "version": made.version}])
        client.set_logged_model_tags(model.model_id, {_VERSIONS_TAG: link})
    return str(made.version)


def _logged_model(
    client: "MlflowClient", run: "Run", name: str, params: dict[str, str]
) -> "LoggedModel | None":
    """A new logged model as the run's output; None where the server knows none."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    try:
        model = client.create_logged_model(
            run.info.experiment_id,
            # Names of logged models may hold less than names of registered ones.
            re.sub(r"[/:.%\"']", "_", name),
            run.info.run_id,
            params=params,
        )
    except MlflowException as error:
        status = error.get_http_status_code()  # type: ignore[no-untyped-call] # MLflow's own
        if status in _UNKNOWN_CALL:
            return None
        raise
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model


def _ensure_registered(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
