"""A saved model directory: checked in a process with limits, compiled, and made into a scorer.

The format is MLflow's `sklearn` flavour with skops inside. Pickles are refused unread: opening one
runs whatever its author wrote. MLflow's own loader takes the list of trusted types from the
artifact; ours is fixed here.
"""

import hashlib
import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from sentiment import limited, logs
from sentiment.errors import ModelRefusedError, SentimentError
from sentiment.limited import BrokenLimitError, Limits
from sentiment.model.compiled import table
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.compiled.state import STATE
from sentiment.model.scorer import FailedProbeError, Scorer, SklearnScorer, agrees, check
from sentiment.settings import ModelSettings

__all__ = ["Scorer", "SklearnScorer", "open_model"]

log = logs.get(__name__)

# Ours; skops itself trusts what scikit-learn and NumPy need, and nothing that could run a command.
TRUSTED_TYPES = (
    "sentiment.model.LengthwiseClassifier",
    "sentiment.model.NaiveBayesScaler",
    "sentiment.ngrams.NgramVectorizer",
)

# What a check may take. The bundled model's takes 220 MiB beside the libraries' 170, and 3 s of a
# processor, twice as long where native code must be made first. Beside it a worker has half of the
# 1 GiB of its container. What is written is the table: `compiled.table.MOST_BYTES`.
CHECK = Limits(memory=340 << 20, cpu_s=120, file=128 << 20, wall_s=600)
# In the cache's directory, the models' compiled forms.
COMPILED = "compiled"
# What a check needs of ours and others'.
LIBRARIES = ("sentiment.registry.servable", "sentiment.model.compiled.build", "skops.io")
# Ours have 1.4 KiB; a long signature is a few more.
MOST_MLMODEL = 65_536
# Of a model's file: the bundled one has 8 MiB, and 28 MiB unpacked, in ten entries.
MOST_FILE, MOST_UNPACKED, MOST_ENTRIES = 64 << 20, 128 << 20, 1000
# What it says of its objects is JSON, which takes twelve times as much in memory.
MOST_SCHEMA = 24 << 20

_REFUSED_HINT = "Publish a model made by `sentiment release`, or go back with `sentiment rollback`."
# A plain name, of a file beside the MLmodel.
_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)


def open_here(directory: Path) -> Scorer:
    """`open_model` with the compiled forms that this machine keeps (`MODEL_CACHE_DIR`)."""
    return open_model(directory, ModelSettings().cache_dir / COMPILED)


def open_model(directory: Path, compiled: Path | None = None) -> Scorer:
    """Open a model directory, check that it can be served, and compile it.

    All of this is done in a process with limits (`CHECK`): what the files hold can't harm this one.
    Only what passed there, and can't be compiled, is loaded by scikit-learn here.

    Args:
        directory: Holds `MLmodel` and what it names.
        compiled: Where compiled models are kept between starts; None: nowhere. From there a model
            serves in a fraction of a second, without scikit-learn.

    Raises:
        ModelRefusedError: It has another format, untrusted types, fails a probe, or breaks a limit.
        SetupError: No further process can be started on this machine.
    """
    file = _skops_file(directory)
    from sentiment.model.compiled import table
    from sentiment.model.compiled.scorer import CompiledScorer

    if compiled and (scorer := load(compiled, file)):
        return scorer
    with _in_memory() as made:
        number = made.fileno()
        try:
            why_not = limited.run(
                f"{__name__}:examine", [str(directory)], CHECK, files=[number], preload=LIBRARIES
            )
            if why_not:
                log.warning("model is not compiled, scikit-learn serves it slowly", reason=why_not)
                return SklearnScorer(load_pipeline(directory))
            made.seek(0)
            arrays, expected = table.read(made)
        except (BrokenLimitError, OSError, ValueError) as error:
            raise _refused(directory, str(error)) from error
        scorer = CompiledScorer(arrays)
        if not agrees(scorer, expected):
            raise _refused(directory, "its compiled form answers otherwise than scikit-learn")
        # Workers run this too: compiled with the rest, and not in the middle of a stream.
        scorer.coverage([""])
        if compiled:
            save(compiled, file, made)
    return scorer


def _in_memory() -> BinaryIO:
    """A file that is on no disk, where the system has such: a full one must not matter."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("model"), "w+b")
    return tempfile.TemporaryFile()


def examine(directory: str, number: str) -> str:
    """Check and compile a model. It is run by `open_model`, in a process of its own.

    Args:
        directory: The model's.
        number: Descriptor of the file that gets the compiled form, as `compiled.table` writes it.

    Returns:
        Why it has no compiled form; empty where it has one.

    Raises:
        ModelRefusedError: It fails a check.
    """
    from sentiment.model.compiled import table
    from sentiment.model.compiled.build import build
    from sentiment.model.compiled.linear import NotCompilableError, read
    from sentiment.registry import servable

    pipeline = load_pipeline(Path(directory))
    try:
        servable.check(pipeline)
        expected = check(SklearnScorer(pipeline))
    except (servable.NotServableError, FailedProbeError) as error:
        raise _refused(Path(directory), str(error)) from error
    try:
        made = build(read(pipeline))
    except NotCompilableError as error:
        return str(error)
    except SentimentError as error:
        raise _refused(Path(directory), error.message) from error
    with os.fdopen(int(number), "wb", closefd=False) as file:
        table.write(made, expected, file)
    return ""


def load_pipeline(directory: Path, trusted: Sequence[str] = ()) -> Any:  # noqa: ANN401 - see below
    """The scikit-learn pipeline in a model directory.

    Args:
        directory: Holds `MLmodel` and what it names.
        trusted: Qualified names of types to trust beside those that every worker trusts.

    Raises:
        ModelRefusedError: It has another format, or untrusted types.
    """
    file = _skops_file(directory)
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        _require_small(file)
        return skops.io.load(file, trusted=[*TRUSTED_TYPES, *trusted])
    except UntrustedTypesFoundException as error:
        raise _refused(directory, f"untrusted types: {error}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise _refused(directory, f"{type(error).__name__}: {error}") from error


def _require_small(file: Path) -> None:
    """Look at an archive's list of contents before anything of it is unpacked.

    Raises:
        ValueError: It would be too much, or is packed in a way that could be.
    """
    if file.stat().st_size > MOST_FILE:
        raise ValueError(f"it has more than {MOST_FILE >> 20} MiB")
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if len(entries) > MOST_ENTRIES or len(names) < len(entries):
        raise ValueError(f"it has more than {MOST_ENTRIES} entries, or some of the same name")
    if not {entry.compress_type for entry in entries} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError("an entry is packed in another way than skops does")
    # No more than an entry says is ever unpacked of it.
    schema = sum(entry.file_size for entry in entries if entry.filename == "schema.json")
    if schema > MOST_SCHEMA or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise ValueError(
            f"unpacked it has more than {MOST_UNPACKED >> 20} MiB, {MOST_SCHEMA >> 20} of them JSON"
        )


def metadata(directory: Path) -> dict[str, str]:
    """What `sentiment release` noted in a model directory: names and digests of data, figures.

    Raises:
        ModelRefusedError: Its MLmodel can't be read.
    """
    noted = _mlmodel(directory).get("metadata")
    return {str(k): str(v) for k, v in noted.items()} if isinstance(noted, dict) else {}


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


def missing_file(directory: Path) -> str:
    """The file that a model directory can't be without, and is; empty where there is none."""
    if not (directory / "MLmodel").is_file():
        return "MLmodel"
    try:
        name = _mlmodel(directory)["flavors"]["sklearn"]["pickled_model"]
    except (ModelRefusedError, KeyError, TypeError):
        # Of no format that we know: that is another complaint.
        return ""
    plain = type(name) is str and _NAME.fullmatch(name)
    return str(name) if plain and not (directory / name).is_file() else ""


def _mlmodel(directory: Path) -> dict[str, Any]:
    import yaml

    class Loader(yaml.BaseLoader):
        """Texts, lists and maps alone, each written out: a few aliases of aliases are gigabytes."""

        def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's
            if self.check_event(yaml.AliasEvent):
                raise ValueError("it has aliases")
            return super().compose_node(parent, index)

    try:
        content = limited.read(directory / "MLmodel", MOST_MLMODEL)
        document = yaml.load(content, Loader)  # noqa: S506 - the safest loader of all
    except Exception as error:
        # Of the file system or of YAML, or nested too deeply.
        reason = limited.one_line(f"{type(error).__name__}: {error}")
        raise _refused(directory, f"it has no readable MLmodel file ({reason})") from error
    if not isinstance(document, dict):
        raise _refused(directory, "its MLmodel file is empty or something else")
    return document


def _skops_file(directory: Path) -> Path:
    try:
        flavor = _mlmodel(directory)["flavors"]["sklearn"]
        stored_as, name = flavor["serialization_format"], flavor["pickled_model"]
    except (KeyError, TypeError) as error:
        raise _refused(directory, "its MLmodel names no scikit-learn model") from error
    if stored_as != "skops":
        raise _refused(
            directory,
            f"it is stored as {stored_as!s:.80}, which can run code when opened; only skops is",
        )
    file = directory / name if type(name) is str and _NAME.fullmatch(name) else None
    if file is None or not file.is_file() or file.is_symlink():
        raise _refused(directory, f"it has no file {name!r:.80}")
    return file


def _refused(directory: Path, reason: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"Model refused ({directory}): {limited.one_line(reason)}.", _REFUSED_HINT
    )


# Compiled models on disk, so that a start needs neither to compile nor scikit-learn. A file's
# name says what it was made of: the model's file, this package's code, and the Unicode of this
# Python. What is loaded answers the probes as the model did, or is made anew.


# As many as the registry's own copies: the running one, the one before it, and one to go back to.
KEPT = 3


def load(directory: Path, model: Path) -> CompiledScorer | None:
    """The compiled form of a model's file; None if there is no good one."""
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
    """Keep a compiled model, whole or not at all. A full disk costs the copy, not the model.

    Args:
        directory: Where.
        model: The file that it was made of.
        compiled: As `table.write` wrote it.
    """
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
    with model.open("rb") as file:
        made_of = hashlib.file_digest(file, "sha256")
    made_of.update(f"{STATE} {unicodedata.unidata_version}".encode())
    return directory / f"{made_of.hexdigest()[:32]}.npz"
