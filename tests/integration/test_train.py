"""Claims about the train stage, on small made texts."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from sentiment.errors import InputError
from sentiment.model.formats.mlmodel import metadata
from sentiment.registry.artifact import checksums, open_model
from tests.unit.small_models import knobs, make_texts
from trainer import tables
from trainer.commands.stages import train as command
from trainer.train import lasting, train

# MLflow warns of its own type hints when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

KNOBS = knobs("small", "trainer.champion:Champion", min_df=[1, 1, 1])


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Texts to fit on."""
    return make_texts(200, seed=1)


def test_makes_a_model_that_a_worker_serves(frame: pd.DataFrame, tmp_path: Path) -> None:
    """The directory passes the worker's checks, is compiled, and says what it was made of."""
    told: list[str] = []
    made = train("small", KNOBS, frame, tmp_path / "models", told.append)
    assert made == tmp_path / "models" / "small"
    assert open_model(made).kind == "compiled"
    assert metadata(made) == {
        "candidate": "small",
        "knobs": json.dumps(
            {"kind": "trainer.champion:Champion", "params": {"min_df": [1, 1, 1]}},
            separators=(",", ":"),
        ),
        "train_sha256": tables.digest(frame),
    }
    assert told == ["small: Fitting on 200 texts, sentences and words …", f"small: saved in {made}"]
    assert [path.name for path in made.parent.iterdir()] == ["small"]
    for file in made.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


@pytest.mark.parametrize(
    "kind", ["trainer.champion:Champion", "tests.unit.small_models:BagOfWords"]
)
def test_same_texts_give_the_same_bytes(kind: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    """In another process, where sets and addresses differ, every file is the same."""
    first = checksums(train("twice", knobs("twice", kind), frame, tmp_path / "a"))
    code = (
        "import sys; from pathlib import Path; from trainer.train import train\n"
        "from tests.unit.small_models import knobs, make_texts\n"
        "train('twice', knobs('twice', sys.argv[1]), make_texts(200, seed=1), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, kind, str(tmp_path / "b")]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONWARNINGS": "ignore"}
    subprocess.run(command, check=True, env=environment)
    assert checksums(tmp_path / "b" / "twice") == first
    assert {"MLmodel", "model.skops", "requirements.txt", "input_example.json"} <= first.keys()


def test_one_class_is_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Texts of one class only end in a sentence, and nothing is written."""
    with pytest.raises(InputError, match="one class only") as caught:
        train("small", KNOBS, frame.assign(label=1), tmp_path / "models")
    assert caught.value.hint
    assert not (tmp_path / "models").exists()


def test_texts_without_words_are_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    """What scikit-learn can't fit is the texts' or the knobs' fault, and the sentence says so."""
    none = knobs("small", "tests.unit.small_models:BagOfWords", min_df=999)
    with pytest.raises(InputError, match="'small' can't be fitted on these texts"):
        train("small", none, frame, tmp_path / "models")


def test_never_replaces_what_is_no_model(frame: pd.DataFrame, tmp_path: Path) -> None:
    """A folder with something else in it is left alone, before any time is spent."""
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "keep").touch()
    told: list[str] = []
    with pytest.raises(InputError, match="exists and has no MLmodel"):
        train("small", KNOBS, frame, tmp_path, told.append)
    assert told == []
    assert (tmp_path / "small" / "keep").exists()


def test_unwritable_folder_is_told_first(frame: pd.DataFrame, tmp_path: Path) -> None:
    """A place that can't be written is an error before any time is spent."""
    (tmp_path / "file").touch()
    told: list[str] = []
    with pytest.raises(InputError, match="can't be written"):
        train("small", KNOBS, frame, tmp_path / "file" / "models", told.append)
    assert told == []


def test_interrupted_training_leaves_the_old_model(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while saving leaves the directory that was there, and nothing half-written."""
    train("small", KNOBS, frame, tmp_path)
    before = checksums(tmp_path)

    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.train._settle_mlmodel", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train("small", KNOBS, frame[:100], tmp_path)
    assert checksums(tmp_path) == before


def test_command_knows_its_candidates(tmp_path: Path) -> None:
    """All names are looked at before any table is read or model fitted."""
    (tmp_path / "params.yaml").write_text(
        "ingest: {sources: [{name: made, uri: x}]}\nrelease: small\n"
        "candidates: {small: {kind: 'trainer.champion:Champion'}}\n"
    )
    arguments = ["small", "other", "--params", str(tmp_path / "params.yaml")]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, InputError)
    assert result.exception.message == "There is no candidate 'other'; there are small."


def test_command_prints_the_directory(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Without names all candidates are fitted; their directories go to standard output alone."""
    (tmp_path / "params.yaml").write_text(
        "ingest: {sources: [{name: made, uri: x}]}\nrelease: small\n"
        "candidates: {small: {kind: 'trainer.champion:Champion', params: {min_df: [1, 1, 1]}}}\n"
    )
    tables.write(frame, tmp_path / "train.parquet")
    arguments = ["--params", "params.yaml", "--data", "", "-o", "models"]
    places = [
        str(tmp_path / argument) if argument[:1] != "-" else argument for argument in arguments
    ]
    result = CliRunner().invoke(command, places)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'models' / 'small'}\n"
    assert "small: saved" in result.stderr


def test_a_long_call_is_said_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come while the block runs and end with it, whatever ends it."""
    monkeypatch.setattr("trainer.train.PATIENCE_S", 0.001)
    told, enough = [], threading.Event()

    def say(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            enough.set()

    def work() -> None:
        with lasting(say, "fitting"):
            assert enough.wait(60)
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert told[:2] == ["fitting for 0 s …"] * 2
    assert threading.active_count() == before
