"""Claims about the peers of the benchmark, without their environments."""

from pathlib import Path

from click.testing import CliRunner

from benchmarks import candidates
from benchmarks.__main__ import main
from local import jars


def test_an_unknown_peer_is_wrong_use() -> None:
    """`--peers` with another name ends with code 2 and the names that there are."""
    result = CliRunner().invoke(main, ["--peers", "quix,flink"])
    assert result.exit_code == 2
    assert "'flink' is none of quix, faust, bytewax, spark" in result.output


def test_every_peer_has_locked_requirements_and_the_workers_model_libraries() -> None:
    """The peers differ from the worker in the engine, not in the model's libraries."""
    folder = candidates.ROOT / "requirements"
    # A worker's image has no Numba any more, but native code that it made.
    ours = _locked(folder / "worker.txt") | _locked(folder / "aot.txt")
    for name in candidates.NAMES:
        theirs = _locked(folder / "peers" / f"{name}.txt")
        for library in ("numba", "numpy", "scikit-learn", "scipy", "skops"):
            assert theirs[library] == ours[library], f"{library} of {name}"
        assert "--hash=sha256:" in (folder / "peers" / f"{name}.txt").read_text()


def test_sparks_connector_is_that_of_its_version() -> None:
    """The jars in the lock and the wheel in the environment are of one release."""
    locked = _locked(candidates.ROOT / "requirements" / "peers" / "spark.txt")
    versions = {
        jar.coordinates.rsplit(":", 1)[1]
        for jar in jars.locked(candidates.SPARK_LOCK)
        if jar.coordinates.startswith("org.apache.spark:")
    }
    assert versions == locked["pyspark"]


def _locked(file: Path) -> dict[str, set[str]]:
    """Versions by package; numpy and scipy have one per Python."""
    found: dict[str, set[str]] = {}
    for line in file.read_text().splitlines():
        if "==" in line and not line.startswith(" "):
            name, version = line.split(" ")[0].split("==")
            found.setdefault(name, set()).add(version)
    return found
