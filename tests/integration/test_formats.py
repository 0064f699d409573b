"""Claims about formats of models: those of other packages, and what none of them may do."""

import json
import pickle
from pathlib import Path

import msgspec
import pytest

from sentiment import wire
from sentiment.classify.score import answered
from sentiment.errors import ModelRefusedError
from sentiment.model import drift
from sentiment.model.formats import format as formats, mlmodel
from sentiment.registry.artifact import open_model
from sentiment.registry.registry import LoadedModel
from sentiment.wire import TextEvent
from tests.integration.other_format import FLAVOUR, MODULE, install, weights, write


@pytest.fixture(autouse=True)
def _other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The format of another package is installed, and claims to be another scikit-learn too."""
    install(
        tmp_path / "site", monkeypatch,
        f"sklearn = {MODULE}:Words", "gone = no_such_module:Format",
    )  # fmt: skip


def held(**content: object) -> bytes:
    """A model's file."""
    return json.dumps(content).encode()


def test_a_format_of_another_package_serves(tmp_path: Path) -> None:
    """What it opens scores and explains texts in a worker's results; its drift is watched."""
    scorer = open_model(write(tmp_path / "model", held(weights=weights())), tmp_path / "compiled")
    assert scorer.kind == FLAVOUR
    texts = ["A great film, poor story", "nothing"]
    events: list[TextEvent | wire.EventError] = [TextEvent(text=text) for text in texts]
    first, second = answered(events, "always", LoadedModel("m", "1", scorer, 0.0))
    assert (first.score, second.score) == (0.5, 0.5)
    assert first.explanation is not None
    explanation = msgspec.json.decode(first.explanation, type=wire.Explanation)
    assert [(part.contribution, part.begin, part.end) for part in explanation.parts] == [
        (1.0, 2, 7), (-1.0, 14, 18),
    ]  # fmt: skip
    found = drift.sizes(scorer, texts)
    assert (found.tokens.tolist(), found.known) == ([6, 1], None)
    # There is nothing to keep.
    assert not (tmp_path / "compiled").exists()


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_no_format_unpickles(tmp_path: Path) -> None:
    """A format that would load a pickle finds none of the functions in it, and is refused."""
    mark = tmp_path / "mark"
    directory = write(tmp_path / "model", pickle.dumps(Evil(mark)))
    with pytest.raises(ModelRefusedError, match=r"a pickle, which is never loaded: .*'pathlib"):
        open_model(directory)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (held(weights=weights(), room=10**9), {}, "340 MiB"),
        (held(weights=weights(), ends=True), {}, "signal 6"),
        (held(weights=weights(-1.0)), {}, "for positive"),
        (held(weights={"film": float("nan")}), {}, "no probability"),
        (held(), {}, "KeyError"),
        (bytes(mlmodel.MOST_FILE + 1), {}, "more than 64 MiB"),
        (held(weights=weights()), {"data": "../words.json"}, "no file"),
        (held(weights=weights()), {"packed": "yes"}, "it is packed"),
    ],
    ids=["memory", "crash", "wrong", "nan", "broken", "large", "outside", "form"],
)
def test_models_of_any_format_are_refused_in_the_same_way(
    tmp_path: Path, content: bytes, options: dict[str, object], reason: str
) -> None:
    """Whatever a file makes its format do ends a process with limits, and is told."""
    (tmp_path / "words.json").write_bytes(held(weights=weights()))
    directory = write(tmp_path / "model", content, **options)
    with pytest.raises(ModelRefusedError, match=reason):
        open_model(directory)


@pytest.mark.parametrize(
    ("flavors", "reason"),
    [
        ("{pytorch: {data: x}}", r"served \(sklearn, .*words.*\), but pytorch"),
        ("{}", r"served \(sklearn, .*\), but none"),
        ("[sklearn]", "but none"),
        ("{gone: {}}", "format 'gone' can't be loaded: ModuleNotFoundError"),
        ("{words: x}", "no file None"),
    ],
)
def test_unknown_formats_are_refused_with_those_that_there_are(
    tmp_path: Path, flavors: str, reason: str
) -> None:
    """A flavour that nothing opens, and one whose package is broken."""
    directory = write(tmp_path / "model", b"{}")
    (directory / "MLmodel").write_text(f"flavors: {flavors}\n")
    with pytest.raises(ModelRefusedError, match=reason):
        open_model(directory)
    assert mlmodel.missing_file(directory) == ""


def test_what_is_missing_is_named_by_the_format(tmp_path: Path) -> None:
    """A directory that has lost its file is told apart from one that never had any."""
    directory = write(tmp_path / "model", b"{}")
    (directory / "words.json").unlink()
    assert mlmodel.missing_file(directory) == "words.json"


def test_no_other_package_replaces_our_formats() -> None:
    """An entry point with one of our flavours is not looked at."""
    assert formats.known()["sklearn"].value == formats.OURS["sklearn"]
    assert formats.named("sklearn").flavour == "sklearn"
    assert formats.named(FLAVOUR).flavour == FLAVOUR
