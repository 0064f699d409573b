"""Claims about compiled models on disk, and about what stands in when one can't be used."""

import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numba import typeof
from numpy.typing import NDArray

from sentiment.errors import ModelRefusedError
from sentiment.model.compiled import table
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.compiled.table import Table
from sentiment.model.scorer import TOLERANCE, agrees, check
from sentiment.registry import artifact
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model

MODEL = bundled_model() / "model.skops"

# Opens the bundled model and says what it took.
OPEN = """
import sys
from pathlib import Path
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
scorer = open_model(bundled_model(), Path(sys.argv[1]))
print(scorer.kind, scorer.score(["A fine film."])[0], "sklearn" in sys.modules)
"""


def opened(directory: Path, **environment: str) -> list[str]:
    """What a process of its own says that opens the bundled model."""
    process = subprocess.run(
        [sys.executable, "-c", OPEN, str(directory)],
        capture_output=True, check=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    return process.stdout.split()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the compiled bundled model in it."""
    directory = tmp_path_factory.mktemp("compiled")
    assert open_model(bundled_model(), directory).kind == "compiled"
    return directory


def only(directory: Path) -> Path:
    """The one compiled model of a directory."""
    (file,) = directory.iterdir()
    return file


def loaded(file: Path) -> tuple[Table, NDArray[np.float64]]:
    """A table, and what the probes must score."""
    with file.open("rb") as opened_file:
        return table.read(opened_file)


def written(arrays: Table, expected: NDArray[np.float64]) -> bytes:
    """The same as a file."""
    file = BytesIO()
    table.write(arrays, expected, file)
    return file.getvalue()


def test_no_start_needs_sklearn(tmp_path: Path) -> None:
    """The first start has it compiled elsewhere and keeps it; the next one answers alike."""
    kind, score, imported = opened(tmp_path)
    assert (kind, imported) == ("compiled", "False")
    (file,) = tmp_path.iterdir()
    made = file.stat().st_mtime_ns
    assert opened(tmp_path) == [kind, score, "False"]
    assert file.stat().st_mtime_ns == made


def test_second_start_needs_no_other_native_code(tmp_path: Path) -> None:
    """What is read from disk is of the same types as what was made, for which code is compiled."""
    made, read = (open_model(bundled_model(), tmp_path) for _ in range(2))
    assert isinstance(made, CompiledScorer)
    assert isinstance(read, CompiledScorer)
    assert [*map(typeof, made.table)] == [*map(typeof, read.table)]


def test_native_code_that_may_not_be_written_is_compiled_all_the_same(
    tmp_path: Path, directory: Path
) -> None:
    """Where Numba can write nowhere, a process compiles for itself."""
    nowhere = tmp_path / "file"
    nowhere.touch()
    assert opened(directory, NUMBA_CACHE_DIR=str(nowhere))[0] == "compiled"


@pytest.mark.parametrize("damage", ["truncated", "no archive", "other weights", "other probes"])
def test_damaged_copy_is_made_anew(tmp_path: Path, directory: Path, damage: str) -> None:
    """A copy that can't be read, or answers otherwise, is not used, and a good one replaces it."""
    mine = Path(shutil.copytree(directory, tmp_path / "compiled"))
    file = only(mine)
    arrays, expected = loaded(file)
    match damage:
        case "truncated":
            file.write_bytes(file.read_bytes()[:100_000])
        case "no archive":
            file.write_text("nothing")
        case "other weights":
            file.write_bytes(written(arrays._replace(fractions=arrays.fractions * 1.01), expected))
        case "other probes":
            file.write_bytes(written(arrays, expected[:-1]))
    assert artifact.load(mine, MODEL) is None
    assert open_model(bundled_model(), mine).kind == "compiled"
    assert artifact.load(mine, MODEL) is not None


def test_copies_are_few_and_each_of_its_model(tmp_path: Path, directory: Path) -> None:
    """Three copies are kept at most, and another file is another model."""
    compiled = only(directory)
    for number in range(5):
        model = tmp_path / f"model-{number}"
        model.write_text(str(number))
        with compiled.open("rb") as file:
            artifact.save(tmp_path / "compiled", model, file)
        assert artifact.load(tmp_path / "compiled", model) is not None
    assert len(list((tmp_path / "compiled").iterdir())) == artifact.KEPT
    assert artifact.load(tmp_path / "compiled", MODEL) is None


def test_full_disk_costs_the_copy_only(tmp_path: Path) -> None:
    """Where nothing can be kept, the model serves all the same."""
    nowhere = tmp_path / "file"
    nowhere.touch()
    assert open_model(bundled_model(), nowhere / "compiled").kind == "compiled"


def test_model_whose_compiled_form_disagrees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the compiled form answers otherwise than the pipeline, neither is trusted."""
    monkeypatch.setattr(artifact, "agrees", lambda *_: False)
    with pytest.raises(ModelRefusedError, match="compiled form answers otherwise"):
        open_model(bundled_model())


def test_the_smallest_difference_on_a_probe_counts(directory: Path) -> None:
    """Probes tell a model whose answers are off by more than the tolerance."""
    arrays, expected = loaded(only(directory))
    scorer = CompiledScorer(arrays)
    assert agrees(scorer, check(scorer))
    assert agrees(scorer, expected + TOLERANCE / 2)
    off = expected.copy()
    off[np.argmin(np.abs(off - 0.5))] += 3 * TOLERANCE
    assert not agrees(scorer, off)
