"""A saved model directory: opened safely, checked, and made into a scorer.

The format is MLflow's `sklearn` flavour with skops inside. Pickles are refused unread: opening one
runs whatever its author wrote. MLflow's own loader takes the list of trusted types from the
artifact; ours is fixed here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import ModelRefusedError

# Ours; skops itself trusts what scikit-learn and NumPy need, and nothing that could run a command.
TRUSTED_TYPES = ("sentiment.model.NaiveBayesScaler", "sentiment.model.NgramVectorizer")

# Texts that no usable model gets wrong: a swapped class or a damaged weight shows here.
PROBES = (
    ("An excellent film: wonderful acting, a superb story. I loved it, one of the best!", 1),
    ("Great, a perfect and beautiful evening, highly recommended.", 1),
    ("What a terrible waste of time: boring, awful acting, the worst film of the year.", 0),
    ("Poor, dull and disappointing. I hated it.", 0),
)
# Texts that have no right answer but must have one: nothing known, characters of all sorts, long.
_ODD_PROBES = ("", " ", "\0", "zzzqqqxxx", "!?!", "İstanbul\u2019da 👍🏽 n't", "no " * 2000)

_REFUSED_HINT = "Publish a model made by `sentiment train`, or move the alias back."


class Scorer(Protocol):
    """Gives texts their probability of being positive. May be called from any thread."""

    kind: Literal["sklearn", "compiled"]

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text; shape (texts,). No texts give no scores."""


class SklearnScorer:
    """Answers with a scikit-learn pipeline.

    Args:
        pipeline: Fitted; takes texts and has `predict_proba`, with classes 0 and 1.
    """

    kind: Literal["sklearn", "compiled"] = "sklearn"

    def __init__(self, pipeline: Any) -> None:  # noqa: ANN401 - sklearn has no types
        self.pipeline = pipeline

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text; shape (texts,)."""
        if not texts:
            # scikit-learn refuses matrices without rows.
            return np.empty(0)
        scores: NDArray[np.float64] = self.pipeline.predict_proba(texts)[:, 1]
        return scores


def open_model(directory: Path) -> Scorer:
    """Open a model directory and check that it can be served.

    Args:
        directory: Holds `MLmodel` and what it names.

    Raises:
        ModelRefusedError: It has another format, untrusted types, or fails a probe.
    """
    pipeline = _load(_skops_file(directory))
    classes = getattr(pipeline, "classes_", None)
    if classes is None or not np.array_equal(classes, [0, 1]):
        raise _refused(directory, f"its classes are {classes}, not [0 1]")
    scorer = SklearnScorer(pipeline)
    _probe(scorer, directory)
    return scorer


def metadata(directory: Path) -> dict[str, str]:
    """What `sentiment train` noted in a model directory: the data's name, the accuracy, and so on.

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


def _load(file: Path) -> Any:  # noqa: ANN401 - whatever is in there is checked next
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.load(file, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise _refused(file.parent, f"untrusted types: {error}") from error
    except Exception as error:
        raise _refused(file.parent, f"{type(error).__name__}: {error}") from error


def _probe(scorer: Scorer, directory: Path) -> None:
    texts = [text for text, _ in PROBES] + list(_ODD_PROBES)
    try:
        first, second = scorer.score(texts), scorer.score(texts)
        single = np.concatenate([scorer.score([text]) for text in texts])
    except Exception as error:
        raise _refused(
            directory, f"it fails on a probe: {type(error).__name__}: {error}"
        ) from error
    if first.shape != (len(texts),):
        raise _refused(directory, f"{len(texts)} texts gave scores of shape {first.shape}")
    if not np.all((first >= 0) & (first <= 1)):
        raise _refused(directory, "a score is no probability")
    # Summing in another order may change the last digits, never more.
    if not np.array_equal(first, second) or not np.allclose(first, single, rtol=0, atol=1e-9):
        raise _refused(directory, "the same text gives different scores")
    for (text, label), score in zip(PROBES, first, strict=False):
        if (score >= 0.5) != bool(label):  # noqa: PLR2004 - the decision's threshold
            raise _refused(directory, f"{text!r} gets {score:.3f} for positive")


def _refused(directory: Path, reason: str) -> ModelRefusedError:
    return ModelRefusedError(f"Model refused ({directory}): {reason}.", _REFUSED_HINT)
