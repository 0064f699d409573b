"""The last good copies of a model on disk, for when the registry is down and for quick starts.

Laid out as `<cache_dir>/<registry>/<model>/<version>/`, with one pointer file beside the versions
for each address (alias or version) that was followed. Needs no lock: whatever is put in place is
put there by a rename, so that workers on one host may share the directory, and whatever is read is
compared with the checksums in the pointer.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sentiment import limited, logs
from sentiment.errors import SetupError
from sentiment.registry.artifact import checksums

log = logs.get(__name__)

# The running one, the one before it, and the one that an operator may go back to.
KEPT_VERSIONS = 3
# What a process that was killed has left of a download: none takes so long.
LEFT_S = 3600.0
# Of the directories that models are downloaded into.
PREFIX = ".new-"
# A version and the checksums of its files, a hundred bytes for each.
MOST_POINTER = 1 << 20


class Copy(NamedTuple):
    """A version that is on disk, unchanged since it passed its checks."""

    version: str
    directory: Path


class ModelCache:
    """Copies of one model, as one address follows it: what follows the name in the model's URI.

    All models share the root; one of the same name in another registry is another one.
    """

    def __init__(self, root: Path, registry: str, name: str, address: str) -> None:
        # Hashed and quoted: neither a registry's address nor a model's name may leave the root.
        host = hashlib.sha256(registry.encode()).hexdigest()[:16]
        self._home = root / host / f"model-{quote(name, safe='')}"
        self._pointer = self._home / f"{quote(address, safe='')}.json"

    def last(self) -> Copy | None:
        """The copy that was kept last; None if there is none or its files have changed."""
        try:
            pointer = json.loads(limited.read(self._pointer, MOST_POINTER))
            directory = self._directory(pointer["version"])
            if checksums(directory) == pointer["files"]:
                return Copy(pointer["version"], directory)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("cached model is unreadable", file=str(self._pointer), reason=str(error))
            return None
        log.warning("cached model has changed and is not used", directory=str(directory))
        return None

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory to download into, gone afterwards; elsewhere if the cache can't be written.

        Raises:
            SetupError: No directory can be written.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            # What processes that were killed have left.
            for left in self._home.glob(f"{PREFIX}*"):
                # Others remove theirs meanwhile.
                with suppress(FileNotFoundError):
                    if time.time() - left.stat().st_mtime > LEFT_S:
                        shutil.rmtree(left, ignore_errors=True)
            made = tempfile.mkdtemp(prefix=PREFIX, dir=self._home)
        except OSError as error:
            log.warning(
                "model cache can't be written", directory=str(self._home), reason=str(error)
            )
            try:
                made = tempfile.mkdtemp(prefix="sentiment-model-")
            except OSError as second:
                raise SetupError(
                    f"A model can be downloaded neither to {self._home} nor to the system's"
                    f" temporary directory: {second}",
                    "Free some space, or set MODEL_CACHE_DIR to a directory that can be written.",
                ) from second
        try:
            yield Path(made)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def keep(self, version: str, downloaded: Path) -> None:
        """Take over a checked directory of the workspace; a full disk costs the copy alone."""
        try:
            files, target = checksums(downloaded), self._directory(version)
            if target.exists() and checksums(target) == files:
                os.utime(target)
            else:
                if target.exists():
                    target.rename(downloaded.parent / "changed")
                downloaded.rename(target)
            temporary = downloaded.parent / "pointer"
            temporary.write_text(json.dumps({"version": version, "files": files}))
            temporary.replace(self._pointer)
            versions = [path for path in self._home.iterdir() if path.name.isdecimal()]
            versions.sort(key=lambda path: path.stat().st_mtime, reverse=True)
            for old in versions[KEPT_VERSIONS:]:
                shutil.rmtree(old, ignore_errors=True)
        except (OSError, ValueError) as error:
            log.warning("model is not kept for later", version=version, reason=str(error))

    def _directory(self, version: str) -> Path:
        if not version.isdecimal():
            raise ValueError(f"{version!r} is no version")
        return self._home / version
