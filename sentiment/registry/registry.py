"""The model registry: where an alias points, the model it points to, and a copy for bad days.

Which registry, see `sentiment.tracking`.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment import dagshub, drift, logs
from sentiment.artifact import Scorer, checksums, digest, missing_file, open_model
from sentiment.drift import Reference
from sentiment.errors import (
    AliasMissingError,
    ArtifactMissingError,
    ModelNotFoundError,
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
    StoreUnavailableError,
    VersionMissingError,
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

_ALL = "all of its files"

_ELSEWHERE = (
    "`sentiment models` lists the versions; `sentiment promote --version N` makes one of them"
    " champion."
)

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
        # The last version that the address was known to name: it may be deleted with its alias.
        self._named = self._version
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
            ModelNotFoundError: The registry has no such model, alias or version; its subclasses
                say which.
            RegistryUnavailableError: It doesn't answer in time, or refuses us.
        """
        try:
            with connect(self._timeout_s) as client:
                self._named = str(self._described(client).version)
        except ModelNotFoundError as error:
            raise self._missing() from error
        return self._named

    def load(self, version: str) -> LoadedModel:
        """Download a version, check it, and keep it as the last good copy.

        Raises:
            ModelRefusedError: It fails a check.
            ArtifactMissingError: The registry's store lacks files of it.
            ModelNotFoundError: The registry has no such version.
            RegistryUnavailableError: It doesn't answer in time, or refuses us.
        """
        with self._cache.workspace() as workspace:
            directory = self._download(version, workspace)
            model = self._loaded(version, directory)
            self._cache.keep(version, directory)
        return model

    def load_champion(self) -> LoadedModel:
        """Resolve and load; the last good copy where the registry is down, or lost the files.

        Raises:
            ModelError: As `resolve` and `load` say, and there is no copy to fall back on.
        """
        try:
            return self.load(self.resolve())
        except (RegistryUnavailableError, ArtifactMissingError) as error:
            model = self.cached()
            if model is None:
                raise
            log.warning(
                "the last good copy serves",
                model=model.name,
                version=model.version,
                reason=error.message,
            )
            return model

    def _loaded(self, version: str, directory: Path) -> LoadedModel:
        scorer = open_model(directory, self._compiled)
        self._named = version
        return LoadedModel(self.name, version, scorer, time.time(), drift.read(directory))

    def _described(self, client: "MlflowClient") -> "ModelVersion":
        if self._alias:
            return client.get_model_version_by_alias(self.name, self._alias)
        return client.get_model_version(self.name, str(self._version))

    def _missing(self) -> ModelNotFoundError:
        """What exactly is missing, by a question or two more.

        Raises:
            RegistryUnavailableError: It doesn't answer any more.
        """
        try:
            with connect(self._timeout_s) as client:
                aliases = client.get_registered_model(self.name).aliases
        except ModelNotFoundError:
            return ModelNotFoundError(
                f"The registry has no model {self.name!r}.",
                "Look at MODEL_URI; `sentiment register --bundled` publishes the bundled model.",
            )
        of = f"of {self.name!r}"
        if self._alias is None:
            return VersionMissingError(f"There is no version {self._version} {of}.", _ELSEWHERE)
        if self._alias in aliases:
            return VersionMissingError(
                f"The alias {self._alias!r} {of} points to version {aliases[self._alias]}, which"
                " the registry doesn't have any more.",
                _ELSEWHERE,
            )
        # A registry takes a version's aliases away with it.
        if self._named is not None and not self._has(self._named):
            return VersionMissingError(
                f"Version {self._named} {of} was deleted, and the alias {self._alias!r}, which"
                " named it, is gone.",
                _ELSEWHERE,
            )
        return AliasMissingError(f"There is no alias {self._alias!r} {of}.", _ELSEWHERE)

    def _has(self, version: str) -> bool:
        try:
            with connect(self._timeout_s) as client:
                client.get_model_version(self.name, version)
        except ModelNotFoundError:
            return False
        return True

    def _download(self, version: str, workspace: Path) -> Path:
        try:
            with connect(self._timeout_s) as client:
                described = client.get_model_version(self.name, version)
        except ModelNotFoundError as error:
            raise VersionMissingError(
                f"There is no version {version} of {self.name!r}.", _ELSEWHERE
            ) from error
        directory = self._fetched(described, workspace / "model")
        (directory / _MLFLOW_NOTE).unlink(missing_ok=True)
        if missing := missing_file(directory):
            raise _without(described, missing if any(directory.glob("*")) else _ALL)
        expected = described.tags.get(DIGEST_TAG)
        if expected and digest(checksums(directory)) != expected:
            raise ModelRefusedError(
                f"Model refused ({self.name} version {version}): its files are not those that were"
                " published.",
                "Publish the model again.",
            )
        return directory

    def _fetched(self, described: "ModelVersion", target: Path) -> Path:
        """The files of a version, in a directory that MLflow puts them straight into."""
        try:
            with connect(self._timeout_s):
                from mlflow.artifacts import download_artifacts

                uri = f"models:/{self.name}/{described.version}"
                return Path(download_artifacts(artifact_uri=uri, dst_path=str(target)))
        except ModelNotFoundError as error:
            raise _without(described, _ALL) from error
        except RegistryDeniedError:
            raise
        except RegistryUnavailableError as error:
            # The registry has just answered: it is the store behind it that doesn't.
            raise StoreUnavailableError(
                f"The files of version {described.version} of {self.name!r} can't be downloaded"
                f" from {_place(described)}: {dagshub.without_secrets(str(error.__cause__))}",
                "See whether the registry's store of artifacts is up.",
            ) from error


def _without(described: "ModelVersion", missing: str) -> ArtifactMissingError:
    """A version whose files are gone, one of them or `_ALL`."""
    return ArtifactMissingError(
        f"Version {described.version} of {described.name!r} has lost {missing} in the registry's"
        f" store of artifacts, {_place(described)}.",
        "Bring the files back there, or make another version champion: `sentiment rollback`,"
        " `sentiment promote --version N`.",
    )


def _place(described: "ModelVersion") -> str:
    return dagshub.without_secrets(str(described.source))
