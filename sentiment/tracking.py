"""A client of the MLflow registry whose calls end in time and whose errors are ours.

The registry is the one that `MLFLOW_TRACKING_URI` (or `MLFLOW_REGISTRY_URI`) names, with the user,
password and token that MLflow itself reads from the environment; or DagsHub's, see
`sentiment.dagshub`.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment import dagshub
from sentiment.errors import (
    ModelNotFoundError,
    RegistryDeniedError,
    RegistryUnavailableError,
    SentimentError,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's codes for a missing model or version, and for a missing alias.
_NOT_FOUND = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
# HTTP: no or wrong credentials, and none of the rights that are needed.
_DENIED = {401, 403}
_MISSING = 404

_SET_BY_USER = frozenset(os.environ)


@contextmanager
def connect(timeout_s: float, tracking_uri: str | None = None) -> "Iterator[MlflowClient]":
    """A client for the calls made inside the block.

    Args:
        timeout_s: How long one call may take, in seconds.
        tracking_uri: The server or store; None: what MLflow finds in the environment.

    Raises:
        ModelNotFoundError: A call asked for a model, alias or version that isn't there.
        RegistryUnavailableError: A call had no answer in time, or failed.
        RegistryDeniedError: A call was refused for the credentials that came with it.
        SettingsError: The environment names no usable repository on DagsHub.
    """
    options = {
        # One retry rides out a dropped connection, and two tries of half the time fill it.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, int(timeout_s / 2))),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # A server with an S3 store behind it offers addresses there, which we may not reach and
        # would wait for; 5 MB come through the server as well.
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        # Standard output is our commands' own.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # Its messages go through our handlers, which leave its small talk out.
        "MLFLOW_CONFIGURE_LOGGING": "false",
        # It would tell its makers of calls, from a thread that changes the environment while others
        # read it.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # MLflow looks for Git when it is imported, and warns where there is none.
        "GIT_PYTHON_REFRESH": "quiet",
    }
    # MLflow reads the environment at each request; what the user has set stays.
    os.environ.update({name: v for name, v in options.items() if name not in _SET_BY_USER})
    dagshub.apply(tracking_uri)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        yield MlflowClient(tracking_uri)
    except SentimentError:
        raise
    except MlflowException as error:
        if error.error_code in _NOT_FOUND:
            raise _not_found(error) from error
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]  # MLflow's
        raise _failed(error, status) from error
    except Exception as error:
        # Of requests, SQLAlchemy or the file system. Those of requests are about artifacts, which
        # MLflow asks for in another way than for the rest.
        status = getattr(getattr(error, "response", None), "status_code", 0)
        raise (_not_found(error) if status == _MISSING else _failed(error, status)) from error


def registry_id() -> str:
    """Names the registry without importing MLflow: the same address gives the same name."""
    dagshub.apply()
    address = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("MLFLOW_TRACKING_URI") or ""
    # A relative address, or none, means another registry in another directory.
    if "://" not in address or re.match("sqlite:///[^/]", address):
        return f"{Path.cwd()} {address}"
    return address


def experiment_id(client: "MlflowClient", tracking_uri: str | None, name: str) -> str:
    """The experiment of that name, made if missing.

    Where the store is a SQLite file, its artifacts stand beside the file.
    """
    from mlflow import get_tracking_uri

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    uri = tracking_uri or get_tracking_uri()
    location = None
    if uri.startswith("sqlite:///"):
        # MLflow's own choice would be a folder wherever this process happens to run.
        database = Path(uri.removeprefix("sqlite:///")).resolve()
        location = (database.parent / "artifacts").as_uri()
    return str(client.create_experiment(name, location))


def _not_found(error: Exception) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"The registry says: {dagshub.without_secrets(str(error))}",
        "`sentiment models` lists what it has; `sentiment register --bundled` publishes the"
        " bundled model.",
    )


def _failed(error: Exception, status: int) -> RegistryUnavailableError:
    told = dagshub.without_secrets(str(error))
    if status in _DENIED:
        return RegistryDeniedError(
            f"The model registry refuses us: {told}",
            "Look at MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, at"
            " MLFLOW_TRACKING_TOKEN, or at DAGSHUB_REPO and DAGSHUB_USER_TOKEN.",
        )
    return RegistryUnavailableError(
        f"The model registry does not answer: {told}",
        "See whether it runs, and look at MLFLOW_TRACKING_URI or DAGSHUB_REPO.",
    )
