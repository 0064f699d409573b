"""Versions of a registered model: what the registry tells of them, and one fetched to be judged."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sentiment.artifact import Scorer
from sentiment.errors import InputError, SetupError
from sentiment.model_cache import ModelCache
from sentiment.publish import NAME, TIMEOUT_S
from sentiment.registry import Registry
from sentiment.settings import ModelSettings
from sentiment.tracking import connect, registry_id
from trainer import layout, report
from trainer.report import Report

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# A registry answers with pages of at most this many versions.
_PAGE = 100


class Version(Struct, frozen=True):
    """What the registry tells of a version; None where it doesn't know."""

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


@dataclass(frozen=True)
class Fetched:
    """A version on disk, as a worker would serve it.

    Attributes:
        version: The version.
        directory: Its files, compared with the digest that was noted when it was registered.
        scorer: Passed the worker's checks.
        report: Its evaluation; None if it was registered without one.
        scores: P(positive) of the texts of that evaluation; shape (texts,). None as above.
    """

    version: str
    directory: Path
    scorer: Scorer
    report: Report | None
    scores: NDArray[np.float64] | None


def resolve(client: "MlflowClient", name: str, version: str) -> str:
    """The version that a number or an alias names.

    Raises:
        ModelNotFoundError: Of `sentiment.tracking.connect`: there is none.
    """
    if version.isdecimal():
        return str(client.get_model_version(name, version).version)
    return str(client.get_model_version_by_alias(name, version).version)


def fetch(name: str, version: str, folder: Path) -> Fetched:
    """Download a version in the way of a worker, with all of its checks.

    Args:
        name: Name of the registered model.
        version: Its version, a number.
        folder: Where its files go.

    Raises:
        ModelRefusedError: A worker would refuse it.
        ModelNotFoundError: There is no such version.
        RegistryUnavailableError: The registry doesn't answer.
        SetupError: There is no room for it.
    """
    address = f"/{version}"
    settings = ModelSettings(
        uri=f"models:/{name}{address}", cache_dir=folder, registry_timeout_s=TIMEOUT_S
    )
    loaded = Registry(settings).load(version)
    copy = ModelCache(folder, registry_id(), name, address).last()
    if copy is None:
        raise SetupError(f"Version {version} of {name} could not be kept in {folder}.")
    found, scores = evaluation(copy.directory)
    return Fetched(version, copy.directory, loaded.scorer, found, scores)


def evaluation(directory: Path) -> tuple[Report | None, NDArray[np.float64] | None]:
    """The evaluation in a model directory: the report, and the scores if they fit to it.

    Raises:
        InputError: The report is there and can't be read.
    """
    folder = directory / layout.EVALUATION
    if not (folder / layout.REPORT).is_file():
        return None, None
    found = report.read(folder / layout.REPORT)
    try:
        scores = np.load(folder / report.SCORES, allow_pickle=False)
    except (OSError, ValueError):
        return found, None
    fits = scores.shape == (found.test_texts,) and scores.dtype == np.float64
    return found, scores if fits else None


def models(name: str = NAME) -> list[Version]:
    """All versions of a model, newest first.

    Args:
        name: Name of the registered model.

    Raises:
        ModelNotFoundError: There is no model of that name.
        RegistryUnavailableError: The registry doesn't answer.
        InputError: It can't be a model's name.
    """
    if "'" in name:
        raise InputError(f"{name!r} can't be a model's name.")
    found: list[ModelVersion] = []
    with connect(TIMEOUT_S) as client:
        aliases = client.get_registered_model(name).aliases
        token: str | None = None
        while True:
            page = client.search_model_versions(f"name = '{name}'", _PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                break
    # The model has them all; older servers leave them out of a list of versions.
    described = [
        _described(version, sorted(a for a, v in aliases.items() if str(v) == str(version.version)))
        for version in found
    ]
    return sorted(described, key=lambda version: int(version.version), reverse=True)


def _described(version: "ModelVersion", aliases: list[str]) -> Version:
    tags = {key.removeprefix("sentiment."): value for key, value in version.tags.items()}
    return Version(
        version=str(version.version),
        aliases=aliases,
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
