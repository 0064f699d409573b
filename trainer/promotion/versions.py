"""Versions of a registered model, fetched to be judged."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import SetupError
from sentiment.model.formats.mlmodel import ModelFile, find
from sentiment.model.scorer import Scorer
from sentiment.registry.model_cache import ModelCache
from sentiment.registry.publish import TIMEOUT_S
from sentiment.registry.registry import Registry
from sentiment.registry.tracking import registry_id
from sentiment.settings import ModelSettings
from trainer import layout, report
from trainer.report import Report

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Fetched:
    """A version on disk, as a worker would serve it.

    Attributes:
        version: The version.
        file: In a directory that was compared with the digest noted when it was registered.
        scorer: Passed the worker's checks.
        report: Its evaluation; None if it was registered without one.
        scores: P(positive) of the texts of that evaluation; shape (texts,). None as above.
    """

    version: str
    file: ModelFile
    scorer: Scorer
    report: Report | None
    scores: NDArray[np.float64] | None


def resolve(client: "MlflowClient", name: str, version: str) -> str:
    """The version that a number or an alias names.

    Raises:
        ModelNotFoundError: Of `sentiment.registry.tracking.connect`: there is none.
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
    return Fetched(version, find(copy.directory), loaded.scorer, found, scores)


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
        # Mapped: its length is compared with what its head says before any memory is taken for it.
        scores = np.array(np.load(folder / report.SCORES, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError):
        return found, None
    fits = scores.shape == (found.test_texts,) and scores.dtype == np.float64
    return found, scores if fits else None
