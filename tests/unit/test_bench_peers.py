"""Claims about the peers of the benchmark, without their environments."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import candidates
from benchmarks.__main__ import main
from benchmarks.peers import job
from local import jars


def test_an_environment_that_cant_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All peers of that environment are left out by name, with pip's own reason."""
    monkeypatch.setattr(candidates, "ROOT", tmp_path)
    monkeypatch.setattr(candidates, "ENVIRONMENTS", tmp_path / "peers")
    requirements = tmp_path / "requirements" / "peers" / "quix.txt"
    requirements.parent.mkdir(parents=True)
    requirements.write_text(f"./nothing-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\n")
    left_out: dict[str, str] = {}
    assert candidates.prepare(["quix"], left_out) == []
    assert set(left_out) == {p.name for p in candidates.PEERS if p.environment == "quix"}
    assert all("quix can't be made: ERROR" in why for why in left_out.values())
    assert not (tmp_path / "peers" / "quix" / candidates.STAMP).exists()


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


def test_both_ways_of_scoring_give_a_peer_the_same_results() -> None:
    """A batch of events becomes a result each, in order, alike by scikit-learn and compiled."""
    events = [
        json.dumps({"id": f"{number}", "text": text}).encode()
        for number, text in enumerate(["A wonderful film.", "A terrible waste of time."])
    ]
    by_sklearn, by_compiled = (
        [json.loads(result) for result in job.answer(events, score)]
        for score in (job.sklearn(), job.compiled())
    )
    assert [(one["id"], one["sentiment"]) for one in by_sklearn] == [
        ("0", "positive"),
        ("1", "negative"),
    ]
    for one, other in zip(by_sklearn, by_compiled, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-9)


def _locked(file: Path) -> dict[str, set[str]]:
    """Versions by package; numpy and scipy have one per Python."""
    found: dict[str, set[str]] = {}
    for line in file.read_text().splitlines():
        if "==" in line and not line.startswith(" "):
            name, version = line.split(" ")[0].split("==")
            found.setdefault(name, set()).add(version)
    return found
