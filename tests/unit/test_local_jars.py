"""Claims about fetching Kafka's jars, without the network."""

import errno
import hashlib
import threading
from pathlib import Path

import pytest
from requests import ConnectionError as NoConnection

from local import jars
from local.jars import Jar
from sentiment.errors import SetupError

GOOD = Jar(hashlib.sha256(b"good").hexdigest(), "group:good:1")


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes | Exception]:
    """A Maven repository whose answers the test sets; the lock names one jar of it."""
    answers: dict[str, bytes | Exception] = {}

    def download(coordinates: str, folder: Path, stop: threading.Event) -> Path:
        del stop
        answer = answers[coordinates]
        if isinstance(answer, Exception):
            raise answer
        path = folder / "file.jar"
        path.write_bytes(answer)
        return path

    monkeypatch.setattr(jars, "locked", lambda: [GOOD])
    monkeypatch.setattr(jars, "_download", download)
    return answers


def test_a_jar_is_fetched_once(tmp_path: Path, repository: dict[str, bytes | Exception]) -> None:
    """The first start fetches and tells so; the second one asks nobody and says nothing."""
    repository[GOOD.coordinates] = b"good"
    said: list[str] = []
    folder = jars.ensure(tmp_path, said.append)
    assert (folder / "good-1.jar").read_bytes() == b"good"
    assert said
    repository[GOOD.coordinates] = AssertionError("asked again")
    said.clear()
    assert jars.ensure(tmp_path, said.append) == folder
    assert said == []


def test_a_wrong_sum_is_refused(tmp_path: Path, repository: dict[str, bytes | Exception]) -> None:
    """What differs from the lock is not used, and nothing of it stays."""
    repository[GOOD.coordinates] = b"evil"
    with pytest.raises(SetupError, match="differs from the sum"):
        jars.ensure(tmp_path, print)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_changed_copy_is_fetched_anew(
    tmp_path: Path, repository: dict[str, bytes | Exception]
) -> None:
    """A kept jar that was damaged since is replaced."""
    repository[GOOD.coordinates] = b"good"
    folder = jars.ensure(tmp_path, print)
    (folder / "good-1.jar").write_bytes(b"damaged")
    jars.ensure(tmp_path, print)
    assert (folder / "good-1.jar").read_bytes() == b"good"


@pytest.mark.parametrize(
    ("error", "sentence", "hint"),
    [
        (NoConnection("refused"), "can't be fetched", "first start needs the network"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left", "100 MB"),
        (OSError(errno.EACCES, "Permission denied"), "Permission denied", "LOCAL_CACHE_DIR"),
    ],
)
def test_what_goes_wrong_is_a_sentence(
    tmp_path: Path,
    repository: dict[str, bytes | Exception],
    error: Exception,
    sentence: str,
    hint: str,
) -> None:
    """No network, a full disk or a folder that is not ours: what it is and what to do."""
    repository[GOOD.coordinates] = error
    with pytest.raises(SetupError, match=sentence) as raised:
        jars.ensure(tmp_path, print)
    assert hint in raised.value.hint


def test_the_lock_names_every_jar_once() -> None:
    """The lock in the repository holds the pinned broker, with a full sum for each jar."""
    locked = jars.locked()
    assert jars.BROKER in {jar.coordinates for jar in locked}
    assert all(len(jar.sha256) == 64 for jar in locked)
    assert len({jar.name for jar in locked}) == len(locked)
