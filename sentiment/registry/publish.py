"""Publish a saved model directory to an MLflow registry, under a name and an alias.

By MLflow's client alone, so that it works with the small `mlflow-skinny`. On a server of MLflow 3
the files belong to a logged model, with its parameters and metrics. One of MLflow 2, such as
DagsHub's, knows none: there they are artifacts of the run. Both are loaded in the same way.
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
from sentiment.registry.tracking import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run


NAME = "sentiment"
ALIAS = "champion"

# Above a slow server's time for storing 15 MB, below a person's patience.
TIMEOUT_S = 60.0

# Marks versions that this package brought, which a newer package may replace.
BUNDLED_TAG = "sentiment.bundled"

# Longest value of a tag, in characters, that MLflow 2 takes (5,000), with some room.
MAX_TAG = 4500


def bundled_model() -> Path:
    """The directory of the model that comes with this package."""
    return Path(str(files("sentiment"))) / "bundled"


def ensure_published(tracking_uri: str | None = None, name: str = NAME, alias: str = ALIAS) -> str:
    """Publish the bundled model where the alias is missing or points to an older bundled one.

    A model that somebody else put there stays: it was chosen, and ours was not. Returns the version
    that the alias points to; arguments and errors as of `publish`.
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
    directory: Path, tracking_uri: str | None = None, name: str = NAME, alias: str = ALIAS
) -> str:
    """Publish a directory of `sentiment release` as a new version, and point the alias to it.

    It is checked as the worker will check it. The registry is by default what MLflow finds in the
    environment; the registered model is made if missing; without an alias, none is set.

    Raises:
        InputError: There is no such directory.
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
    from mlflow import get_tracking_uri

    found = client.get_experiment_by_name(name)
    if found is not None:
        experiment = str(found.experiment_id)
    else:
        uri, location = tracking_uri or get_tracking_uri(), None
        if uri.startswith("sqlite:///"):
            # Beside the file; MLflow's own choice is a folder wherever this process happens to run.
            database = Path(uri.removeprefix("sqlite:///")).resolve()
            location = (database.parent / "artifacts").as_uri()
        experiment = str(client.create_experiment(name, location))
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
    """Store a model directory whole, as the run's, and make a version of it, which is returned.

    The tags are the version's, cut to `MAX_TAG` characters; parameters and metrics are noted with
    the run and the logged model.
    """
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException

    run_id = run.info.run_id
    # MLflow 2 cuts or refuses longer values.
    params = {key: value[:500] for key, value in (params or {}).items()}
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
            client.log_artifacts(run_id, str(directory), "model")
            source = f"{run.info.artifact_uri}/model"
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
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
        # MLflow's own note of the versions made of it, which a store without a server doesn't make.
        link = json.dumps([{"name": name, "version": made.version}])
        client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": link})
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
        # How a server says that it knows no such call; MLflow 2.7 answers 404.
        if status in {404, 405, 501}:
            return None
        raise
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model
