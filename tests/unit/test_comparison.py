"""Claims about the comparison of candidates and the command `sentiment evaluate`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from sklearn.feature_extraction.text import CountVectorizer

from sentiment.errors import InputError
from tests.unit.small_models import FEW, make_texts, own_kinds, save
from trainer import report, tables
from trainer.commands.stages import evaluate as command
from trainer.evaluate import compare, evaluate
from trainer.report import Report

# Enough for the probes of a worker, and a third of the words that tell.
WEAK = ["excellent", "loved", "great", "terrible", "poor", "hated"]


@pytest.fixture
def test_table() -> pd.DataFrame:
    """The texts to judge by."""
    return make_texts(120, seed=2)


@pytest.fixture
def train_table() -> pd.DataFrame:
    """The texts that a candidate was fitted on."""
    return make_texts(200, seed=1)


@pytest.fixture
def two(test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path) -> dict[str, Report]:
    """Evaluations of a candidate that knows few words and of one that knows all."""
    return {
        name: evaluate(
            name,
            save(tmp_path / name, vectorizer=CountVectorizer(vocabulary=words)),
            test_table,
            train_table,
            FEW,
            output=tmp_path / "evaluation",
        )
        for name, words in (("weak", WEAK), ("strong", None))
    }


def test_candidates_are_compared_on_the_same_texts(
    two: dict[str, Report], test_table: pd.DataFrame, tmp_path: Path
) -> None:
    """The later candidate less the earlier one, McNemar's counts, and the earlier system beside."""
    output = tmp_path / "evaluation"
    found = compare(["weak", "strong"], test_table, FEW, output)
    (pair,) = found.pairs
    assert (pair.a, pair.b) == ("strong", "weak")
    gain = two["strong"].overall["accuracy"].value - two["weak"].overall["accuracy"].value
    assert pair.differences["accuracy"].value == pytest.approx(gain, abs=2e-6)
    assert pair.mcnemar.only_a - pair.mcnemar.only_b == round(gain * 120)
    assert pair.mcnemar.p_value < 0.01
    assert found.films["strong"] == two["strong"].domains["imdb"]
    written = json.loads((output / report.COMPARISON).read_bytes())
    assert written["pairs"][0]["a"] == "strong"
    page = (output / report.COMPARISON_PAGE).read_text()
    assert "| accuracy | 0.85 |" in page
    assert f"| strong | weak | {pair.mcnemar.only_a} |" in page
    assert str(tmp_path) not in page


def test_evaluations_of_other_texts_are_not_compared(
    two: dict[str, Report], test_table: pd.DataFrame, tmp_path: Path
) -> None:
    """A changed test table, a candidate without evaluation or scores cut short are refused."""
    output = tmp_path / "evaluation"
    with pytest.raises(InputError, match="other texts"):
        compare(list(two), test_table[::-1], FEW, output)
    with pytest.raises(InputError, match="no file"):
        compare([*two, "third"], test_table, FEW, output)
    np.save(output / "weak" / report.SCORES, np.zeros(5))
    with pytest.raises(InputError, match="5 scores for 120 texts"):
        compare(list(two), test_table, FEW, output)
    assert not (output / report.COMPARISON).exists()


def run(folder: Path, *arguments: str) -> Result:
    """Run the command in this process, on the files of `project`."""
    options = {
        "--params": folder / "params.yaml",
        "--data": folder / "data",
        "--models": folder / "models",
        "--output": folder / "evaluation",
    }
    given = [str(part) for option in options.items() for part in option]
    return CliRunner().invoke(command, [*given, *arguments])


@pytest.fixture
def project(
    test_table: pd.DataFrame,
    train_table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Parameters, tables and models of two candidates, one of which has a step of its own."""
    params = {
        "ingest": {"sources": [{"name": "made", "uri": "made.csv"}]},
        "candidates": {
            "plain": {"kind": "own_kinds:Plain"},
            "own": {"kind": "own_kinds:WithOwnStep"},
        },
        "release": "plain",
        "evaluate": {"bootstrap": 20},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    tables.write(test_table, tmp_path / "data" / "test.parquet")
    tables.write(train_table, tmp_path / "data" / "train.parquet")
    save(tmp_path / "models" / "plain")
    save(tmp_path / "models" / "own", own_kinds(tmp_path / "modules", monkeypatch).Lower())
    return tmp_path


def test_command_judges_all_and_compares(project: Path) -> None:
    """Without names all candidates are judged, shown side by side, and compared."""
    result = run(project)
    assert result.exit_code == 0, result.output
    assert (project / "evaluation" / report.COMPARISON_PAGE).exists()
    header, accuracy = result.stdout.splitlines()[:2]
    assert header.split() == ["plain", "own"]
    assert float(accuracy.split()[-1]) > 0.8
    assert "plain: opening" in result.stderr


def test_command_judges_those_named(project: Path) -> None:
    """With a name only that one is judged, and a program reads the report."""
    result = run(project, "own", "--json")
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["comparison"] is None
    assert list(printed["reports"]) == ["own"]
    assert printed["reports"]["own"]["overall"]["accuracy"]["value"] > 0.8
    assert [path.name for path in (project / "evaluation").iterdir()] == ["own"]


def test_command_knows_its_candidates(project: Path) -> None:
    """A name that the parameters lack is told before any table is read."""
    result = run(project, "other")
    assert isinstance(result.exception, InputError)
    assert "no candidate 'other'; there are plain, own" in result.exception.message
