"""Claims about compiled models on disk, and about what stands in when one can't be used."""

import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import skops.io
from numba import typeof
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment.errors import ModelRefusedError
from sentiment.model.compiled import table
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.compiled.table import Table
from sentiment.model.scorer import PROBES, TOLERANCE, Scorer, agrees, check
from sentiment.registry import artifact
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, which is compiled in a moment."""
    texts, labels = zip(*PROBES, strict=True)
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression(C=100)).fit(texts, labels)
    directory = tmp_path_factory.mktemp("model")
    shutil.copy(bundled_model() / "MLmodel", directory)
    skops.io.dump(pipeline, directory / "model.skops")
    return directory


@pytest.fixture(scope="module")
def first(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scorer, Path]:
    """What the first start serves, and the directory in which it keeps the compiled form."""
    directory = tmp_path_factory.mktemp("compiled")
    return open_model(model, directory), directory


@pytest.fixture
def directory(first: tuple[Scorer, Path]) -> Path:
    """The directory alone."""
    return first[1]


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


def test_second_start_needs_no_other_native_code(first: tuple[Scorer, Path], model: Path) -> None:
    """What is read from disk is of the same types as what was made, for which code is compiled."""
    made, read = first[0], open_model(model, first[1])
    assert isinstance(made, CompiledScorer)
    assert isinstance(read, CompiledScorer)
    assert [*map(typeof, made.table)] == [*map(typeof, read.table)]


@pytest.mark.parametrize("damage", ["truncated", "no archive", "other weights", "other probes"])
def test_damaged_copy_is_made_anew(
    tmp_path: Path, model: Path, directory: Path, damage: str
) -> None:
    """A copy that can't be read, or answers otherwise, is not used, and a good one replaces it."""
    mine = Path(shutil.copytree(directory, tmp_path / "compiled"))
    file = only(mine)
    arrays, expected = loaded(file)
    match damage:
        case "truncated":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        case "no archive":
            file.write_text("nothing")
        case "other weights":
            file.write_bytes(written(arrays._replace(fractions=arrays.fractions * 1.01), expected))
        case "other probes":
            file.write_bytes(written(arrays, expected[:-1]))
    assert artifact.load(mine, model / "model.skops") is None
    assert open_model(model, mine).kind == "compiled"
    assert artifact.load(mine, model / "model.skops") is not None


def test_copies_are_few_and_each_of_its_model(tmp_path: Path, model: Path, directory: Path) -> None:
    """Three copies are kept at most, and another file is another model."""
    compiled = only(directory)
    for number in range(5):
        other = tmp_path / f"model-{number}"
        other.write_text(str(number))
        with compiled.open("rb") as file:
            artifact.save(tmp_path / "compiled", other, file)
        assert artifact.load(tmp_path / "compiled", other) is not None
    assert len(list((tmp_path / "compiled").iterdir())) == artifact.KEPT
    assert artifact.load(tmp_path / "compiled", model / "model.skops") is None


def test_full_disk_costs_the_copy_only(tmp_path: Path, model: Path) -> None:
    """Where nothing can be kept, the model serves all the same."""
    nowhere = tmp_path / "file"
    nowhere.touch()
    assert open_model(model, nowhere / "compiled").kind == "compiled"


def test_model_whose_compiled_form_disagrees_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the compiled form answers otherwise than the pipeline, neither is trusted."""
    monkeypatch.setattr(artifact, "agrees", lambda *_: False)
    with pytest.raises(ModelRefusedError, match="compiled form answers otherwise"):
        open_model(model)


def test_the_smallest_difference_on_a_probe_counts(directory: Path) -> None:
    """Probes tell a model whose answers are off by more than the tolerance."""
    arrays, expected = loaded(only(directory))
    scorer = CompiledScorer(arrays)
    assert agrees(scorer, check(scorer))
    assert agrees(scorer, expected + TOLERANCE / 2)
    off = expected.copy()
    off[np.argmin(np.abs(off - 0.5))] += 3 * TOLERANCE
    assert not agrees(scorer, off)
