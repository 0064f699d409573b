"""Copies of remote files: fetched once, checked before they get their name, kept while they hold.

Beside a copy, `NAME.json` says of which version it is (its tag) and what its SHA-256 was. A later
run asks with the tag whether there is another version; what was damaged here since is fetched
again. All of it may be deleted at any time.
"""

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec
import requests
from msgspec import Struct
from urllib3.exceptions import HTTPError

from sentiment.errors import InputError, SetupError
from sentiment.registry.artifact import sha256_of
from trainer import tables
from trainer.progress import Say, silent, ticking

# Large enough that a call costs nothing beside its bytes, small enough for any machine.
BLOCK_BYTES = 1024 * 1024
# Times that a file is begun, and the seconds between them, doubled each time: 7 in all, longer than
# a server's restart and within a person's patience.
TRIES, PAUSE_S = 4, 1.0
# Seconds until a web server has to accept a connection, and of its longest silence after that.
TIMEOUT_S = (10, 30)
_OK, _NOT_MODIFIED, _TOO_MANY, _SERVER_ERROR = 200, 304, 429, 500


class BrokenTransferError(Exception):
    """The line broke or was silent for too long: trying again may help."""


class Remote(NamedTuple):
    """A remote file that is being read.

    Attributes:
        tag: Differs when its content does; empty: there is no telling.
        size: Its bytes.
        blocks: Its content, of this one version; may raise `BrokenTransferError`.
    """

    tag: str
    size: int
    blocks: Iterator[bytes]


class _Note(Struct):
    tag: str
    sha256: str


def fetch(
    uri: str,
    read: Callable[[str], Remote | None],
    target: Path,
    sha256: str | None = None,
    say: Say = silent,
) -> str:
    """Download a file, unless it is there already.

    Args:
        uri: Names it to people; without secrets.
        read: Begins to read it, given the tag of the copy that is there; None: it is the same.
        target: Where it goes; its folder is made if missing.
        sha256: What it has to have. A copy that has it needs no asking.
        say: Told of progress.

    Returns:
        Its SHA-256.

    Raises:
        InputError: It has another checksum.
        SetupError: The line breaks again and again, or the disk is full.
        SentimentError: What `read` raises.
    """
    note_path = target.with_name(f"{target.name}.json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        note = _read_note(note_path)
        kept = note.sha256 if note and target.is_file() and sha256_of(target) == note.sha256 else ""
        if kept and kept == sha256:
            return kept
        part = target.with_name(f"{target.name}.part")
        for attempt in range(TRIES):
            try:
                remote = read(note.tag if note and kept else "")
                if remote is None:
                    _require(uri, kept, sha256)
                    return kept
                found, tag = _save(uri, remote, part, say), remote.tag
                break
            except BrokenTransferError as error:
                if attempt == TRIES - 1:
                    raise SetupError(
                        f"The download of {uri} broke off {TRIES} times: {error}.",
                        "Look at the network, and run the command again.",
                    ) from error
                say(f"{uri}: {error}; beginning anew")
                time.sleep(PAUSE_S * 2**attempt)
        try:
            _require(uri, found, sha256)
        except InputError:
            part.unlink()
            raise
        # The note first: a file whose note is another's is fetched again.
        with tables.file(note_path) as new:
            new.write_bytes(msgspec.json.encode(_Note(tag, found)))
        part.replace(target)
    except OSError as error:
        raise SetupError(
            f"{target.parent} can't take a download: {error.strerror or error}.",
            "Free some space there." if error.errno == errno.ENOSPC else "",
        ) from error
    return found


def shown(address: str) -> str:
    """An address without what may be secret: user, password, query and fragment."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read_web(address: str, tag: str) -> Remote | None:
    """Begin to read what an http or https address has; see `fetch`.

    Raises:
        BrokenTransferError: Its server can't be reached, or has no time.
        InputError: There is no such file, or its server doesn't say how long it is.
    """
    uri = shown(address)
    # The bytes as they are stored: some servers call a .gz file an encoding of its content.
    headers = {"Accept-Encoding": "identity"} | ({"If-None-Match": tag} if tag else {})
    try:
        answer = requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_S)
    except (requests.ConnectionError, requests.Timeout) as error:
        # Its own text has the whole address in it.
        raise BrokenTransferError(type(error).__name__) from error
    except requests.RequestException as error:
        raise InputError(
            f"{uri} can't be asked for: {type(error).__name__}.", "Look at the address."
        ) from error
    if answer.status_code == _NOT_MODIFIED and tag:
        answer.close()
        return None
    if answer.status_code != _OK:
        answer.close()
        told = f"{answer.status_code} {answer.reason}"
        if answer.status_code == _TOO_MANY or answer.status_code >= _SERVER_ERROR:
            raise BrokenTransferError(f"it answers {told}")
        raise InputError(f"{uri} answers {told}.", "Look at the address.")
    size = answer.headers.get("Content-Length", "")
    if not (size.isascii() and size.isdigit() and len(size) < len(str(2**63))):
        answer.close()
        raise InputError(
            f"{uri}: its server doesn't say how long it is.",
            "Download it yourself, and give the file instead of the address.",
        )
    return Remote(answer.headers.get("ETag", ""), int(size), _web_blocks(answer))


def _web_blocks(answer: requests.Response) -> Iterator[bytes]:
    try:
        while block := answer.raw.read(BLOCK_BYTES, decode_content=False):
            yield block
    except (HTTPError, OSError) as error:
        raise BrokenTransferError(type(error).__name__) from error
    finally:
        answer.close()


def _save(uri: str, remote: Remote, part: Path, say: Say) -> str:
    """Write a remote file to the disk; its SHA-256."""
    free = shutil.disk_usage(part.parent).free
    if remote.size > free:
        raise OSError(errno.ENOSPC, f"{remote.size:,} bytes are to come, {free:,} are free")
    hashed, count = hashlib.sha256(), 0
    what = f"bytes of {uri}"
    with part.open("wb") as file:
        for block in ticking(remote.blocks, say, what, total=remote.size, size=len):
            count += len(block)
            if count > remote.size:
                break
            file.write(block)
            hashed.update(block)
    if count != remote.size:
        raise BrokenTransferError(f"{count:,} bytes came, and not {remote.size:,}")
    return hashed.hexdigest()


def _require(uri: str, found: str, sha256: str | None) -> None:
    if sha256 not in {None, found}:
        raise InputError(
            f"{uri} has the SHA-256 {found}, not {sha256} as params.yaml says.",
            "It is another version, or damaged. If it is the right one, change `sha256`.",
        )


def _read_note(path: Path) -> _Note | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
