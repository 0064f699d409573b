"""Claims about NLTK's corpora: where they are looked for, what is refused, how they are fetched."""

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nltk.data
import pytest
from nltk.corpus.reader import WordListCorpusReader
from nltk.corpus.util import LazyCorpusLoader

from sentiment.errors import SetupError
from trainer import corpora
from trainer.corpora import FILES, ensure, install


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """NLTK has no data of this machine's and no way out of it, and each test its own folder."""
    tmp_path.chmod(0o755)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "installed")])
    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NLTK_DOWNLOAD_URL", "http://127.0.0.1:9/index.xml")
    # On some machines new files are writable for the group.
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def no_downloader(monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK's downloader isn't asked, where it isn't the point: starting it takes seconds."""
    monkeypatch.setattr(corpora, "_download", lambda _: "NLTK's downloader: not asked.")


def words() -> list[str]:
    """The English stop words as NLTK reads them now, whatever was read before."""
    loader = LazyCorpusLoader("stopwords", WordListCorpusReader, r"[^.]*")
    return list(loader.words("english"))


def small(root: Path, word: str = "the") -> Path:
    """An `nltk_data` folder with one stop word."""
    install("stopwords", {"english": f"{word}\n".encode()}, root)
    return root


def archive(folder: Path, file: Path) -> Path:
    """A zip archive as NLTK's server has them: the corpus's folder and its files."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as made:
        for path in sorted(folder.iterdir()):
            made.write(path, f"{folder.name}/{path.name}")
    return file


@pytest.mark.parametrize(
    "form",
    [
        "root",
        "corpora",
        "corpus",
        "corpus elsewhere",
        "root of archive",
        "archive",
        "archive elsewhere",
    ],
)
@pytest.mark.parametrize("by", ["argument", "variable"])
def test_place_may_be_named_at_any_level(
    form: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data's folder, its `corpora`, the corpus itself or its archive, wherever that is.

    It comes before an installed copy, even before a folder where it is an archive.
    """
    root = small(tmp_path / "data")
    corpus = root / "corpora" / "stopwords"
    place = {"root": root, "corpora": corpus.parent, "corpus": corpus}.get(form)
    if form == "corpus elsewhere":
        place = Path(shutil.copytree(corpus, tmp_path / "words"))
    if form.startswith("archive"):
        folder = tmp_path / ("archive" if "elsewhere" in form else "zipped/corpora")
        place = archive(corpus, folder / "stopwords.zip")
    if form == "root of archive":
        place = archive(corpus, tmp_path / "zipped" / "corpora" / "stopwords.zip").parent.parent
    assert place
    small(tmp_path / "installed", "old")
    if by == "variable":
        monkeypatch.setenv("NLTK_DATA", f"{tmp_path / 'nowhere'}{os.pathsep}{place}")
    for _ in range(2):
        ensure("stopwords", place if by == "argument" else None)
        assert words() == ["the"]
    assert len(nltk.data.path) == 2


def test_named_place_comes_before_an_installed_copy(tmp_path: Path) -> None:
    """What is installed serves until something is named, and where that lacks the corpus."""
    small(tmp_path / "installed", "old")
    ensure("stopwords")
    assert words() == ["old"]
    (tmp_path / "empty").mkdir()
    ensure("stopwords", tmp_path / "empty")
    assert words() == ["old"]
    ensure("stopwords", small(tmp_path / "named", "new"))
    assert words() == ["new"]


def test_downloader_is_asked_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only without any copy; what it brought is used."""

    def download(name: str) -> str:
        assert name == "stopwords"
        small(tmp_path / "installed", "brought")
        return ""

    monkeypatch.setattr(corpora, "_download", download)
    told: list[str] = []
    ensure("stopwords", say=told.append)
    assert words() == ["brought"]
    assert len(told) == 1
    ensure("stopwords", say=told.append)
    assert len(told) == 1


def test_corpus_that_is_nowhere_is_told(tmp_path: Path) -> None:
    """What is missing, where was looked, what the downloader said, and what to do."""
    with pytest.raises(SetupError) as caught:
        ensure("wordnet", tmp_path / "gone")
    message = caught.value.message
    assert "'wordnet'" in message
    assert f"There is no {tmp_path / 'gone'}" in message
    assert str(tmp_path / "installed") in message
    assert "NLTK's downloader: Error loading wordnet" in message
    assert "\n" not in message
    assert "python -m trainer.fetch_corpora wordnet" in caught.value.hint
    assert "NLTK_DATA" in caught.value.hint


def test_slow_downloader_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly a server answers, the wait ends."""
    monkeypatch.setattr(corpora, "DOWNLOAD_S", 0.01)
    with pytest.raises(SetupError, match="no end in 0 s"):
        ensure("stopwords")


@pytest.mark.usefixtures("no_downloader")
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("entry", ["", "corpora", "corpora/stopwords", "corpora/stopwords/english"])
def test_data_that_others_may_write_is_refused(
    entry: str, elsewhere: bool, tmp_path: Path  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    """At any level, in NLTK's layout and outside; the message names the place and the remedy."""
    place = small(tmp_path / "data")
    changed = place / entry
    if elsewhere:
        place = Path(shutil.move(place / "corpora" / "stopwords", tmp_path / "words"))
        changed = place / "english" if entry.endswith("english") else place
    changed.chmod(changed.stat().st_mode | 0o020)
    with pytest.raises(SetupError) as caught:
        ensure("stopwords", place)
    assert str(changed) in caught.value.message
    assert "account" in caught.value.message
    assert "chmod" in caught.value.hint
    changed.chmod(changed.stat().st_mode & ~0o020)
    ensure("stopwords", place)


@pytest.mark.usefixtures("no_downloader")
@pytest.mark.parametrize("elsewhere", [False, True])
def test_incomplete_corpus_is_told(elsewhere: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a case
    """A WordNet that lacks files is told before any work, with their names."""
    files = {file: b"" for file in FILES["wordnet"] if file not in {"lexnames", "verb.exc"}}
    install("wordnet", files, tmp_path / "data")
    place = tmp_path / "data" / "corpora" / "wordnet"
    if elsewhere:
        place = place.rename(tmp_path / "dict")
    with pytest.raises(SetupError, match=r"lacks lexnames, verb\.exc"):
        ensure("wordnet", place)


def test_installed_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """Where new files are writable for the group, NLTK reads what was installed all the same."""
    os.umask(0)
    root = small(tmp_path / "data")
    assert {oct(path.stat().st_mode & 0o777) for path in root.rglob("*")} == {"0o755", "0o644"}
    ensure("stopwords", root)
    assert words() == ["the"]


def test_interrupted_installation_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two files, the corpus that was there is whole and nothing else is left."""
    root = small(tmp_path / "data")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", interrupt)
        with pytest.raises(KeyboardInterrupt):
            small(root, "half")
    assert [path.name for path in (root / "corpora").iterdir()] == ["stopwords"]
    ensure("stopwords", root)
    assert words() == ["the"]
