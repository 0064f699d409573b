"""The model registry: where an alias points, the model it points to, and a copy for bad days.

Which registry, see `sentiment.registry.tracking`.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sentiment import limited, logs, metrics
from sentiment.errors import (
    AliasMissingError,
    ArtifactMissingError,
    InputError,
    ModelNotFoundError,
    ModelRefusedError,
    RegistryUnavailableError,
    SentimentError,
    VersionMissingError,
)
from sentiment.model import drift
from sentiment.model.drift import Reference
from sentiment.model.scorer import Scorer
from sentiment.registry import download
from sentiment.registry.artifact import COMPILED, open_here, open_model
from sentiment.registry.download import ELSEWHERE
from sentiment.registry.model_cache import ModelCache
from sentiment.registry.tracking import connect, is_named, registry_id
from sentiment.settings import ModelSettings

log = logs.get(__name__)

# Before a version that was refused is looked at again, each time twice as long: a bad artifact
# doesn't mend itself, but a machine may have lacked memory for the check.
REFUSED_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0
# One whose files are missing: somebody may bring them back.
MISSING_PAUSE_S = 60.0
# Refusals that are remembered. Who makes more versions in an hour has each looked at once.
MOST_REFUSALS = 100

_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>.+)|/(?P<version>\d+))")
# Of a version, as registries number them: it becomes a label, a directory's name, a part of URLs.
_VERSION = re.compile(r"[0-9]{1,10}")


class _Refusal(NamedTuple):
    error: ModelRefusedError
    until: float
    pause: float


@dataclass(frozen=True)
class LoadedModel:
    """A model that passed its checks, by its name and version in the registry."""

    name: str
    version: str
    scorer: Scorer
    loaded_at: float  # seconds since 1970
    reference: Reference | None = None  # how texts and scores were when it was made, where known


class Registry:
    """Follows one address, such as `models:/sentiment@champion`; the clock's seconds rise."""

    def __init__(
        self, settings: ModelSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        match = _URI.fullmatch(settings.uri)
        if not match:
            raise ModelNotFoundError(f"{settings.uri!r} names no registered model.")
        self._timeout_s = settings.registry_timeout_s
        self._clock = clock
        self._refusals: dict[str, _Refusal] = {}
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
        if copy := self._cache.last():
            with suppress(ModelRefusedError):
                return self._unless_refused(f"{copy.version} (cached)", lambda: self._loaded(*copy))
        return None

    def resolve(self) -> str:
        """The version that the address names now; subclasses of an error say what is missing."""
        try:
            with connect(self._timeout_s) as client:
                if self._alias:
                    named = client.get_model_version_by_alias(self.name, self._alias)
                else:
                    named = client.get_model_version(self.name, str(self._version))
                version = str(named.version)
        except ModelNotFoundError as error:
            raise self._missing() from error
        if not _VERSION.fullmatch(version):
            raise RegistryUnavailableError(
                f"The registry says that version {version!r:.40} of {self.name!r} is meant.",
                "See what answers at MLFLOW_TRACKING_URI.",
            )
        self._named = version
        return version

    def load(self, version: str) -> LoadedModel:
        """Download a version, check it, and keep it as the last good copy.

        Raises:
            ModelRefusedError: It fails a check; or has failed one, and it isn't time to look again.
            ArtifactMissingError: The registry's store lacks files of it.
        """
        return self._unless_refused(version, lambda: self._load(version))

    def load_champion(self) -> LoadedModel:
        """Resolve and load; the last good copy, if any, where the registry is down or lost it."""
        try:
            return self.load(self.resolve())
        except (RegistryUnavailableError, ArtifactMissingError) as error:
            model = self.cached()
            if model is None:
                raise
            log.warning(
                "the last good copy serves", model=model.name, version=model.version,
                reason=error.message,
            )  # fmt: skip
            return model

    def _load(self, version: str) -> LoadedModel:
        with self._cache.workspace() as workspace:
            directory = workspace / "model"
            directory.mkdir()
            limited.run(
                f"{download.__name__}:fetch",
                [self.name, version, str(directory), str(self._timeout_s)],
                download.LIMITS,
                preload=download.libraries(),
            )
            model = self._loaded(version, directory)
            self._cache.keep(version, directory)
        return model

    def _unless_refused(self, version: str, load: Callable[[], LoadedModel]) -> LoadedModel:
        """Load a version, unless it was refused a short time ago: then the same error again."""
        before = self._refusals.get(version)
        if before and self._clock() < before.until:
            raise before.error.with_traceback(None)
        try:
            model = load()
        except ModelRefusedError as error:
            refused = error
        except SentimentError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, this version can't be served
            reason = limited.one_line(f"{type(error).__name__}: {error}")
            refused = ModelRefusedError(f"Model refused: {reason}.", ELSEWHERE)
        else:
            self._refusals.pop(version, None)
            return model
        self._remember(version, refused, before)
        raise refused from None

    def _remember(self, version: str, error: ModelRefusedError, before: _Refusal | None) -> None:
        pause = min(2 * before.pause, LONGEST_PAUSE_S) if before else REFUSED_PAUSE_S
        if isinstance(error, ArtifactMissingError):
            # The follower logs this: it is an error of the store, not of the model.
            pause = MISSING_PAUSE_S
        else:
            metrics.MODEL_SWAPS.labels("refused").inc()
            if before is None or error.message != before.error.message:
                log.error("model refused", model=self.name, version=version, reason=error.message)
        self._refusals.pop(version, None)
        self._refusals[version] = _Refusal(error, self._clock() + pause, pause)
        if len(self._refusals) > MOST_REFUSALS:
            del self._refusals[next(iter(self._refusals))]

    def _loaded(self, version: str, directory: Path) -> LoadedModel:
        scorer = open_model(directory, self._compiled)
        self._named = version
        return LoadedModel(self.name, version, scorer, time.time(), drift.read(directory))

    def _missing(self) -> ModelNotFoundError:
        """What exactly is missing, by a question or two more."""
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
            told = f"There is no version {self._version} {of}."
        elif self._alias in aliases:
            told = (
                f"The alias {self._alias!r} {of} points to version {aliases[self._alias]}, which"
                " the registry doesn't have any more."
            )
        elif self._named is not None and not self._has(self._named):
            # A registry takes a version's aliases away with it.
            told = (
                f"Version {self._named} {of} was deleted, and the alias {self._alias!r}, which"
                " named it, is gone."
            )
        else:
            return AliasMissingError(f"There is no alias {self._alias!r} {of}.", ELSEWHERE)
        return VersionMissingError(told, ELSEWHERE)

    def _has(self, version: str) -> bool:
        try:
            with connect(self._timeout_s) as client:
                client.get_model_version(self.name, version)
        except ModelNotFoundError:
            return False
        return True


def named_model(name: str | None) -> LoadedModel:
    """The model that `Classifier` and `sentiment classify --model` are given; see there."""
    from sentiment.registry.publish import bundled_model

    if name is None and not is_named():
        return LoadedModel("sentiment", "bundled", open_here(bundled_model()), time.time())
    if name is None or name.startswith("models:/"):
        return Registry(ModelSettings().replace(uri=name)).load_champion()
    directory = Path(name)
    if not directory.is_dir():
        raise InputError(
            f"There is no model directory {name}.",
            "Give a directory, or the registry's models:/NAME@ALIAS.",
        )
    return LoadedModel(directory.name, "unregistered", open_here(directory), time.time())
