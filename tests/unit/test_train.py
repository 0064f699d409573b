"""Claims about training, on a small set of made sentences."""

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from sentiment.artifact import checksums, open_model
from sentiment.cli import cli
from sentiment.errors import InputError, SentimentError
from trainer.data import read
from trainer.train import calibration_error, measure, train

# MLflow warns of its own type hints when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

GOOD = "excellent wonderful superb loved best great perfect beautiful recommended"
BAD = "terrible waste boring awful worst poor dull disappointing hated"
FILLER = "the film a story of acting and evening time year , ."


def words(chance: random.Random, vocabulary: str, count: int) -> str:
    """Some words of a vocabulary, in any order, a space after each."""
    return "".join(f"{word} " for word in chance.choices(vocabulary.split(), k=count))


@pytest.fixture
def frame() -> pd.DataFrame:
    """200 made reviews of 20 films, half of them positive."""
    chance = random.Random(0)  # noqa: S311 - made data, not secrets
    rows = [
        {
            "text": " ".join(
                chance.choices(FILLER.split(), k=8)
                + chance.choices((BAD, GOOD)[i % 2].split(), k=6)
            ),
            "label": i % 2,
            "movie": f"film {i % 20}",
        }
        for i in range(200)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def no_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is logged unless a test says where."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def save(frame: pd.DataFrame, folder: Path, suffix: str = "parquet") -> Path:
    """Write a frame to a file."""
    file = folder / f"data.{suffix}"
    frame.to_parquet(file) if suffix == "parquet" else frame.to_csv(file, index=False)
    return file


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_trains_a_model_that_passes_the_workers_checks(
    frame: pd.DataFrame, tmp_path: Path, suffix: str
) -> None:
    """One command makes a directory that the worker would serve, and reports what was measured."""
    about = tmp_path / "about.md"
    about.write_text("Made by rolling dice.")
    target = tmp_path / "out" / "model"
    data = save(frame, tmp_path, suffix)
    result = run("train", data, "-o", target, "--about", about, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["figures"]["accuracy"] > 0.95
    assert len(report["folds"]) == 5
    assert report["groups"] == 20
    assert "Fold 5 of 5" in result.stderr
    assert open_model(target).kind == "sklearn"
    card = (target / "MODEL_CARD.md").read_text()
    assert "Made by rolling dice." in card
    assert f"| accuracy | {report['figures']['accuracy']:.4f} |" in card
    assert "$" not in card
    assert str(tmp_path) not in card + (target / "MLmodel").read_text()
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_same_data_gives_the_same_bytes(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Trained twice, every file of the directory is the same."""
    dataset = read(save(frame, tmp_path))
    for name in "ab":
        train(dataset, tmp_path / name)
    assert checksums(tmp_path / "a") == checksums(tmp_path / "b")


def test_folds_never_share_a_group(frame: pd.DataFrame, tmp_path: Path) -> None:
    """A word that only names the film's verdict helps nobody: no film is on both sides."""
    frame["text"] = "word" + frame["movie"].str.removeprefix("film ")
    frame["text"] = frame["text"] + " the the"
    report = train(read(save(frame, tmp_path)), tmp_path / "model")
    assert report.figures["accuracy"] <= 0.5
    shuffled = frame.drop(columns="movie").sample(frac=1, random_state=0)
    alone = train(read(save(shuffled, tmp_path)), tmp_path / "model")
    assert alone.figures["accuracy"] == 1


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"text": None}, [], "have no text"),
        ({"text": " "}, [], "have no text"),
        ({"label": 2}, [], "other than 0 and 1"),
        ({"label": "pos"}, [], "other than 0 and 1"),
        ({"label": 1}, [], "one class only"),
        ({"movie": "x"}, [], "too few for 5 folds"),
        ({}, ["--text", "body"], "no column 'body'"),
        ({}, ["--group", "film"], "no column 'film'"),
    ],
)
def test_unusable_data_is_told_in_a_sentence(
    frame: pd.DataFrame, tmp_path: Path, change: dict[str, str | int | None], arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    """What is wrong with the data is said, and no directory is made."""
    for column, value in change.items():
        frame[column] = value
    target = tmp_path / "model"
    result = run("train", save(frame, tmp_path), "-o", target, *arguments)
    assert isinstance(result.exception, InputError)
    assert message in result.exception.message
    assert not target.exists()


@pytest.mark.parametrize("name", ["missing.parquet", "broken.parquet", "empty.csv", "data.txt"])
def test_unreadable_file_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    """A file that is missing, broken, empty or of another kind is named."""
    if name != "missing.parquet":
        (tmp_path / name).write_text("" if name == "empty.csv" else "no table")
    result = run("train", tmp_path / name, "-o", tmp_path / "model")
    assert isinstance(result.exception, InputError)
    assert name in result.exception.message


def test_never_replaces_what_is_no_model(frame: pd.DataFrame, tmp_path: Path) -> None:
    """A folder with something else in it is left alone, before any time is spent."""
    (tmp_path / "keep").touch()
    result = run("train", save(frame, tmp_path), "-o", tmp_path)
    assert isinstance(result.exception, InputError)
    assert "Fold" not in result.stderr
    assert (tmp_path / "keep").exists()


def test_interrupted_training_leaves_the_old_model(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while saving leaves the directory that was there, and nothing half-written."""
    dataset = read(save(frame, tmp_path))
    train(dataset, tmp_path / "out" / "model")
    before = checksums(tmp_path / "out")

    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.saving._settle_mlmodel", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path / "out" / "model")
    assert checksums(tmp_path / "out") == before


def test_run_is_logged_where_mlflow_is_told(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With MLFLOW_TRACKING_URI set, parameters, figures and the card stand in a run there."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/store/mlflow.db"
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    result = run("train", save(frame, tmp_path), "-o", tmp_path / "model", "--min-df", "2,4")
    assert result.exit_code == 0, result.output
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("sentiment")
    assert experiment is not None
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.data.params["min_df"] == "(2, 4)"
    assert logged.data.metrics["accuracy"] > 0.9
    assert logged.info.status == "FINISHED"
    card = tmp_path / "store" / "artifacts" / logged.info.run_id / "artifacts" / "MODEL_CARD.md"
    assert card.exists()


def test_measures_are_the_known_ones() -> None:
    """Figures of four texts, worked out by hand."""
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.6, 0.2])
    figures = measure(labels, scores)
    assert figures["accuracy"] == 0.75
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["recall"] == 1
    assert figures["roc_auc"] == 0.75
    assert calibration_error(labels, scores) == pytest.approx((0.1 + 0.8 + 0.4 + 0.2) / 4)


@pytest.mark.parametrize("value", ["3,2", "0,1", "two", ""])
def test_wrong_min_df_is_wrong_use(tmp_path: Path, value: str) -> None:
    """Document frequencies that fall or are none are refused before anything is read."""
    assert run("train", tmp_path / "none.csv", "--min-df", value).exit_code == 2


def test_register_refuses_what_is_no_model(tmp_path: Path) -> None:
    """A folder without a model is an error with a hint."""
    result = run("register", tmp_path)
    assert isinstance(result.exception, SentimentError)
    assert result.exception.hint
