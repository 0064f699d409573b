"""Who is measured: our own two, and the peers with each way of asking the model."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import say
from local import jars
from sentiment.errors import SetupError

COPY, WORKER = "bare transactional copy loop", "worker"
PEERS_FOLDER = Path(__file__).parent / "peers"
# As many cores as every candidate has: Spark's threads are told, the others take what is there.
SPARK = ("--master", "local[2]", "--conf", "spark.ui.enabled=false")


class Peer(NamedTuple):
    """One way of doing the job in another stream processor.

    Its environment is that of `requirements/peers/NAME.txt`; `how` is how it asks the model, in the
    words of its command line; `by_group`, whether offsets committed to Kafka count as its progress:
    else what it has written does, since it commits rarely or keeps its offsets elsewhere.
    """

    name: str
    environment: str
    how: str
    by_group: bool = False
    guarantee: str = "at least once"


PEERS = (
    Peer("Quix Streams, per event", "quix", "per-event", by_group=True, guarantee="exactly once"),
    Peer(
        "Quix Streams, our compiled model",
        "quix",
        "sink-compiled",
        by_group=True,
        guarantee="exactly once",
    ),
    Peer("Faust, per event", "faust", "per-event"),
    Peer("Faust, take(1000)", "faust", "take"),
    Peer("Faust, take(1000), our compiled model", "faust", "take-compiled"),
    Peer("Bytewax, batches of 1,000", "bytewax", "batches"),
    Peer("PySpark, pandas UDF", "spark", "pandas-udf"),
)
NAMES = tuple(dict.fromkeys(peer.environment for peer in PEERS))


class Ready(NamedTuple):
    """A peer whose environment is there."""

    peer: Peer
    python: Path
    jars: tuple[Path, ...] = ()

    def command(self, servers: str, events: str, output: str, name: str) -> list[str]:
        """How it is started; the name is its consumer group, or what it has in the place of one."""
        arguments = [servers, events, output, name, self.peer.how]
        module = f"benchmarks.peers.{self.peer.environment}"
        if self.peer.environment != "spark":
            return [str(self.python), "-m", module, *arguments]
        given = ("--jars", ",".join(map(str, self.jars)), str(PEERS_FOLDER / "spark.py"))
        submit = "benchmarks.peers.spark_submit"
        return [str(self.python), "-m", submit, *SPARK, *given, *arguments]


def prepare(names: Iterable[str], left_out: dict[str, str]) -> list[Ready]:
    """Make the environments of peers; `left_out` is told why a peer can't be had."""
    ready: list[Ready] = []
    for name in names:
        peers = [peer for peer in PEERS if peer.environment == name]
        try:
            python = ensure(name)
            jars = tuple(spark_jars()) if name == "spark" else ()
        except SetupError as error:
            left_out.update(dict.fromkeys((peer.name for peer in peers), error.message))
        else:
            ready += [Ready(peer, python, jars) for peer in peers]
    return ready


# The virtual environments of the peers: one each, locked by hash, made at first use.

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "build" / "peers"
SPARK_LOCK = Path(__file__).parent / "peers" / "spark.lock"
# Spark's wheel is 430 MB and has to be built; the others take a minute.
INSTALL_S = 1200.0
STAMP = "installed"


def ensure(name: str) -> Path:
    """The Python of a peer's environment, which is made where it isn't what it should be."""
    requirements = ROOT / "requirements" / "peers" / f"{name}.txt"
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    # The version too: a virtual environment doesn't outlive the Python that it was made with.
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    say(f"making the environment of {name}, once: {folder.relative_to(ROOT)}")
    _run(name, sys.executable, "-m", "venv", "--clear", str(folder))
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    say("  installing its packages")
    _run(name, *install, "--require-hashes", "-r", str(requirements))
    say("  installing this project without dependencies")
    _run(name, *install, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    stamp.write_text(wanted)
    return python


def spark_jars() -> list[Path]:
    """The jars of Spark's Kafka connector, fetched at first use and checked by hash."""
    needed = jars.locked(SPARK_LOCK)
    folder = ENVIRONMENTS / "spark-jars"
    jars.ensure_all(needed, folder, "Spark's Kafka connector", say)
    return [folder / jar.name for jar in needed]


def _run(name: str, *command: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"The environment of {name} can't be made: {error}.") from None
    if done.returncode:
        # pip's last words say what it lacks.
        lines = done.stderr.strip().splitlines()
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1:] or [""])
        raise SetupError(f"The environment of {name} can't be made: {reason}")
