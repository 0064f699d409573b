"""The jars of Apache Kafka: fetched once, checked by SHA-256, cached.

`jars.lock` names each by its Maven coordinates and its sum: a start resolves nothing and trusts
nobody. `python -m local.jars` writes it anew. `jgo` speaks to the repository: no Maven, no Java.
"""

import errno
import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sentiment.errors import SetupError

KAFKA_VERSION = "4.4.0"
BROKER = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
# Without a binding the broker logs nothing. All else that it needs is among the broker's own.
BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"
LOCK = Path(__file__).parent / "jars.lock"
# The repository answers each request slowly and many at once gladly.
PARALLEL = 8
# The longest silence of the repository; a slow line is not silent.
TIMEOUT_S = 20

Say = Callable[[str], None]


class Jar(NamedTuple):
    """One line of the lock."""

    sha256: str
    coordinates: str

    @property
    def name(self) -> str:
        """Its file's name, as Maven forms it."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


def locked(lock: Path = LOCK) -> list[Jar]:
    """The jars that a lock names."""
    lines = lock.read_text().splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def ensure(cache: Path, say: Say) -> Path:
    """Make sure that Apache Kafka's jars are there; see `ensure_all`."""
    what = f"Apache Kafka {KAFKA_VERSION}"
    return ensure_all(locked(), cache / f"kafka-{KAFKA_VERSION}", what, say)


def ensure_all(jars: Sequence[Jar], folder: Path, what: str, say: Say) -> Path:
    """Make sure that every jar is in a folder with the right sum, and return the folder.

    A `SetupError`: no network on the first start, a full disk, or a sum that differs.
    """
    missing = [jar for jar in jars if not _is_good(folder / jar.name, jar)]
    if not missing:
        return folder
    with _explained(what, folder.parent):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as repository:
            say(f"Fetching {what}, once: {len(missing)} files, up to 45 MB …")
            _fetch(missing, folder, Path(repository), say)
    return folder


def _fetch(jars: list[Jar], folder: Path, repository: Path, say: Say) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(PARALLEL) as pool:
        futures = {pool.submit(_download, jar.coordinates, repository, stop): jar for jar in jars}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                jar, path = futures[future], future.result()
                _require_good(path, jar)
                # Renamed only when it is whole and right: an interruption leaves nothing half.
                path.replace(folder / jar.name)
                say(f"  {count:>2} of {len(jars)}  {jar.name}")
        except BaseException:
            # Ctrl-C among them: downloads that run end with their next bytes.
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _download(coordinates: str, repository: Path, stop: threading.Event) -> Path:
    from jgo.maven import MavenContext, PythonResolver

    @contextmanager
    def watched(name: str, size: int) -> Iterator[Callable[[int], None]]:
        del size

        def received(count: int) -> None:
            del count
            if stop.is_set():
                raise InterruptedError(errno.EINTR, "stopped", name)

        yield received

    group, artifact, version = coordinates.split(":")
    resolver = PythonResolver(progress_callback=watched)
    context = MavenContext(resolver, repository, timeout=TIMEOUT_S)
    path: Path = context.project(group, artifact).at_version(version).artifact().resolve()
    return path


def _require_good(path: Path, jar: Jar) -> None:
    if not _is_good(path, jar):
        raise SetupError(
            f"{jar.name} differs from the sum in the lock: it is not used.",
            "Someone between here and the repository changed it, or the lock is old.",
        )


def _is_good(path: Path, jar: Jar) -> bool:
    return path.is_file() and _sum(path) == jar.sha256


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _explained(what: str, cache: Path) -> Iterator[None]:
    """Turn what goes wrong with disk and network into sentences."""
    from requests import RequestException

    try:
        yield
    except (RequestException, RuntimeError) as error:
        # jgo raises a RuntimeError for an answer that is no file, such as a proxy's refusal.
        reason = type(error).__name__ if isinstance(error, RequestException) else str(error)
        raise SetupError(
            f"The jars of {what} can't be fetched: {reason}.",
            "The first start needs the network, later ones don't. Behind a proxy set HTTPS_PROXY;"
            " or use a Kafka that is there: `sentiment demo --bootstrap-servers HOST:PORT`.",
        ) from None
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise SetupError(
            f"The jars of {what} can't be stored in {cache}: {error.strerror}.",
            "About 100 MB are needed there; LOCAL_CACHE_DIR chooses another folder."
            if full
            else "Choose another folder with LOCAL_CACHE_DIR.",
        ) from None


def update() -> None:
    """Resolve the broker's dependencies anew and write the lock."""
    from jgo.maven import Dependency, MavenContext

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=TIMEOUT_S)
        group, artifact, version = BROKER.split(":")
        broker = context.project(group, artifact).at_version(version).artifact()
        inputs, transitive = context.resolver.resolve([Dependency(broker)])
        paths = {
            f"{found.artifact.component.project}:{found.artifact.version}": found.artifact.resolve()
            for found in (*inputs, *transitive)
        }
        paths[BINDING] = _download(BINDING, Path(folder), threading.Event())
        lines = sorted(f"{_sum(path)}  {coordinates}" for coordinates, path in paths.items())
    LOCK.write_text("# Written by `python -m local.jars`.\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    update()
