"""A saved model directory: checked in a process with limits, compiled, and made into a scorer.

What opens its file is its format, see `sentiment.model.formats`. Whatever the format, it is opened
there first, where no pickle is, and nothing is served that fails a probe.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sentiment import limited, logs
from sentiment.errors import SentimentError
from sentiment.limited import BrokenLimitError, Limits
from sentiment.model.compiled import table
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.compiled.state import STATE
from sentiment.model.formats import mlmodel
from sentiment.model.formats.format import NotServableError
from sentiment.model.scorer import FailedProbeError, Scorer, agrees, check
from sentiment.settings import ModelSettings

log = logs.get(__name__)

# What a check may take. The bundled model's takes 220 MiB beside the libraries' 170, and 3 s of a
# processor, twice as long where native code must be made first. Beside it a worker has half of the
# 1 GiB of its container. What is written is the table: `compiled.table.MOST_BYTES`.
CHECK = Limits(memory=340 << 20, cpu_s=120, file=128 << 20, wall_s=600)
# In the cache's directory, the models' compiled forms.
COMPILED = "compiled"


def open_here(directory: Path) -> Scorer:
    """`open_model` with the compiled forms that this machine keeps (`MODEL_CACHE_DIR`)."""
    return open_model(directory, ModelSettings().cache_dir / COMPILED)


def open_model(directory: Path, compiled: Path | None = None) -> Scorer:
    """Open a model directory, check that it can be served, and compile it.

    All of this is done in a process with limits (`CHECK`): what the files hold can't harm this one.
    Only what passed there, and can't be compiled, is opened by its format here. Compiled models may
    be kept in a directory: from there one serves in a fraction of a second, without scikit-learn.
    Without the process, there is a `SetupError`.
    """
    found = mlmodel.find(directory)
    if compiled and found.format.compiles and (kept := load(compiled, found.path)):
        return kept
    with _in_memory() as made:
        number = made.fileno()
        try:
            why_not = limited.run(
                f"{__name__}:examine", [str(directory)], CHECK, files=[number],
                preload=[__name__, type(found.format).__module__, *found.format.libraries],
            )  # fmt: skip
            if why_not:
                if found.format.compiles:
                    told = "model is not compiled, scikit-learn serves it slowly"
                    log.warning(told, reason=why_not)
                return found.open()
            made.seek(0)
            arrays, expected = table.read(made)
        except (BrokenLimitError, OSError, ValueError) as error:
            raise mlmodel.refused(directory, str(error)) from error
        scorer = CompiledScorer(arrays)
        if not agrees(scorer, expected):
            reason = "its compiled form answers otherwise than scikit-learn"
            raise mlmodel.refused(directory, reason)
        # Workers run this too: compiled with the rest, and not in the middle of a stream.
        scorer.coverage([""])
        if compiled:
            save(compiled, found.path, made)
    return scorer


def _in_memory() -> BinaryIO:
    """A file that is on no disk, where the system has such: a full one must not matter."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("model"), "w+b")
    return tempfile.TemporaryFile()


def examine(directory: str, number: str) -> str:
    """Check and compile a model, for `open_model`, in a process of its own.

    The compiled form goes to the file with this descriptor, as `compiled.table` writes it. Returned
    is why there is none, or nothing.
    """
    found = mlmodel.find(Path(directory))
    with _unpickling_refused():
        opened = found.open()
    try:
        found.format.check(opened)
        expected = check(opened)
    except (NotServableError, FailedProbeError) as error:
        raise mlmodel.refused(found.directory, str(error)) from error
    if not found.format.compiles:
        return "its format has no compiled form"
    from sentiment.model.compiled.linear import NotCompilableError

    try:
        made = found.format.compile(opened)
    except NotCompilableError as error:
        return str(error)
    except SentimentError as error:
        raise mlmodel.refused(found.directory, error.message) from error
    with os.fdopen(int(number), "wb", closefd=False) as file:
        table.write(made, expected, file)
    return ""


@contextmanager
def _unpickling_refused() -> Iterator[None]:
    """Inside of the block no pickle finds the functions that it would call, whoever loads it."""
    refuses = True

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if refuses and event == "pickle.find_class":
            raise NotServableError(f"it is a pickle, which is never loaded: {arguments!s:.80}")

    # For good: an audit hook can't be removed.
    sys.addaudithook(refuse)
    try:
        yield
    finally:
        refuses = False


def checksums(directory: Path) -> dict[str, str]:
    """SHA-256 of each file in a directory, by its path relative to it."""
    return {
        path.relative_to(directory).as_posix(): sha256_of(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(files: Mapping[str, str]) -> str:
    """One SHA-256 for a directory, from those of its files."""
    lines = "".join(f"{value}  {name}\n" for name, value in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


# Compiled models, as many as copies: the running one, the one before, and one to go back to.
KEPT = 3


def load(directory: Path, model: Path) -> CompiledScorer | None:
    """The compiled form of a model's file, if it answers the probes as the model did."""
    path = _path(directory, model)
    try:
        with path.open("rb") as file:
            arrays, expected = table.read(file)
        scorer = CompiledScorer(arrays)
        if agrees(scorer, expected):
            return scorer
        reason = "it answers otherwise than it did"
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - a broken archive fails in a dozen ways
        reason = f"{type(error).__name__}: {error}"
    log.warning("compiled model is not used", file=str(path), reason=reason)
    return None


def save(directory: Path, model: Path, compiled: BinaryIO) -> None:
    """Keep what `table.write` wrote, whole or not at all. A full disk costs the copy alone."""
    path = _path(directory, model)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            compiled.seek(0)
            with part.open("wb") as file:
                shutil.copyfileobj(compiled, file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        files = sorted(directory.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for old in files[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("compiled model is not kept for later", reason=str(error))


def _path(directory: Path, model: Path) -> Path:
    """Named after what it is made of: the model's file, this package's code, Python's Unicode."""
    with model.open("rb") as file:
        made_of = hashlib.file_digest(file, "sha256")
    made_of.update(f"{STATE} {unicodedata.unidata_version}".encode())
    return directory / f"{made_of.hexdigest()[:32]}.npz"
