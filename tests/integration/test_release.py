"""Claims about the release stage, on a small candidate that went through all stages before."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from sentiment.errors import InputError
from sentiment.model import drift
from sentiment.model.formats.mlmodel import metadata
from sentiment.registry.artifact import checksums, open_model
from tests.unit.small_models import knobs, make_texts
from trainer import reports, tables
from trainer.commands.stages import release as command
from trainer.evaluate import compare, evaluate
from trainer.ingest import ingest
from trainer.params import Params, Preprocess
from trainer.preprocess import preprocess
from trainer.release import release
from trainer.train import train

# MLflow warns of its own type hints when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

KNOBS = knobs("small", "trainer.champion:Champion", min_df=[1, 1, 1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages before have left, made once."""
    folder = tmp_path_factory.mktemp("stages")
    make_texts(300, seed=1)[["text", "label"]].to_csv(folder / "made.csv", index=False)
    ingest(KNOBS.ingest, folder, folder / tables.RAW)
    preprocess(Preprocess(test_share=0.3), folder / tables.RAW, folder / tables.PREPARED)
    learnt, asked = (
        tables.read(folder / tables.PREPARED / name, "preprocess")
        for name in (tables.TRAIN, tables.TEST)
    )
    model = train("small", KNOBS, learnt, folder / tables.MODELS)
    output = folder / tables.EVALUATION
    evaluate("small", model, asked, learnt, KNOBS.evaluate, output=output)
    compare(["small"], asked, KNOBS.evaluate, output)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of that for one test."""
    return shutil.copytree(made, tmp_path / "project")


def run(folder: Path, params: Params = KNOBS, output: Path = tables.RELEASE) -> Path:
    """Release from a folder's own stages."""
    return release(
        params,
        data=folder / tables.PREPARED,
        raw=folder / tables.RAW,
        evaluation=folder / tables.EVALUATION,
        output=folder / output,
    )


def test_releases_what_register_and_workers_need(folder: Path) -> None:
    """One directory has the model, its card, its evaluation and the drift reference."""
    directory = run(folder)
    assert open_model(directory).kind == "compiled"
    names = {path.relative_to(directory).as_posix() for path in directory.rglob("*")}
    assert {
        "MODEL_CARD.md",
        "drift.json",
        "evaluation/report.json",
        "evaluation/scores.npy",
    } < names
    assert {"evaluation/images/roc.png", "evaluation/images/top_ngrams.png"} < names
    # These tell of a machine.
    assert "evaluation/speed.json" not in names
    found = reports.read(directory / tables.EVALUATION / tables.REPORT)
    noted = metadata(directory)
    assert noted["candidate"] == "small"
    assert noted["knobs"] == KNOBS.candidate("small").written()
    assert (noted["train_sha256"], noted["test_sha256"]) == (found.train_sha256, found.test_sha256)
    assert noted["accuracy"] == f"{found.overall['accuracy'].value:.4f}"
    assert noted["macro_accuracy"] == f"{found.overall['macro_accuracy'].value:.4f}"


def test_same_inputs_give_the_same_bytes(folder: Path) -> None:
    """Released twice, every file of the directory is the same, and none names the machine."""
    first, second = (checksums(run(folder, output=Path(name))) for name in "ab")
    assert first == second
    assert len(first) > 12
    for name in first:
        assert str(folder).encode() not in (folder / "a" / name).read_bytes(), name


def test_released_model_has_learnt_all_texts(folder: Path) -> None:
    """Its twin saw the training texts alone; it knows the words of the test texts too."""
    test = tables.read(folder / tables.PREPARED / tables.TEST, "preprocess")
    text = test["text"].iloc[0]
    twin, released = open_model(folder / tables.MODELS / "small"), open_model(run(folder))
    sure = abs(np.concatenate([twin.score([text]), released.score([text])]) - 0.5)
    assert sure[0] != sure[1]
    told = (folder / tables.RELEASE / tables.CARD).read_text()
    assert "is fitted on all 300 texts below" in told


def test_card_tells_of_sources_and_figures(folder: Path) -> None:
    """Sources with their checksums and texts, figures, parameters and the model's own words."""
    card = (run(folder) / tables.CARD).read_text()
    found = reports.read(folder / tables.EVALUATION / "small" / tables.REPORT)
    noted = json.loads((folder / tables.RAW / tables.REPORT).read_text())
    sha256 = noted["sources"][0]["inputs"][0]["sha256"]
    assert f"| `made` | 300 | `{sha256}` |" in card
    assert "Made by rolling dice." in card
    assert f"| accuracy | {found.overall['accuracy'].value:.4f} |" in card
    assert "Wang" in card
    assert "min_df" in card
    assert "$" not in card
    assert max(map(len, card.splitlines())) < 1000


def test_drift_reference_is_of_the_twins_scores(folder: Path) -> None:
    """A model is too sure of texts that it has learnt; workers see others."""
    reference = json.loads((run(folder) / drift.FILE).read_text())
    scores = np.load(folder / tables.EVALUATION / "small" / reports.SCORES)
    assert reference["texts"] == len(scores)
    assert reference["positive_share"] == pytest.approx((scores >= 0.5).mean(), abs=1e-6)


def edit(path: Path, **changes: object) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        (f"small/{tables.REPORT}", {"test_sha256": "0" * 64}, "other texts than those in"),
        (f"small/{tables.REPORT}", {"train_sha256": "0" * 64}, "other texts than those in"),
        (f"small/{tables.REPORT}", {"knobs": "{}"}, "other parameters than those in params.yaml"),
        (reports.COMPARISON, {"overall": {}}, "another model than the comparison"),
    ],
)
def test_stale_evaluation_is_refused(
    folder: Path, file: str, changes: dict[str, object], reason: str
) -> None:
    """An evaluation of other texts, other knobs or another model says nothing of this one."""
    edit(folder / tables.EVALUATION / file, **changes)
    with pytest.raises(InputError, match=reason) as caught:
        run(folder)
    assert "sentiment evaluate" in caught.value.hint
    assert not (folder / tables.RELEASE).exists()


def test_knob_that_was_changed_since_is_refused(folder: Path) -> None:
    """Nobody releases a model with figures that another one has earned."""
    other = knobs("small", "trainer.champion:Champion", min_df=[1, 2, 2])
    with pytest.raises(InputError, match="other parameters"):
        run(folder, other)


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        (tables.RAW / tables.REPORT, "ingest"),
        (tables.PREPARED / tables.TEST, "preprocess"),
        (tables.EVALUATION / "small" / tables.REPORT, "evaluate"),
        (tables.EVALUATION / "small" / reports.SCORES, "evaluate"),
        (tables.EVALUATION / reports.COMPARISON, "evaluate"),
    ],
)
def test_missing_stage_is_named(folder: Path, missing: Path, stage: str) -> None:
    """What a stage before has not made is told with the command that makes it, before the fit."""
    (folder / missing).unlink()
    with pytest.raises(InputError, match=str(missing)) as caught:
        run(folder)
    assert f"`sentiment {stage}`" in caught.value.hint
    assert not (folder / tables.RELEASE).exists()


def test_interrupted_release_leaves_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the card was written leaves the release before, and nothing half-written."""
    run(folder)
    before = checksums(folder / tables.MODELS)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.reports.write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert checksums(folder / tables.MODELS) == before


def test_never_replaces_what_is_no_model(folder: Path) -> None:
    """A folder with something else in it is left alone."""
    with pytest.raises(InputError, match="has no MLmodel"):
        run(folder, output=tables.PREPARED)
    assert (folder / tables.PREPARED / tables.TEST).exists()


def test_command_releases(folder: Path) -> None:
    """The command takes the places of the stages before, and prints the directory."""
    (folder / "params.yaml").write_bytes(msgspec.yaml.encode(KNOBS))
    options = {
        "--params": Path("params.yaml"), "--data": tables.PREPARED, "--raw": tables.RAW,
        "--evaluation": tables.EVALUATION, "--output": tables.RELEASE,
    }  # fmt: skip
    arguments = [w for key, value in options.items() for w in (key, str(folder / value))]
    result: Result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{folder / tables.RELEASE}\n"
    assert "Released in" in result.stderr
