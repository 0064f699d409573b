"""A version's files, out of the registry's store into a directory: few, small, by their own names.

Runs in a process with limits. What a store lists and sends is what somebody put there, or whoever
stands between: a list without an end, a file that never ends, names that lead elsewhere.
"""

import resource
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sentiment.errors import (
    ArtifactMissingError,
    ModelNotFoundError,
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
    StoreUnavailableError,
    VersionMissingError,
)
from sentiment.limited import Limits
from sentiment.model.formats.mlmodel import missing_file
from sentiment.registry import tracking
from sentiment.registry.artifact import checksums, digest
from sentiment.registry.tracking import connect, registry_id

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

# Set on each version that we publish: `sentiment.registry.artifact.digest` of its files.
DIGEST_TAG = "sentiment.sha256"

# Ours have 8 MiB in 17 files; a model's own file may have 64 MiB, see `mlmodel.MOST_FILE`, and
# plots and figures as much again. A version kept in the cache costs as much disk.
MOST_BYTES, MOST_FILES = 128 << 20, 200
# Stores take up to 80 MiB beside MLflow's 220. At 128 MiB, ten minutes are 2 Mbit/s.
LIMITS = Limits(memory=256 << 20, cpu_s=120, file=MOST_BYTES, wall_s=600)
_LIBRARIES = (
    "sentiment.registry.download",
    "sentiment.bounded_http",
    "mlflow.store.artifact.models_artifact_repo",
)
_SQL = ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")
_LONGEST_NAME, _DEEPEST = 200, 8
_ALL = "all of its files"

ELSEWHERE = (
    "`sentiment models` lists the versions; `sentiment promote --version N` makes one of them"
    " champion."
)


def libraries() -> tuple[str, ...]:
    """Modules that `fetch` needs."""
    # Of a registry that is a database, and not a server in front of one.
    return _LIBRARIES if registry_id().startswith("http") else (*_LIBRARIES, *_SQL)


def fetch(name: str, version: str, target: str, timeout_s: str) -> None:
    """Download a version into an empty directory, and compare it with its published digest.

    One call to the registry may take as long as `timeout_s`, in seconds.

    Raises:
        ModelRefusedError: There is too much of it, or it isn't what was published.
        ArtifactMissingError: The store lacks files of it.
    """
    directory = Path(target)
    try:
        with connect(float(timeout_s)) as client:
            described = client.get_model_version(name, version)
    except ModelNotFoundError as error:
        raise VersionMissingError(
            f"There is no version {version} of {name!r}.", ELSEWHERE
        ) from error
    try:
        with connect(float(timeout_s)):
            from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

            copy_files(ModelsArtifactRepository(f"models:/{name}/{version}"), directory)
    except ModelNotFoundError as error:
        raise _without(described, _ALL) from error
    except RegistryDeniedError:
        raise
    except RegistryUnavailableError as error:
        # The registry has just answered: it is the store behind it that doesn't.
        raise StoreUnavailableError(
            f"The files of version {version} of {name!r} can't be downloaded"
            f" from {_place(described)}: {tracking.without_secrets(str(error.__cause__))}",
            "See whether the registry's store of artifacts is up.",
        ) from error
    if missing := missing_file(directory):
        raise _without(described, missing if any(directory.iterdir()) else _ALL)
    expected = described.tags.get(DIGEST_TAG)
    if expected and digest(checksums(directory)) != expected:
        raise _refused("its files are not those that were published")


def copy_files(store: "ArtifactRepository", directory: Path) -> None:
    """Copy all files of a store into a directory; this process' limit on files' sizes goes down.

    They are refused if they are too many, too large, or have names that lead elsewhere.
    """
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    left = MOST_BYTES
    for name in _names(store):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # Whatever a store says of a file's size, no more is written.
        resource.setrlimit(resource.RLIMIT_FSIZE, (left, most))
        try:
            # What every store of MLflow has.
            store._download_file(name, str(file))  # type: ignore[no-untyped-call]  # noqa: SLF001
        except Exception:
            if file.is_file() and file.stat().st_size >= left:
                raise _refused(f"its files have more than {MOST_BYTES >> 20} MiB") from None
            raise
        left -= file.stat().st_size


def _names(store: "ArtifactRepository") -> list[str]:
    """The paths of all files."""
    found: list[str] = []
    folders: list[str | None] = [None]
    seen = size = 0
    while folders:
        for entry in store.list_artifacts(folders.pop()):
            seen += 1
            size += entry.file_size or 0
            if seen > MOST_FILES or size > MOST_BYTES:
                raise _refused(f"it has more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB")
            path = PurePosixPath(entry.path)
            leads_away = path.is_absolute() or ".." in path.parts or "\\" in entry.path
            if leads_away or len(path.parts) > _DEEPEST or len(entry.path) > _LONGEST_NAME:
                raise _refused(f"it has a file with the name {entry.path!r:.80}")
            (folders if entry.is_dir else found).append(entry.path)
    return found


def _refused(reason: str) -> ModelRefusedError:
    return ModelRefusedError(f"Model refused: {reason}.", "Publish the model again.")


def _without(described: "ModelVersion", missing: str) -> ArtifactMissingError:
    """A version whose files are gone, one of them or `_ALL`."""
    return ArtifactMissingError(
        f"Version {described.version} of {described.name!r} has lost {missing} in the registry's"
        f" store of artifacts, {_place(described)}.",
        "Bring the files back there, or make another version champion: `sentiment rollback`,"
        " `sentiment promote --version N`.",
    )


def _place(described: "ModelVersion") -> str:
    return tracking.without_secrets(str(described.source))
