"""A client of the MLflow registry whose calls end in time and whose errors are ours.

The registry is the one that `MLFLOW_TRACKING_URI` (or `MLFLOW_REGISTRY_URI`) names, with the user,
password and token that MLflow itself reads from the environment; or DagsHub's.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from sentiment import limited
from sentiment.errors import (
    InputError,
    ModelError,
    ModelNotFoundError,
    RegistryDeniedError,
    RegistryUnavailableError,
    SentimentError,
    SettingsError,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


# MLflow's codes for a missing model or version, and for a missing alias.
_NOT_FOUND = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
# HTTP: no or wrong credentials, or none of the rights that are needed; and what isn't there.
_DENIED, _MISSING = {401, 403}, 404

_SET_BY_USER = frozenset(os.environ)


@contextmanager
def connect(timeout_s: float, tracking_uri: str | None = None) -> "Iterator[MlflowClient]":
    """A client for the calls made inside the block, each of which may take so many seconds.

    The server or store is by default what MLflow finds in the environment.

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
        # It would tell its makers of calls, from a thread that changes the environment.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # It would wait for as long as an answer asks for, which may be years.
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        # MLflow looks for Git when it is imported, and warns where there is none.
        "GIT_PYTHON_REFRESH": "quiet",
    }
    # MLflow reads the environment at each request; what the user has set stays.
    os.environ.update({name: v for name, v in options.items() if name not in _SET_BY_USER})
    apply(tracking_uri)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    from sentiment import bounded_http

    bounded_http.bound()
    try:
        yield MlflowClient(tracking_uri)
    except SentimentError:
        raise
    except MlflowException as error:
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]  # MLflow's
        raise _told(error, status, is_missing=error.error_code in _NOT_FOUND) from error
    except Exception as error:
        # Of requests, SQLAlchemy or the file system. Those of requests are about artifacts, which
        # MLflow asks for in another way than for the rest.
        status = getattr(getattr(error, "response", None), "status_code", 0)
        raise _told(error, status, is_missing=status == _MISSING) from error


def is_named() -> bool:
    """Whether the environment names a registry, in MLflow's words or in DagsHub's."""
    apply()
    return bool(os.environ.get("MLFLOW_TRACKING_URI"))


def registry_id() -> str:
    """Names the registry without importing MLflow: the same address gives the same name."""
    apply()
    address = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("MLFLOW_TRACKING_URI") or ""
    # A relative address, or none, means another registry in another directory.
    if "://" not in address or re.match("sqlite:///[^/]", address):
        return f"{Path.cwd()} {address}"
    return address


def _told(error: Exception, status: int, *, is_missing: bool) -> ModelError:
    told = limited.one_line(without_secrets(str(error)))
    if is_missing:
        return ModelNotFoundError(
            f"The registry says: {told}",
            "`sentiment models` lists what it has; `sentiment register --bundled` publishes the"
            " bundled model.",
        )
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


# DagsHub's hosted MLflow: its address and who we are, from the environment to where MLflow looks.
#
# - `DAGSHUB_REPO`: `owner/name`; the address where `MLFLOW_TRACKING_URI` gives none
# - `DAGSHUB_USER_TOKEN`: the token, as DagsHub's own client calls it
# - `CAPSTONE_TEST`: the token, as the system before this one called it
# - `DAGSHUB_USER`: the user; without it the token stands for the user too, which DagsHub accepts
# - `DAGSHUB_CLIENT_HOST`: another DagsHub than <https://dagshub.com>, as its own client calls it
#
# What MLflow's own variables say wins. A token goes to DagsHub and to no other server.

HOST = "https://dagshub.com"
# The first that is set.
TOKENS = ("DAGSHUB_USER_TOKEN", "CAPSTONE_TEST")

# Never shown.
SECRETS = (*TOKENS, "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")

# What we have put into the environment; whatever differs from it is the user's.
_ours: dict[str, str] = {}
# A worker asks the registry from more than one thread.
_lock = Lock()


def apply(tracking_uri: str | None = None) -> None:
    """Put into the environment what MLflow must find there; take out what no longer holds.

    MLflow reads user and password there at each request. So does whatever is started from here.
    Arguments and errors are as of `variables`.
    """
    with _lock:
        own = {name: v for name, v in os.environ.items() if _ours.get(name) != v}
        wanted = variables(own, tracking_uri)
        for name in _ours.keys() - wanted.keys() - own.keys():
            os.environ.pop(name, None)
        os.environ.update(wanted)
        _ours.clear()
        _ours.update(wanted)


def variables(environment: Mapping[str, str], tracking_uri: str | None = None) -> dict[str, str]:
    """The variables of MLflow that are missing in a user's environment to reach DagsHub.

    The calls that follow go to the server or store at `tracking_uri`, or to the environment's.

    Raises:
        SettingsError: `DAGSHUB_REPO` is no repository.
    """
    host = environment.get("DAGSHUB_CLIENT_HOST", HOST).rstrip("/")
    found: dict[str, str] = {}
    address = tracking_uri or environment.get("MLFLOW_TRACKING_URI")
    if not address and (repository := environment.get("DAGSHUB_REPO")):
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise SettingsError(
                f"DAGSHUB_REPO is {repository!r}, which is no repository on DagsHub.",
                "Write it as owner/name.",
            )
        address = found["MLFLOW_TRACKING_URI"] = f"{host}/{repository}.mlflow"
    token = next((environment[name] for name in TOKENS if environment.get(name)), None)
    addresses = (address, environment.get("MLFLOW_REGISTRY_URI"))
    if (
        token
        and address
        and all(_server(uri) == _server(host) for uri in addresses if uri)
        and not environment.get("MLFLOW_TRACKING_PASSWORD")
        and not environment.get("MLFLOW_TRACKING_TOKEN")
    ):
        if not environment.get("MLFLOW_TRACKING_USERNAME"):
            found["MLFLOW_TRACKING_USERNAME"] = environment.get("DAGSHUB_USER") or token
        found["MLFLOW_TRACKING_PASSWORD"] = token
    return found


def without_secrets(message: str) -> str:
    """A message for people: no user or password of an address, no token that a server repeats."""
    message = re.sub(r"//[^/@\s]+@", "//***@", message)
    # Shorter ones are part of ordinary words, and no secret of such a length keeps anything.
    for secret in {os.environ.get(name, "") for name in SECRETS}:
        if len(secret) >= 8:  # noqa: PLR2004 - see above
            message = message.replace(secret, "***")
    return message


def _server(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


# Versions of a model. A registry may answer with another page for ever.
MOST_VERSIONS = 2000


class Version(Struct, frozen=True):
    """The registry's data of a version; None if it has none."""

    version: str
    aliases: list[str]
    # In seconds since 1970.
    created_at: float
    accuracy: float | None
    macro_accuracy: float | None
    train_sha256: str | None
    code_version: str | None
    decision: str | None
    promoted_at: str | None
    rolled_back_at: str | None


def models(name: str, timeout_s: float) -> list[Version]:
    """The versions of a registered model, newest first: the latest `MOST_VERSIONS`."""
    if "'" in name:
        raise InputError(f"{name!r} can't be a model's name.")
    found: list[ModelVersion] = []
    with connect(timeout_s) as client:
        # The model has them all; older servers leave them out of a list of versions.
        aliases = client.get_registered_model(name).aliases
        token: str | None = None
        while True:
            # A registry answers with pages of at most a hundred.
            page = client.search_model_versions(
                f"name = '{name}'", 100, ["version_number DESC"], token
            )
            found += page
            token = page.token
            if not token or not page or len(found) >= MOST_VERSIONS:
                break
        described = [_described(version, aliases) for version in found]
        return sorted(described, key=lambda version: int(version.version), reverse=True)


def _described(version: "ModelVersion", aliases: Mapping[str, str]) -> Version:
    tags = {key.removeprefix("sentiment."): value for key, value in version.tags.items()}
    return Version(
        version=str(version.version),
        aliases=sorted(a for a, v in aliases.items() if str(v) == str(version.version)),
        created_at=version.creation_timestamp / 1000,
        accuracy=_number(tags.get("accuracy")),
        macro_accuracy=_number(tags.get("macro_accuracy")),
        # `data_sha256`: of models from before the stages.
        train_sha256=tags.get("train_sha256") or tags.get("data_sha256"),
        code_version=tags.get("code_version"),
        decision=tags.get("decision"),
        promoted_at=tags.get("promoted_at"),
        rolled_back_at=tags.get("rolled_back_at"),
    )


def _number(written: str | None) -> float | None:
    try:
        return None if written is None else float(written)
    except ValueError:
        return None
