"""The model registry: where an alias points, the model it points to, and a copy for bad days.

Which registry, see `sentiment.tracking`.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment import drift, logs
from sentiment.artifact import Scorer, checksums, digest, open_model
from sentiment.drift import Reference
from sentiment.errors import (
    ModelNotFoundError,
    ModelRefusedError,
    RegistryUnavailableError,
)
from sentiment.model_cache import ModelCache
from sentiment.settings import ModelSettings
from sentiment.tracking import connect, registry_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["LoadedModel", "Registry", "Scorer"]

log = logs.get(__name__)

# Set on each version that we publish: `sentiment.artifact.digest` of its files.
DIGEST_TAG = "sentiment.sha256"

# In the cache's directory, the models' compiled forms.
COMPILED = "compiled"

# MLflow puts this file beside what it downloads; it is not part of the model.
_MLFLOW_NOTE = "registered_model_meta"

_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>.+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class LoadedModel:
    """A model that passed its checks.

    Attributes:
        name: Its name in the registry.
        version: Its version there.
        scorer: Gives the answers.
        loaded_at: When it was loaded, in seconds since 1970.
        reference: What texts and scores looked like when it was made; None: not known.
    """

    name: str
    version: str
    scorer: Scorer
    loaded_at: float
    reference: Reference | None = None


class Registry:
    """Follows one address, such as `models:/sentiment@champion`.

    Args:
        settings: The address, where copies are kept, and how long a call may take.
    """

    def __init__(self, settings: ModelSettings) -> None:
        match = _URI.fullmatch(settings.uri)
        if not match:
            raise ModelNotFoundError(f"{settings.uri!r} names no registered model.")
        self._timeout_s = settings.registry_timeout_s
        self.name: str = match["name"]
        self._alias: str | None = match["alias"]
        self._version: str | None = match["version"]
        address = settings.uri.removeprefix(f"models:/{self.name}")
        self._compiled = settings.cache_dir / COMPILED
        self._cache = ModelCache(settings.cache_dir, registry_id(), self.name, address)

    @property
    def moves(self) -> bool:
        """Whether the address may name another version later."""
        return self._alias is not None

    def cached(self) -> LoadedModel | None:
        """The last good copy on disk, without asking the registry; None if there is no good one."""
        copy = self._cache.last()
        if copy is None:
            return None
        try:
            return self._loaded(copy.version, copy.directory)
        except ModelRefusedError as error:
            log.warning("cached model is not used", reason=error.message)
            return None

    def resolve(self) -> str:
        """The version that the address names now.

        Raises:
            ModelNotFoundError: The registry has no such model, alias or version.
            RegistryUnavailableError: It doesn't answer in time, or refuses us.
        """
        with connect(self._timeout_s) as client:
            return str(self._described(client).version)

    def load(self, version: str) -> LoadedModel:
        """Download a version, check it, and keep it as the last good copy.

        Raises:
            ModelRefusedError: It fails a check.
            ModelNotFoundError: The registry has no such version.
            RegistryUnavailableError: It doesn't answer in time, or refuses us.
        """
        with self._cache.workspace() as workspace:
            directory = self._download(version, workspace)
            model = self._loaded(version, directory)
            self._cache.keep(version, directory)
        return model

    def load_champion(self) -> LoadedModel:
        """Resolve and load; the last good copy where the registry is down.

        Raises:
            ModelError: As `resolve` and `load` say, and there is no copy to fall back on.
        """
        try:
            return self.load(self.resolve())
        except RegistryUnavailableError as error:
            model = self.cached()
            if model is None:
                raise
            log.warning(
                "registry does not answer, the last good copy serves",
                model=model.name,
                version=model.version,
                reason=error.message,
            )
            return model

    def _loaded(self, version: str, directory: Path) -> LoadedModel:
        scorer = open_model(directory, self._compiled)
        return LoadedModel(self.name, version, scorer, time.time(), drift.read(directory))

    def _described(self, client: "MlflowClient") -> "ModelVersion":
        if self._alias:
            return client.get_model_version_by_alias(self.name, self._alias)
        return client.get_model_version(self.name, str(self._version))

    def _download(self, version: str, workspace: Path) -> Path:
        with connect(self._timeout_s) as client:
            from mlflow.artifacts import download_artifacts

            expected = client.get_model_version(self.name, version).tags.get(DIGEST_TAG)
            directory = Path(
                download_artifacts(
                    artifact_uri=f"models:/{self.name}/{version}",
                    # A directory of its own: MLflow puts the files straight into it.
                    dst_path=str(workspace / "model"),
                )
            )
        (directory / _MLFLOW_NOTE).unlink(missing_ok=True)
        if expected and digest(checksums(directory)) != expected:
            raise ModelRefusedError(
                f"Model refused ({self.name} version {version}): its files are not those that were"
                " published.",
                "Publish the model again.",
            )
        return directory
