"""Claims about the copies of models on disk."""

import os
import time
from pathlib import Path

import pytest

from sentiment.registry.artifact import checksums
from sentiment.registry.model_cache import KEPT_VERSIONS, LEFT_S, ModelCache


def cache(root: Path, registry: str = "http://one", name: str = "m", at: str = "@a") -> ModelCache:
    """A cache below a directory."""
    return ModelCache(root, registry, name, at)


def keep(cache: ModelCache, version: str, content: str = "weights") -> None:
    """Keep a version with one file."""
    with cache.workspace() as workspace:
        downloaded = workspace / "model"
        downloaded.mkdir()
        (downloaded / "MLmodel").write_text(content)
        cache.keep(version, downloaded)


def test_gives_back_what_was_kept_last(tmp_path: Path) -> None:
    """The last version kept is found by another process, with its files; no workspace is left."""
    keep(cache(tmp_path), "1")
    keep(cache(tmp_path), "2", "newer")
    copy = cache(tmp_path).last()
    assert copy is not None
    assert copy.version == "2"
    assert (copy.directory / "MLmodel").read_text() == "newer"
    assert not list(tmp_path.rglob(".new-*"))


def test_changed_copy_is_not_used_and_is_replaced(tmp_path: Path) -> None:
    """A copy with one more, one less or another file isn't given; keeping it again mends it."""
    keep(cache(tmp_path), "1")
    copy = cache(tmp_path).last()
    assert copy is not None
    (copy.directory / "extra").touch()
    assert cache(tmp_path).last() is None
    (copy.directory / "extra").unlink()
    assert cache(tmp_path).last() is not None
    (copy.directory / "MLmodel").write_text("changed")
    assert cache(tmp_path).last() is None
    keep(cache(tmp_path), "1")
    assert cache(tmp_path).last() is not None


@pytest.mark.parametrize("pointer", ["", "[]", "{}", '{"version": "../../x", "files": {}}'])
def test_broken_pointer_is_no_copy(tmp_path: Path, pointer: str) -> None:
    """A pointer that is empty, of another shape, or leads elsewhere is like none."""
    keep(cache(tmp_path), "1")
    (file,) = tmp_path.rglob("*.json")
    file.write_text(pointer)
    assert cache(tmp_path).last() is None


def test_registries_models_and_addresses_stay_apart(tmp_path: Path) -> None:
    """The same name at another registry, another name, another alias: each has its own copy."""
    keep(cache(tmp_path), "1")
    assert cache(tmp_path, registry="http://two").last() is None
    assert cache(tmp_path, name="n").last() is None
    assert cache(tmp_path, at="@b").last() is None


@pytest.mark.parametrize("name", ["..", "../../../../x", "a\\b", "a b", "ü", "."])
def test_no_name_leaves_the_directory(tmp_path: Path, name: str) -> None:
    """Whatever a model or an alias is called, its files stay below the cache's root."""
    root = tmp_path / "root"
    keep(cache(root, name=name, at=f"@{name}"), "1")
    assert cache(root, name=name, at=f"@{name}").last() is not None
    assert list(tmp_path.iterdir()) == [root]
    assert len(list(root.iterdir())) == 1


def test_only_the_latest_versions_stay(tmp_path: Path) -> None:
    """Older versions are removed; going back to one makes it the latest again."""
    one = cache(tmp_path)
    begin = time.time() - 1000
    for number in range(1, KEPT_VERSIONS + 2):
        keep(one, str(number), str(number))
        (home,) = tmp_path.glob("*/*")
        os.utime(home / str(number), (begin + number, begin + number))
    assert {path.name for path in home.iterdir() if path.is_dir()} == {"2", "3", "4"}
    keep(one, "2", "2")
    keep(one, "5", "5")
    assert {path.name for path in home.iterdir() if path.is_dir()} == {"2", "4", "5"}


def test_unwritable_cache_costs_only_the_copy(tmp_path: Path) -> None:
    """Where the cache can't be written, a workspace is found elsewhere and nothing is raised."""
    blocked = tmp_path / "file"
    blocked.touch()
    keep(cache(blocked), "1")
    assert cache(blocked).last() is None


def test_checksums_cover_every_file(tmp_path: Path) -> None:
    """Files in folders count, and are named by their path."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"")
    assert checksums(tmp_path) == {
        # pragma: allowlist nextline secret - a checksum
        "a/b": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    """A directory of a download that nobody works on any more is removed by the next one."""
    keep(cache(tmp_path), "1")
    (version,) = tmp_path.rglob("1")
    old, new = version.parent / ".new-old", version.parent / ".new-other"
    for left in (old, new):
        (left / "model").mkdir(parents=True)
    os.utime(old, (time.time() - 2 * LEFT_S,) * 2)
    keep(cache(tmp_path), "2")
    assert not old.exists()
    assert new.exists()
