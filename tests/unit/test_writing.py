"""Claims about files and folders that are written whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from sentiment.errors import InputError
from sentiment.registry.artifact import checksums
from trainer import tables


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its text."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    """Until the block has ended well, the old one stands; its folder is made if missing."""
    target = tmp_path / "new" / "a.txt"

    def interrupted() -> None:
        with tables.file(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    for text in ("old", "new"):
        with tables.file(target) as part:
            part.write_text(text)
            assert target.exists() == (text == "new")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert content(tmp_path) == {"new/a.txt": "new"}


def test_files_belong_together_where_the_last_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes until all are written; stopped while they are moved, the last one is gone."""
    (tmp_path / "stranger.txt").write_text("mine")

    def write(text: str) -> None:
        with tables.files(tmp_path, "a", "b", "last") as work:
            for name in ("last", "b", "a"):
                (work / name).write_text(text)
                if text == "half":
                    raise KeyboardInterrupt

    write("old")
    old = {"a": "old", "b": "old", "last": "old", "stranger.txt": "mine"}
    assert content(tmp_path) == old
    with pytest.raises(KeyboardInterrupt):
        write("half")
    assert content(tmp_path) == old

    real = Path.replace

    def stop(path: Path, target: Path) -> Path:
        if path.name == "b":
            raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            write("new")
    assert content(tmp_path) == {"a": "new", "b": "old", "stranger.txt": "mine"}
    write("newer")
    assert set(content(tmp_path).values()) == {"newer", "mine"}


def test_folder_is_there_when_it_is_whole(tmp_path: Path) -> None:
    """The new one takes the place of the old one as a whole, or not at all."""
    target = tmp_path / "folder"

    def interrupted() -> None:
        with tables.folder(target) as made:
            (made / "half").write_text("")
            raise KeyboardInterrupt

    with tables.folder(target) as made:
        (made / "old").write_text("")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert content(tmp_path) == {"folder/old": ""}
    with tables.folder(target) as made:
        (made / "new").write_text("")
    assert content(tmp_path) == {"folder/new": ""}


@pytest.mark.parametrize("number", [1, 2])
def test_interrupt_between_renames_costs_nothing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the old folder was put aside puts it back; or after the first, leaves it."""
    target = tmp_path / "folder"
    with tables.folder(target) as made:
        (made / "old").write_text("")
    real, calls = Path.rename, 0

    def interrupt(path: Path, new: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt
        return real(path, new)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupt)
        with pytest.raises(KeyboardInterrupt), tables.folder(target) as made:
            (made / "new").write_text("")
    assert content(tmp_path) == {"folder/old": ""}


def test_killed_between_renames_the_old_folder_comes_back(tmp_path: Path) -> None:
    """What was put aside by a process that is gone is found by the next one, which may fail too."""
    target = tmp_path / "folder"
    with tables.folder(target) as made:
        (made / "old").write_text("")
    code = (
        "import os, sys; from pathlib import Path; from trainer import tables\n"
        "real = Path.rename\n"
        "Path.rename = lambda p, new: real(p, new) if p.name == 'folder' else os._exit(9)\n"
        "with tables.folder(Path(sys.argv[1])) as made: (made / 'new').touch()"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert killed.returncode == 9
    assert not target.exists()
    with pytest.raises(KeyboardInterrupt), tables.folder(target):
        raise KeyboardInterrupt
    assert content(tmp_path) == {"folder/old": ""}


def test_only_what_bears_the_mark_may_be_replaced(tmp_path: Path) -> None:
    """Somebody's folder or file is never taken for an old output."""
    tables.check_folder(tmp_path / "a" / "b", "MARK")
    assert list(tmp_path.iterdir()) == []
    target = tmp_path / "folder"
    target.mkdir()
    tables.check_folder(target, "MARK")
    (target / "letters.txt").touch()
    for taken in (target, target / "letters.txt"):
        with pytest.raises(InputError, match="has no MARK, so it is not replaced"):
            tables.check_folder(taken, "MARK")
    (target / "MARK").touch()
    tables.check_folder(target, "MARK")
    with pytest.raises(InputError, match="can't be written"):
        tables.check_folder(target / "MARK" / "below", "MARK")
    assert set(checksums(tmp_path)) == {"folder/letters.txt", "folder/MARK"}
