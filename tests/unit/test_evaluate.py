"""Claims about the evaluate stage, on a small model of made sentences."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from sentiment.errors import InputError, ModelRefusedError
from sentiment.registry.artifact import checksums, open_model
from tests.unit.small_models import FEW, knobs, make_texts, own_kinds, save
from trainer import layout, report, tables
from trainer.evaluate import compare, evaluate
from trainer.judging import plots
from trainer.report import Interval
from trainer.train import train

# MLflow warns of its own type hints when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


@pytest.fixture
def test_table() -> pd.DataFrame:
    """The texts to judge by."""
    return make_texts(120, seed=2)


@pytest.fixture
def train_table() -> pd.DataFrame:
    """The texts that a candidate was fitted on."""
    return make_texts(200, seed=1)


def test_writes_what_was_found(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """Report, scores, speed, tables and images stand in the candidate's folder, and agree."""
    model, output, told = save(tmp_path / "model"), tmp_path / "evaluation", list[str]()
    found = evaluate("small", model, test_table, train_table, FEW, output=output, say=told.append)
    folder = output / "small"
    assert report.read(folder / layout.REPORT) == found
    scores = np.load(folder / report.SCORES)
    assert np.array_equal(scores, open_model(model).score(test_table["text"].tolist()))
    right = (scores >= 0.5) == (test_table["label"] == 1)
    assert found.overall["accuracy"].value == pytest.approx(right.mean(), abs=1e-6)
    tweets = right[test_table["domain"] == "tweets"]
    assert found.domains["tweets"]["accuracy"].value == pytest.approx(tweets.mean(), abs=1e-6)
    assert found.train_texts == 200
    assert found.train_sha256 == tables.digest(train_table) != found.test_sha256
    assert found.size_bytes == (model / "model.skops").stat().st_size
    assert found.behaviours["strong_words"].cases > 100
    assert found.compiled_difference is not None
    assert found.compiled_difference < 1e-12
    assert not found.not_compiled
    metrics = json.loads((folder / report.METRICS).read_bytes())
    assert metrics["accuracy"] == found.overall["accuracy"].value
    assert metrics["passed_names"] == pytest.approx(found.behaviours["names"].share, abs=1e-6)
    assert json.loads((folder / report.SPEED).read_bytes())["served"] > 0
    names = {"confusion", "roc", "precision_recall", "reliability", "top_ngrams"}
    assert {path.stem for path in (folder / "plots").iterdir()} == names
    assert {path.stem for path in (folder / "images").iterdir()} == names | {"domains"}
    assert [path.name for path in output.iterdir()] == ["small"]
    assert any("opening" in line for line in told)


def test_plots_hold_the_curves(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """DVC's tables are small and begin and end where such curves do."""
    evaluate("small", save(tmp_path / "m"), test_table, train_table, FEW, output=tmp_path / "e")
    plots = {
        path.stem: pd.read_csv(path) for path in (tmp_path / "e" / "small" / "plots").iterdir()
    }
    assert len(plots["confusion"]) == 1000
    assert set(plots["confusion"]["actual"]) == {"positive", "negative"}
    assert (plots["confusion"]["actual"] == "positive").mean() == test_table["label"].mean()
    assert plots["roc"].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert plots["precision_recall"]["recall"].is_monotonic_increasing
    assert plots["precision_recall"].iloc[-1].tolist() == [1, test_table["label"].mean()]
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


def test_same_inputs_give_the_same_bytes(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """Run twice, every file but the speed is the same, the images among them."""
    model = save(tmp_path / "model")
    for name in "ab":
        evaluate("small", model, test_table, train_table, FEW, output=tmp_path / name)
        compare(["small"], test_table, FEW, tmp_path / name)
    first, second = (checksums(tmp_path / name) for name in "ab")
    first.pop("small/speed.json")
    second.pop("small/speed.json")
    assert len(first) > 10
    assert first == second


@pytest.mark.parametrize("step", ["trainer.judging.plots.draw", "trainer.evaluate.speeds"])
def test_interrupted_evaluation_leaves_what_was_there(
    test_table: pd.DataFrame,
    train_table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """Ctrl-C while writing leaves the evaluation before it, and nothing half-written."""
    model, output = save(tmp_path / "model"), tmp_path / "evaluation"
    evaluate("small", model, test_table, train_table, FEW, output=output)
    before = checksums(output)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate("small", model, test_table[10:], train_table, FEW, output=output)
    assert checksums(output) == before


def test_what_a_killed_evaluation_left_is_taken_away(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """Remains of a run that could not clean up are gone after the next, not mixed in."""
    output = tmp_path / "evaluation"
    for state in ("part", "old"):
        (output / f".small.{state}" / "plots").mkdir(parents=True)
        (output / f".small.{state}" / "plots" / "rubbish.csv").touch()
    evaluate("small", save(tmp_path / "model"), test_table, train_table, FEW, output=output)
    assert [path.name for path in output.iterdir()] == ["small"]
    assert not (output / "small" / "plots" / "rubbish.csv").exists()


def test_compiled_scores_are_held_against_scikit_learn(
    test_table: pd.DataFrame,
    train_table: pd.DataFrame,
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

    odd = test_table["text"].iloc[77]
    monkeypatch.setattr("trainer.evaluate.open_model", Compiled)
    found = evaluate("c", save(tmp_path / "m"), test_table, train_table, FEW, output=tmp_path / "e")
    assert found.compiled_difference == pytest.approx(2e-3)
    assert not found.not_compiled
    speed = json.loads((tmp_path / "e" / "c" / report.SPEED).read_bytes())
    assert speed["scorer"] == "compiled"


def test_own_types_are_trusted_only_where_named(
    test_table: pd.DataFrame,
    train_table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A candidate with estimators of its own is judged if it names them, else refused."""
    model = save(tmp_path / "model", own_kinds(tmp_path / "own", monkeypatch).Lower())
    for trusted in ((), ("own_kinds.Other",)):
        with pytest.raises(ModelRefusedError, match="Lower"):
            evaluate(
                "own", model, test_table, train_table, FEW, output=tmp_path / "e", trusted=trusted
            )
    assert not (tmp_path / "e").exists()
    found = evaluate(
        "own",
        model,
        test_table,
        train_table,
        FEW,
        output=tmp_path / "e",
        trusted=("own_kinds.Lower",),
    )
    assert found.overall["accuracy"].value > 0.8
    assert "own_kinds.Lower" in found.not_compiled
    assert found.compiled_difference is None


def test_what_cannot_be_compiled_is_told(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """A pipeline that the fast loop doesn't know is judged by scikit-learn's answers."""
    model = save(tmp_path / "model", vectorizer=CountVectorizer(strip_accents="unicode"))
    found = evaluate("other", model, test_table, train_table, FEW, output=tmp_path / "e")
    assert found.compiled_difference is None
    assert "strip_accents" in found.not_compiled


def test_unusable_inputs_are_told_in_a_sentence(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """No model, no texts, or texts of one class end before anything is written."""
    output = tmp_path / "evaluation"
    with pytest.raises(InputError, match="no MLmodel"):
        evaluate("none", tmp_path, test_table, train_table, FEW, output=output)
    model = save(tmp_path / "model")
    for table in (test_table[:0], test_table[test_table["label"] == 1]):
        with pytest.raises(InputError, match="one class"):
            evaluate("small", model, table, train_table, FEW, output=output)
    assert not output.exists()


def test_model_of_other_texts_is_refused(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """Figures are never given for a model that may have seen the test texts."""
    params = knobs("bag", "tests.unit.small_models:BagOfWords")
    model = train("bag", params, train_table, tmp_path)
    with pytest.raises(InputError, match="fitted on other texts") as caught:
        evaluate("bag", model, test_table, train_table[1:], FEW, output=tmp_path / "e")
    assert "sentiment train bag" in caught.value.hint
    found = evaluate("bag", model, test_table, train_table, FEW, output=tmp_path / "e")
    assert found.knobs == params.candidate("bag").written()


def test_never_replaces_what_is_no_evaluation(
    test_table: pd.DataFrame, train_table: pd.DataFrame, tmp_path: Path
) -> None:
    """Somebody's folder of the candidate's name is left alone, before any time is spent."""
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "keep").touch()
    with pytest.raises(InputError, match=r"has no report.json, so it is not replaced"):
        evaluate("small", tmp_path / "none", test_table, train_table, FEW, output=tmp_path)
