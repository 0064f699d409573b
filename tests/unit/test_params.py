"""Claims about params.yaml, and about the candidates that it describes."""

from pathlib import Path

import msgspec
import pytest

from sentiment.errors import InputError
from tests.unit.small_models import BagOfWords, knobs
from trainer.params import Params, read
from trainer.train import make

ROOT = Path(__file__).parents[2]
LEAST = """
ingest: {sources: [{name: films, uri: films.csv}]}
candidates: {small: {kind: 'trainer.champion:Champion', params: {C: 2.0}}}
release: small
"""


def written(folder: Path, text: str) -> Path:
    """A file with this text."""
    file = folder / "params.yaml"
    file.write_text(text)
    return file


def test_the_projects_own_file_is_right() -> None:
    """It is read, its candidates take their knobs, and its sources say what they are."""
    params = read(ROOT / "params.yaml")
    for name in params.candidates:
        assert len(make(name, params).describe()) > 100
    for source in params.ingest.sources:
        assert source.about, source.name


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    """Sources, a candidate and what is released are all that a file has to say."""
    params = read(written(tmp_path, LEAST))
    assert params == msgspec.convert(msgspec.to_builtins(params), Params)
    assert params.preprocess.test_share == 0.1
    assert params.candidate("small").params == {"C": 2.0}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("uri:", "url:", "unknown field `url`|missing required field `uri`"),
        ("release: small", "release: large", "'release' is 'large', which is none of .* small"),
        ("release: small", "", "missing required field `release`"),
        ("release: small", "release: small\npreprocess: {test_share: 2}", r"preprocess.test_share"),
        ("release: small", "release: small\npromot: {}", "unknown field `promot`"),
        ("name: films", "name: '../films'", r"ingest.sources\[0\].name"),
        ("[{name: films, uri: films.csv}]", "[]", r"ingest.sources"),
        ("ingest:", "ingest: [", "params.yaml can't be used"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    """A mistyped name, a number out of range or broken YAML is an error that says where."""
    with pytest.raises(InputError, match=reason) as caught:
        read(written(tmp_path, LEAST.replace(old, new)))
    assert "params.yaml" in caught.value.message


def test_missing_file_is_told(tmp_path: Path) -> None:
    """Run somewhere else, the hint says where to run."""
    with pytest.raises(InputError, match="There is no file") as caught:
        read(tmp_path / "params.yaml")
    assert "root" in caught.value.hint


def test_candidate_is_made_by_its_name() -> None:
    """A class of any module is a candidate, with its knobs as arguments."""
    made = make("bag", knobs("bag", "tests.unit.small_models:BagOfWords", min_df=2))
    assert isinstance(made, BagOfWords)


@pytest.mark.parametrize(
    ("kind", "params", "reason"),
    [
        ("trainer.champion", {}, "names no class"),
        ("trainer.champion:Loser", {}, "names no class: .*Loser"),
        ("no_such_module:Champion", {}, "names no class: No module named 'no_such_module'"),
        (":", {}, "names no class"),
        ("trainer.champion:Champion", {"size": 3}, "'odd': .*size"),
        ("trainer.baseline:Baseline", {"normaliser": "guess"}, "'odd': .*lemmatise or stem"),
    ],
)
def test_unusable_candidate_is_told(kind: str, params: dict[str, object], reason: str) -> None:
    """What can't be made is an error that names the candidate, before any data is read."""
    with pytest.raises(InputError, match=reason):
        make("odd", knobs("odd", kind, **params))


def test_same_knobs_are_written_alike() -> None:
    """The order of a file is no matter; a changed value is."""
    one, other = (knobs("x", "m:C", **pairs) for pairs in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert one.candidate("x").written() == other.candidate("x").written()
    assert one.candidate("x").written() != knobs("x", "m:C", a=1, b=3).candidate("x").written()
