"""A saved model directory: opened safely, checked, compiled, and made into a scorer.

The format is MLflow's `sklearn` flavour with skops inside. Pickles are refused unread: opening one
runs whatever its author wrote. MLflow's own loader takes the list of trusted types from the
artifact; ours is fixed here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sentiment import logs
from sentiment.errors import ModelRefusedError
from sentiment.scoring import FailedProbeError, Fractions, Scorer, SklearnScorer, agrees, check

__all__ = ["Scorer", "SklearnScorer", "open_model"]

log = logs.get(__name__)

# Ours; skops itself trusts what scikit-learn and NumPy need, and nothing that could run a command.
TRUSTED_TYPES = (
    "sentiment.model.LengthwiseClassifier",
    "sentiment.model.NaiveBayesScaler",
    "sentiment.ngrams.NgramVectorizer",
)

_REFUSED_HINT = "Publish a model made by `sentiment release`, or go back with `sentiment rollback`."


def open_model(directory: Path, compiled: Path | None = None) -> Scorer:
    """Open a model directory, check that it can be served, and compile it.

    Args:
        directory: Holds `MLmodel` and what it names.
        compiled: Where compiled models are kept between starts; None: nowhere. From there a model
            serves in a fraction of a second, without scikit-learn.

    Raises:
        ModelRefusedError: It has another format, untrusted types, or fails a probe.
    """
    file = _skops_file(directory)
    if compiled:
        from sentiment.compiled import kept

        scorer = kept.load(compiled, file)
        if scorer:
            return scorer
    pipeline = load_pipeline(directory)
    classes = getattr(pipeline, "classes_", None)
    if classes is None or not np.array_equal(classes, [0, 1]):
        raise _refused(directory, f"its classes are {classes}, not [0 1]")
    reference = SklearnScorer(pipeline)
    try:
        expected = check(reference)
    except FailedProbeError as error:
        raise _refused(directory, str(error)) from error
    return _compiled(reference, expected, file, compiled) or reference


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
        return skops.io.load(file, trusted=[*TRUSTED_TYPES, *trusted])
    except UntrustedTypesFoundException as error:
        raise _refused(directory, f"untrusted types: {error}") from error
    except Exception as error:
        raise _refused(directory, f"{type(error).__name__}: {error}") from error


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
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def digest(files: Mapping[str, str]) -> str:
    """One SHA-256 for a directory, from those of its files."""
    lines = "".join(f"{value}  {name}\n" for name, value in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def missing_file(directory: Path) -> str:
    """The file that a model directory can't be without, and is; empty where there is none."""
    if not (directory / "MLmodel").is_file():
        return "MLmodel"
    try:
        name = str(_mlmodel(directory)["flavors"]["sklearn"]["pickled_model"])
    except (ModelRefusedError, KeyError, TypeError):
        # Of no format that we know: that is another complaint.
        return ""
    return "" if (directory / name).is_file() else name


def _mlmodel(directory: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load((directory / "MLmodel").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _refused(directory, "it has no readable MLmodel file") from error
    if not isinstance(document, dict):
        raise _refused(directory, "its MLmodel file is empty or something else")
    return document


def _skops_file(directory: Path) -> Path:
    try:
        flavor = _mlmodel(directory)["flavors"]["sklearn"]
        stored_as, name = flavor["serialization_format"], str(flavor["pickled_model"])
    except (KeyError, TypeError) as error:
        raise _refused(directory, "its MLmodel names no scikit-learn model") from error
    if stored_as != "skops":
        raise _refused(
            directory, f"it is stored as {stored_as}, which can run code when opened; only skops is"
        )
    file = directory / name
    if file.parent != directory or not file.is_file() or file.is_symlink():
        raise _refused(directory, f"it has no file {name!r}")
    return file


def _compiled(
    reference: SklearnScorer, expected: Fractions, file: Path, directory: Path | None
) -> Scorer | None:
    """The compiled form of a model, if it has one; refuses a model that has two answers."""
    from sentiment.compiled import kept
    from sentiment.compiled.build import build
    from sentiment.compiled.linear import NotCompilableError, read
    from sentiment.compiled.scorer import CompiledScorer

    try:
        table = build(read(reference.pipeline))
    except NotCompilableError as error:
        log.warning("model is not compiled, scikit-learn serves it slowly", reason=str(error))
        return None
    scorer = CompiledScorer(table)
    if not agrees(scorer, expected):
        raise _refused(file.parent, "its compiled form answers otherwise than scikit-learn")
    # Workers run this too: compiled with the rest, and not in the middle of a stream.
    scorer.coverage([""])
    if directory:
        kept.save(directory, file, table, expected)
    return scorer


def _refused(directory: Path, reason: str) -> ModelRefusedError:
    return ModelRefusedError(f"Model refused ({directory}): {reason}.", _REFUSED_HINT)
