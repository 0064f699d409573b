"""The virtual environments of the peers: one each, locked by hash, made at first use."""

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.progress import say
from local import jars
from sentiment.errors import SetupError

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "build" / "peers"
SPARK_LOCK = Path(__file__).parent / "peers" / "spark.lock"
# Spark's wheel is 430 MB and has to be built; the others take a minute.
INSTALL_S = 1200.0
STAMP = "installed"


def ensure(name: str) -> Path:
    """Make sure that a peer's environment is there, and is what its requirements say.

    Args:
        name: As in `requirements/peers/NAME.txt`.

    Returns:
        Its Python.

    Raises:
        SetupError: It can't be made: the network, the disk, or no wheel for this Python.
    """
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
    """The jars of Spark's Kafka connector, fetched at first use and checked by hash.

    Raises:
        SetupError: No network, a full disk, or a sum that differs.
    """
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
