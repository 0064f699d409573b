"""Claims about models that were made, or damaged, to harm who loads them."""

import resource
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sentiment.errors import ModelRefusedError, SentimentError
from sentiment.model.compiled import build as building
from sentiment.model.compiled.linear import MOST_STOP_WORDS, NotCompilableError, read
from sentiment.model.estimators import build
from sentiment.model.formats import pipelines
from sentiment.model.formats.format import NotServableError
from sentiment.model.formats.scikit_learn import MOST_ENTRIES, MOST_UNPACKED, load_pipeline
from sentiment.registry import download
from tests.unit.small_models import make_texts, save

TEXTS = make_texts(200, seed=1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A small good model to damage."""
    return save(tmp_path / "model")


def ours() -> Any:  # noqa: ANN401 - sklearn has no types
    """A small pipeline of our own estimators."""
    return deepcopy(build((1, 1, 1)).fit(TEXTS["text"].tolist(), TEXTS["label"].to_numpy()))


def counted(**options: object) -> Any:  # noqa: ANN401 - as above
    """One of scikit-learn's."""
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    pipeline.fit(TEXTS["text"].tolist(), TEXTS["label"].to_numpy())
    vars(pipeline[0]).update(options)
    return pipeline


def parts(directory: Path) -> dict[str, bytes]:
    """What is in a model's file."""
    with zipfile.ZipFile(directory / "model.skops") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(
    directory: Path, entries: Iterable[tuple[str, bytes]], kind: int = zipfile.ZIP_DEFLATED
) -> None:
    """Write it again."""
    with zipfile.ZipFile(directory / "model.skops", "w", kind) as archive:
        for name, data in entries:
            archive.writestr(name, data)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("entries", "kind", "reason"),
    [
        ([("bomb.npy", bytes(MOST_UNPACKED))], zipfile.ZIP_DEFLATED, "unpacked"),
        ([("schema.json", b"{}")], zipfile.ZIP_DEFLATED, "same name"),
        ([(f"{n}.x", b"") for n in range(MOST_ENTRIES)], zipfile.ZIP_STORED, "entries"),
        ([], zipfile.ZIP_LZMA, "another way"),
    ],
)
def test_an_archive_is_looked_at_before_it_is_unpacked(
    directory: Path, entries: list[tuple[str, bytes]], kind: int, reason: str
) -> None:
    """Too much, too many, twice the same, packed in a way that takes memory: none is unpacked."""
    pack(directory, [*parts(directory).items(), *entries], kind)
    with pytest.raises(ModelRefusedError, match=reason):
        load_pipeline(directory)


def change(step: int, name: str, value: Callable[[Any], object]) -> Callable[[Any], object]:
    """Change one attribute of one step."""

    def changed(pipeline: Any) -> None:  # noqa: ANN401 - as above
        before = getattr(pipeline[step], name, None)
        vars(pipeline[step])[name] = value(before)

    return changed


def put(at: int, number: float) -> Callable[[Any], object]:
    """A copy of an array with another number."""

    def changed(array: Any) -> object:  # noqa: ANN401 - as above
        array = array.copy()
        array.flat[at] = number
        return array

    return changed


def first(number: int) -> Callable[[Any], object]:
    """The same for the first of a list of arrays."""
    return lambda arrays: [put(0, number)(arrays[0]), *arrays[1:]]


@pytest.mark.parametrize(
    "attack",
    [
        change(0, "prefixes_", first(-1)),
        change(0, "prefixes_", first(2**31 - 1)),
        change(0, "lasts_", first(10**6)),
        change(0, "lasts_", lambda arrays: arrays[:1]),
        change(0, "lasts_", lambda arrays: [a.astype(object) for a in arrays]),
        change(0, "word_ends_", put(0, 10**9)),
        change(0, "word_ends_", put(3, -1)),
        change(0, "words_", put(0, 255)),
        change(0, "words_", lambda array: array.astype(object)),
        change(0, "_numbers", lambda _: {}),
        change(0, "transform", lambda _: print),
        change(1, "ratio_", put(0, np.nan)),
        change(1, "ratio_", put(0, 1e300)),
        change(1, "ratio_", lambda array: array[:-1]),
        change(2, "norm", lambda _: ["l2"]),
        change(3, "coef_", put(0, np.inf)),
        change(3, "coef_", lambda array: array.T),
        change(3, "intercept_", lambda _: None),
        change(3, "short", lambda _: 300),
        change(3, "long", lambda _: np.nan),
        change(3, "classes_", lambda array: array[::-1]),
    ],
)
def test_our_own_estimators_must_fit_together(attack: Callable[[Any], object]) -> None:
    """Indices, shapes, kinds and numbers of a model of ours that can't be are found unloaded."""
    pipeline = ours()
    # What is looked up is kept, and a saved model has none of it.
    pipelines.check(deepcopy(pipeline))
    attack(pipeline)
    with pytest.raises(NotServableError):
        pipelines.check(pipeline)


@pytest.mark.parametrize(
    "options",
    [
        {"token_pattern": "(a+)+$"},
        {"token_pattern": r"(?u)\b\w\w+\b|(x+x+)+y"},
        {"token_pattern": None},
        {"input": "filename"},
        {"analyzer": len},
        {"tokenizer": str.split},
        {"preprocessor": str.lower},
        {"strip_accents": "x"},
        {"dtype": object},
        {"ngram_range": (1, 10**9)},
        {"ngram_range": (0, 0)},
        {"ngram_range": [1]},
        {"analyzer": "char", "ngram_range": (1, 100)},
        {"stop_words": [1]},
        {"stop_words": "klingon"},
        {"vocabulary_": {"film": -1}},
        {"vocabulary_": {"film": 0, "story": 0}},
        {"vocabulary_": {"film": 0.0}},
        {"vocabulary_": {1: 0}},
        {"vocabulary_": {}},
        {"_tfidf": LogisticRegression()},
        {"build_analyzer": str},
        {"of_no_kind": object()},
    ],
)
def test_vectorisers_must_be_known_ones(options: dict[str, object]) -> None:
    """Patterns, callables, ranges and vocabularies of scikit-learn's that could harm."""
    pipelines.check(counted())
    with pytest.raises(NotServableError):
        pipelines.check(counted(**options))


def test_other_steps_are_refused() -> None:
    """A step that isn't known to be harmless is named."""
    pipeline = make_pipeline(CountVectorizer(), FunctionTransformer(), LogisticRegression())
    pipeline.fit(TEXTS["text"].tolist(), TEXTS["label"].to_numpy())
    with pytest.raises(NotServableError, match="FunctionTransformer"):
        pipelines.check(pipeline)


def test_keys_in_one_place_of_the_table_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """N-grams chosen so that all of them begin at one line are told, not written beyond the end."""
    linear = read(ours())
    keys = np.arange(1, len(linear.short) + 1, dtype=np.uint64) | np.uint64(2**64 - 2**32)
    monkeypatch.setattr(building, "_keys", lambda *_: keys)
    with pytest.raises(SentimentError, match="places"):
        building.build(linear)


def test_many_stop_words_are_not_looked_for_one_by_one() -> None:
    """A model with as many stop words as somebody liked is not compiled."""
    with pytest.raises(NotCompilableError, match="stop words"):
        read(counted(stop_words=[f"w{n}" for n in range(MOST_STOP_WORDS + 1)]))


class Store:
    """A store that lists and sends what a test says."""

    def __init__(self, *entries: tuple[str, int, bool], sends: int = 1) -> None:
        self._entries = [
            SimpleNamespace(path=path, file_size=size, is_dir=folder)
            for path, size, folder in entries
        ]
        self._sends = sends

    def list_artifacts(self, path: str | None) -> list[SimpleNamespace]:
        """The same in every folder."""
        del path
        return self._entries

    def _download_file(self, name: str, local: str) -> None:
        del name
        with Path(local).open("wb") as file:
            file.writelines(bytes(1 << 20) for _ in range(self._sends))


@pytest.fixture
def own_limit() -> Iterator[None]:
    """The limit of this process is put back."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("own_limit")
@pytest.mark.parametrize(
    "store",
    [
        Store(("folder", 0, True)),
        Store(*((f"{n}", 0, False) for n in range(download.MOST_FILES + 1))),
        Store(("model.skops", download.MOST_BYTES + 1, False)),
        Store(("../outside", 1, False)),
        Store(("/outside", 1, False)),
        Store(("a\\..\\b", 1, False)),
        Store(("x" * 300, 1, False)),
        Store(("x/" * 20 + "y", 1, False)),
        Store(("a", 1, False), ("b", 1, False), sends=download.MOST_BYTES * 2 // 3 >> 20),
    ],
    ids=["loop", "many", "large", "up", "root", "backslash", "long", "deep", "lies"],
)
def test_a_download_is_bounded(store: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a stand-in
    """Lists without end, names that lead away, and files larger than they are said to be."""
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ModelRefusedError):
        download.copy_files(store, target)
    held = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert held <= download.MOST_BYTES
    assert list(tmp_path.iterdir()) == [target]
    shutil.rmtree(target)
