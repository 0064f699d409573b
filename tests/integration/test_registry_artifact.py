"""Claims about opening a model directory."""

import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import yaml
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment.errors import ModelRefusedError
from sentiment.model.scorer import PROBES
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
from tests.compiled import bundled


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the bundled model to damage."""
    return Path(shutil.copytree(bundled_model(), tmp_path / "model"))


def fitted(labels: Sequence[object], **options: object) -> Any:  # noqa: ANN401 - sklearn has no types
    """An ordinary scikit-learn pipeline that knows the probes by heart."""
    texts = [text for text, _ in PROBES]
    return make_pipeline(CountVectorizer(**options), LogisticRegression(C=100)).fit(texts, labels)


def test_bundled_model_is_small_safe_and_described() -> None:
    """At most 15 MB, no pickle, a card with figures, and nothing of the machine that made it."""
    files = [path for path in bundled_model().rglob("*") if path.is_file()]
    assert (bundled_model() / "model.skops").stat().st_size <= 15_000_000
    assert {path.relative_to(bundled_model()).as_posix() for path in files} == {
        "MLmodel", "MODEL_CARD.md", "conda.yaml", "drift.json", "input_example.json",
        "model.skops", "python_env.yaml", "requirements.txt", "serving_input_example.json",
        "evaluation/report.json", "evaluation/scores.npy",
        *(f"evaluation/images/{name}.png" for name in (
            "confusion", "domains", "precision_recall", "reliability", "roc", "top_ngrams"
        )),
    }  # fmt: skip
    card = (bundled_model() / "MODEL_CARD.md").read_text(encoding="utf-8")
    for part in ("Maas", "## Data", "## Model", "## Figures", "## Limits", "| imdb | 0.91"):
        assert part in card
    mlmodel = (bundled_model() / "MLmodel").read_text(encoding="utf-8")
    assert not {"model_uuid", "utc_time_created"} & yaml.safe_load(mlmodel).keys()
    for text in (card, mlmodel):
        assert "/home" not in text
        assert "/tmp" not in text  # noqa: S108 - looked for, not used


@pytest.mark.parametrize(
    ("text", "positive"),
    [
        ("I loved every minute of it.", True),
        ("A wonderful, moving film with great performances.", True),
        ("The best book I have read this year!", True),
        ("Complete waste of money, it broke after two days.", False),
        ("The worst service ever, rude and slow.", False),
        ("The film is not good.", False),
        ("not bad at all", True),
        ("I was bored to tears.", False),
        ("terrible", False),
        ("loved it", True),
        ("sooooo good :)", True),
        ("@airline lost my bag again \U0001f621", False),
    ],
)
def test_bundled_model_is_right_on_plain_sentences(text: str, positive: bool) -> None:  # noqa: FBT001 - a table
    """Sentences that nobody doubts are classified rightly."""
    assert (bundled().score([text])[0] >= 0.5) == positive


def test_no_texts_give_no_scores() -> None:
    """An empty batch is no error."""
    assert bundled().score([]).shape == (0,)


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")  # MLflow's own
def test_mlflow_loads_the_bundled_model_too() -> None:
    """MLflow's `python_function` takes its input example and gives our answers."""
    from mlflow import pyfunc

    model = pyfunc.load_model(str(bundled_model()))
    assert list(model.predict([text for text, _ in PROBES])) == [label for _, label in PROBES]
    assert list(model.predict(model.input_example)) == [1]


def test_serves_other_sklearn_pipelines(directory: Path) -> None:
    """A pipeline of scikit-learn's own parts is as good as ours, compiled or not."""
    labels = [label for _, label in PROBES]
    skops.io.dump(fitted(labels), directory / "model.skops")
    assert open_model(directory).kind == "compiled"
    skops.io.dump(fitted(labels, analyzer="char_wb"), directory / "model.skops")
    assert open_model(directory).kind == "sklearn"


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("stored_as", ["pickle", "cloudpickle", None, "skops"])
def test_refuses_a_pickle_unread(directory: Path, tmp_path: Path, stored_as: str | None) -> None:
    """Whatever the MLmodel claims, a pickle is refused and its payload never runs."""
    mark = tmp_path / "mark"
    payload = pickle.dumps(Evil(mark))
    pickle.loads(payload)  # noqa: S301 - shows that the payload works
    assert mark.exists()
    mark.unlink()
    (directory / "model.pkl").write_bytes(payload)
    document = yaml.safe_load((directory / "MLmodel").read_text(encoding="utf-8"))
    document["flavors"]["sklearn"]["pickled_model"] = "model.pkl"
    if stored_as is None:
        del document["flavors"]["sklearn"]["serialization_format"]
    else:
        document["flavors"]["sklearn"]["serialization_format"] = stored_as
    (directory / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(ModelRefusedError):
        open_model(directory)
    assert not mark.exists()


def break_weights(directory: Path) -> None:
    """Classes swapped: each answer turned round."""
    skops.io.dump(fitted([1 - label for _, label in PROBES]), directory / "model.skops")


def name_classes(directory: Path) -> None:
    """Classes that are words."""
    skops.io.dump(
        fitted(["neg" if label else "pos" for _, label in PROBES]), directory / "model.skops"
    )


def use_foreign_type(directory: Path) -> None:
    """A type that skops doesn't know, trusted by the artifact's own list."""
    document = yaml.safe_load((directory / "MLmodel").read_text(encoding="utf-8"))
    document["flavors"]["sklearn"]["skops_trusted_types"] = ["fractions.Fraction"]
    (directory / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    import fractions

    pipeline = fitted([label for _, label in PROBES])
    pipeline.memory = fractions.Fraction(1, 2)
    skops.io.dump(pipeline, directory / "model.skops")


def lose_rows(directory: Path) -> None:
    """A weight that is no number."""
    pipeline = fitted([label for _, label in PROBES])
    pipeline[-1].coef_[:] = np.nan
    skops.io.dump(pipeline, directory / "model.skops")


def truncate(directory: Path) -> None:
    """Half a file."""
    file = directory / "model.skops"
    file.write_bytes(file.read_bytes()[:1000])


def remove_mlmodel(directory: Path) -> None:
    """No MLmodel."""
    (directory / "MLmodel").unlink()


def empty_mlmodel(directory: Path) -> None:
    """An empty MLmodel."""
    (directory / "MLmodel").write_text("")


def point_outside(directory: Path) -> None:
    """A model file outside the directory."""
    shutil.copy(directory / "model.skops", directory.parent / "model.skops")
    text = (directory / "MLmodel").read_text(encoding="utf-8")
    changed = text.replace("pickled_model: model.skops", "pickled_model: ../model.skops")
    assert changed != text
    (directory / "MLmodel").write_text(changed, encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (break_weights, "for positive"),
        (name_classes, "classes"),
        (use_foreign_type, "untrusted"),
        (lose_rows, "too large or none"),
        (truncate, "BadZipFile"),
        (remove_mlmodel, "MLmodel"),
        (empty_mlmodel, "MLmodel"),
        (point_outside, "no file"),
    ],
)
def test_refuses_what_fails_a_check(
    directory: Path, damage: Callable[[Path], None], reason: str
) -> None:
    """Each kind of damage is refused, and the reason says which."""
    damage(directory)
    with pytest.raises(ModelRefusedError, match=reason):
        open_model(directory)
