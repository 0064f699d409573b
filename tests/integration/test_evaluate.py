"""Claims about the evaluate stage, its comparison and its command, on a small model."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from sentiment.errors import InputError, ModelRefusedError
from sentiment.registry.artifact import checksums, open_model
from tests.unit.small_models import FEW, knobs, make_texts, own_kinds, save
from trainer import reports, tables
from trainer.commands.stages import evaluate as command
from trainer.evaluate import compare, evaluate
from trainer.judging import plots
from trainer.reports import Interval, Report
from trainer.train import train

# MLflow warns of its own type hints when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


# The texts that a candidate was fitted on, and those to judge by.
TRAIN, TEST = make_texts(200, seed=1), make_texts(120, seed=2)
# Enough for the probes of a worker, and a third of the words that tell.
WEAK = ["excellent", "loved", "great", "terrible", "poor", "hated"]


def test_writes_what_was_found(tmp_path: Path) -> None:
    """Report, scores, speed, tables and images stand in the candidate's folder, and agree."""
    model, output, told = save(tmp_path / "model"), tmp_path / "evaluation", list[str]()
    found = evaluate("small", model, TEST, TRAIN, FEW, output=output, say=told.append)
    folder = output / "small"
    assert reports.read(folder / tables.REPORT) == found
    scores = np.load(folder / reports.SCORES)
    assert np.array_equal(scores, open_model(model).score(TEST["text"].tolist()))
    right = (scores >= 0.5) == (TEST["label"] == 1)
    assert found.overall["accuracy"].value == pytest.approx(right.mean(), abs=1e-6)
    tweets = right[TEST["domain"] == "tweets"]
    assert found.domains["tweets"]["accuracy"].value == pytest.approx(tweets.mean(), abs=1e-6)
    assert found.train_texts == 200
    assert found.train_sha256 == tables.digest(TRAIN) != found.test_sha256
    assert found.size_bytes == (model / "model.skops").stat().st_size
    assert found.behaviours["strong_words"].cases > 100
    assert found.compiled_difference is not None
    assert found.compiled_difference < 1e-12
    assert not found.not_compiled
    metrics = json.loads((folder / reports.METRICS).read_bytes())
    assert metrics["accuracy"] == found.overall["accuracy"].value
    assert metrics["passed_names"] == pytest.approx(found.behaviours["names"].share, abs=1e-6)
    assert json.loads((folder / reports.SPEED).read_bytes())["served"] > 0
    names = {"confusion", "roc", "precision_recall", "reliability", "top_ngrams"}
    assert {path.stem for path in (folder / "plots").iterdir()} == names
    assert {path.stem for path in (folder / "images").iterdir()} == names | {"domains"}
    assert [path.name for path in output.iterdir()] == ["small"]
    assert any("opening" in line for line in told)


def test_plots_hold_the_curves(tmp_path: Path) -> None:
    """DVC's tables are small and begin and end where such curves do."""
    evaluate("small", save(tmp_path / "m"), TEST, TRAIN, FEW, output=tmp_path / "e")
    plots = {
        path.stem: pd.read_csv(path) for path in (tmp_path / "e" / "small" / "plots").iterdir()
    }
    assert len(plots["confusion"]) == 1000
    assert set(plots["confusion"]["actual"]) == {"positive", "negative"}
    assert (plots["confusion"]["actual"] == "positive").mean() == TEST["label"].mean()
    assert plots["roc"].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert plots["precision_recall"]["recall"].is_monotonic_increasing
    assert plots["precision_recall"].iloc[-1].tolist() == [1, TEST["label"].mean()]
    assert plots["reliability"]["texts"].sum() == 120
    weights = plots["top_ngrams"].set_index("ngram")["weight"]
    assert weights.is_monotonic_increasing
    assert weights["excellent"] > 0 > weights["terrible"]
    assert max(map(len, plots.values())) <= 1000


def test_ngrams_of_any_characters_are_drawn(tmp_path: Path) -> None:
    """What looks like a formula and what the font lacks are no obstacle; the strongest are kept."""
    top = plots.strongest(
        [(r"$ \q $", -0.2), ("\N{PILE OF POO}", 3.5), *((f"word {n}", n / 100) for n in range(99))]
    )
    assert top[0] == (r"$ \q $", -0.2)
    assert top[-2:] == [("word 98", 0.98), ("\N{PILE OF POO}", 3.5)]
    assert len(top) == 21
    labels, scores = np.array([0, 1]), np.array([0.2, 0.7])
    plots.draw(tmp_path, labels, scores, {"d": Interval(0.5, 0.4, 0.6)}, top)
    assert (tmp_path / "top_ngrams.png").stat().st_size > 1000


def test_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    """Run twice, every file but the speed is the same, the images among them."""
    model = save(tmp_path / "model")
    for name in "ab":
        evaluate("small", model, TEST, TRAIN, FEW, output=tmp_path / name)
        compare(["small"], TEST, FEW, tmp_path / name)
    first, second = (checksums(tmp_path / name) for name in "ab")
    first.pop("small/speed.json")
    second.pop("small/speed.json")
    assert len(first) > 10
    assert first == second


@pytest.mark.parametrize("step", ["trainer.judging.plots.draw", "trainer.judging.figures.speeds"])
def test_interrupted_evaluation_leaves_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """Ctrl-C while writing leaves the evaluation before it, and nothing half-written."""
    model, output = save(tmp_path / "model"), tmp_path / "evaluation"
    evaluate("small", model, TEST, TRAIN, FEW, output=output)
    before = checksums(output)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate("small", model, TEST[10:], TRAIN, FEW, output=output)
    assert checksums(output) == before


def test_what_a_killed_evaluation_left_is_taken_away(tmp_path: Path) -> None:
    """Remains of a run that could not clean up are gone after the next, not mixed in."""
    output = tmp_path / "evaluation"
    for state in ("part", "old"):
        (output / f".small.{state}" / "plots").mkdir(parents=True)
        (output / f".small.{state}" / "plots" / "rubbish.csv").touch()
    evaluate("small", save(tmp_path / "model"), TEST, TRAIN, FEW, output=output)
    assert [path.name for path in output.iterdir()] == ["small"]
    assert not (output / "small" / "plots" / "rubbish.csv").exists()


def test_compiled_scores_are_held_against_scikit_learn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a worker would answer is judged; its largest distance from scikit-learn is told."""

    class Compiled:
        kind = "compiled"

        def __init__(self, directory: Path) -> None:
            self.scorer = open_model(directory)

        def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
            off = np.array([2e-3 if text == odd else 0 for text in texts])
            scores: NDArray[np.float64] = self.scorer.score(texts) - off
            return scores

    odd = TEST["text"].iloc[77]
    monkeypatch.setattr("trainer.evaluate.open_model", Compiled)
    found = evaluate("c", save(tmp_path / "m"), TEST, TRAIN, FEW, output=tmp_path / "e")
    assert found.compiled_difference == pytest.approx(2e-3)
    assert not found.not_compiled
    speed = json.loads((tmp_path / "e" / "c" / reports.SPEED).read_bytes())
    assert speed["scorer"] == "compiled"


def test_own_types_are_trusted_only_where_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A candidate with estimators of its own is judged if it names them, else refused."""
    model = save(tmp_path / "model", own_kinds(tmp_path / "own", monkeypatch).Lower())
    for trusted in ((), ("own_kinds.Other",)):
        with pytest.raises(ModelRefusedError, match="Lower"):
            evaluate("own", model, TEST, TRAIN, FEW, output=tmp_path / "e", trusted=trusted)
    assert not (tmp_path / "e").exists()
    found = evaluate(
        "own",
        model,
        TEST,
        TRAIN,
        FEW,
        output=tmp_path / "e",
        trusted=("own_kinds.Lower",),
    )
    assert found.overall["accuracy"].value > 0.8
    assert "own_kinds.Lower" in found.not_compiled
    assert found.compiled_difference is None


def test_what_cannot_be_compiled_is_told(tmp_path: Path) -> None:
    """A pipeline that the fast loop doesn't know is judged by scikit-learn's answers."""
    model = save(tmp_path / "model", vectorizer=CountVectorizer(strip_accents="unicode"))
    found = evaluate("other", model, TEST, TRAIN, FEW, output=tmp_path / "e")
    assert found.compiled_difference is None
    assert "strip_accents" in found.not_compiled


def test_unusable_inputs_are_told_in_a_sentence(tmp_path: Path) -> None:
    """No model, no texts, or texts of one class end before anything is written."""
    output = tmp_path / "evaluation"
    with pytest.raises(InputError, match="no MLmodel"):
        evaluate("none", tmp_path, TEST, TRAIN, FEW, output=output)
    model = save(tmp_path / "model")
    for table in (TEST[:0], TEST[TEST["label"] == 1]):
        with pytest.raises(InputError, match="one class"):
            evaluate("small", model, table, TRAIN, FEW, output=output)
    assert not output.exists()


def test_model_of_other_texts_is_refused(tmp_path: Path) -> None:
    """Figures are never given for a model that may have seen the test texts."""
    params = knobs("bag", "tests.unit.small_models:BagOfWords")
    model = train("bag", params, TRAIN, tmp_path)
    with pytest.raises(InputError, match="fitted on other texts") as caught:
        evaluate("bag", model, TEST, TRAIN[1:], FEW, output=tmp_path / "e")
    assert "sentiment train bag" in caught.value.hint
    found = evaluate("bag", model, TEST, TRAIN, FEW, output=tmp_path / "e")
    assert found.knobs == params.candidate("bag").written()


def test_never_replaces_what_is_no_evaluation(tmp_path: Path) -> None:
    """Somebody's folder of the candidate's name is left alone, before any time is spent."""
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "keep").touch()
    with pytest.raises(InputError, match=r"has no report.json, so it is not replaced"):
        evaluate("small", tmp_path / "none", TEST, TRAIN, FEW, output=tmp_path)


# Candidates compared, and the command.


@pytest.fixture
def two(tmp_path: Path) -> dict[str, Report]:
    """Evaluations of a candidate that knows few words and of one that knows all."""
    return {
        name: evaluate(
            name,
            save(tmp_path / name, vectorizer=CountVectorizer(vocabulary=words)),
            TEST,
            TRAIN,
            FEW,
            output=tmp_path / "evaluation",
        )
        for name, words in (("weak", WEAK), ("strong", None))
    }


def test_candidates_are_compared_on_the_same_texts(two: dict[str, Report], tmp_path: Path) -> None:
    """The later candidate less the earlier one, McNemar's counts, and the earlier system beside."""
    output = tmp_path / "evaluation"
    found = compare(["weak", "strong"], TEST, FEW, output)
    (pair,) = found.pairs
    assert (pair.a, pair.b) == ("strong", "weak")
    gain = two["strong"].overall["accuracy"].value - two["weak"].overall["accuracy"].value
    assert pair.differences["accuracy"].value == pytest.approx(gain, abs=2e-6)
    assert pair.mcnemar.only_a - pair.mcnemar.only_b == round(gain * 120)
    assert pair.mcnemar.p_value < 0.01
    assert found.films["strong"] == two["strong"].domains["imdb"]
    written = json.loads((output / reports.COMPARISON).read_bytes())
    assert written["pairs"][0]["a"] == "strong"
    page = (output / reports.COMPARISON_PAGE).read_text()
    assert "| accuracy | 0.85 |" in page
    assert f"| strong | weak | {pair.mcnemar.only_a} |" in page
    assert str(tmp_path) not in page


def test_evaluations_of_other_texts_are_not_compared(
    two: dict[str, Report], tmp_path: Path
) -> None:
    """A changed test table, a candidate without evaluation or scores cut short are refused."""
    output = tmp_path / "evaluation"
    with pytest.raises(InputError, match="other texts"):
        compare(list(two), TEST[::-1], FEW, output)
    with pytest.raises(InputError, match="no file"):
        compare([*two, "third"], TEST, FEW, output)
    np.save(output / "weak" / reports.SCORES, np.zeros(5))
    with pytest.raises(InputError, match="5 scores for 120 texts"):
        compare(list(two), TEST, FEW, output)
    assert not (output / reports.COMPARISON).exists()


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
    tables.write(TEST, tmp_path / "data" / "test.parquet")
    tables.write(TRAIN, tmp_path / "data" / "train.parquet")
    save(tmp_path / "models" / "plain")
    save(tmp_path / "models" / "own", own_kinds(tmp_path / "modules", monkeypatch).Lower())
    return tmp_path


def test_command_judges_all_and_compares(project: Path) -> None:
    """Without names all candidates are judged, shown side by side, and compared."""
    result = run(project)
    assert result.exit_code == 0, result.output
    assert (project / "evaluation" / reports.COMPARISON_PAGE).exists()
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
