"""Downloads that go on where they were interrupted, checked before they get their name.

Beside the target, `NAME.json` says which version of the remote file this is (its tag) and how far
each range is in `NAME.part`: exactly after a Ctrl-C, but for the ranges in work after a `kill -9`.
What is whole and right is renamed to the target, and is not read again while the remote file has
the same tag. All of it may be deleted at any time.
"""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from sentiment.errors import InputError, SetupError
from trainer import writing
from trainer.progress import Say, silent
from trainer.sources.checksums import sha256 as sha256_of
from trainer.sources.ranges import ChangedError, Remote, Transfer

# Versions of one remote file that are begun with: if somebody writes more often, waiting is no use.
VERSIONS = 3


class _Note(Struct):
    """What `NAME.json` says."""

    tag: str
    size: int
    # Bytes of each range that are there.
    done: list[int]
    # Of the whole file, once it is there.
    sha256: str = ""


def fetch(
    look_up: Callable[[], Remote], target: Path, sha256: str | None = None, say: Say = silent
) -> str:
    """Download a file, unless it is there already.

    Args:
        look_up: Asks for the remote file as it is now.
        target: Where it goes; its folder is made if missing.
        sha256: What it has to have. A file that is there and has it needs no asking.
        say: Told of progress.

    Returns:
        Its SHA-256.

    Raises:
        InputError: It fails a checksum, or is changed again and again.
        SetupError: The line breaks again and again, or the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        note = _read_note(target)
        # Damaged since, a file is fetched again.
        kept = note.sha256 if note and target.is_file() and sha256_of(target) == note.sha256 else ""
        if kept and kept == sha256:
            return kept
        for _ in range(VERSIONS):
            remote = look_up()
            if note and kept and remote.tag and (note.tag, note.size) == (remote.tag, remote.size):
                _require(remote, kept, sha256)
                return kept
            try:
                return _download(remote, target, sha256, say)
            except ChangedError:
                say(f"{remote.uri} was changed meanwhile: beginning anew")
    except OSError as error:
        raise SetupError(
            f"{target.parent} can't take a download: {error.strerror or error}.",
            "Free some space there." if error.errno == errno.ENOSPC else "",
        ) from error
    raise InputError(f"{remote.uri} is changed again and again while it is read.")


def _download(remote: Remote, target: Path, sha256: str | None, say: Say) -> str:
    part = target.with_name(f"{target.name}.part")

    def save(sha256: str = "") -> None:
        _write_note(target, _Note(remote.tag, remote.size, transfer.done, sha256))

    transfer, note = Transfer(remote, save), _read_note(target)
    version = (remote.tag, remote.size, len(transfer.done))
    if remote.connections and note and (note.tag, note.size, len(note.done)) == version:
        transfer.done = note.done
    if part.is_file() and any(transfer.done):
        there = remote.size - transfer.missing
        say(f"{remote.uri}: going on after {there:,} of {remote.size:,} bytes")
    else:
        # In this order: no note ever speaks of bytes that aren't there.
        transfer.done = [0] * len(transfer.done)
        save()
        part.write_bytes(b"")
    free = shutil.disk_usage(part.parent).free
    if transfer.missing > free:
        raise OSError(errno.ENOSPC, f"{transfer.missing:,} bytes are to come, {free:,} are free")
    transfer.run(part, say)
    found = sha256_of(part)
    try:
        _require_no_fault(remote, part)
        _require(remote, found, sha256)
    except InputError:
        part.unlink()
        raise
    # The note first: a file whose note is another's is fetched again.
    save(found)
    part.replace(target)
    return found


def _require_no_fault(remote: Remote, path: Path) -> None:
    fault = remote.fault(path)
    if fault:
        raise InputError(
            f"{remote.uri}: what arrived differs from its {fault}.",
            "It was damaged on the way: run the command again.",
        )


def _require(remote: Remote, found: str, sha256: str | None) -> None:
    if sha256 not in {None, found}:
        raise InputError(
            f"{remote.uri} has the SHA-256 {found}, not {sha256} as params.yaml says.",
            "It is another version, or damaged. If it is the right one, change `sha256`.",
        )


def _note_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _read_note(target: Path) -> _Note | None:
    try:
        return msgspec.json.decode(_note_path(target).read_bytes(), type=_Note)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _write_note(target: Path, note: _Note) -> None:
    with writing.file(_note_path(target)) as part:
        part.write_bytes(msgspec.json.encode(note))
