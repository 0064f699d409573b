"""The train stage: fit a candidate, and save it as a model directory.

The model's format writes the directory. Then everything in MLmodel that differs from run to run or
names the machine is removed.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import yaml

from sentiment.errors import InputError
from sentiment.model.formats.format import named
from sentiment.model.formats.mlmodel import MARK, find
from trainer import tables
from trainer.params import Params
from trainer.reports import Say, silent

# How often a long call of a library is reported to be still running.
PATIENCE_S = 15.0

# Fields of MLmodel that name the run, not the model.
_OF_THE_RUN = ("model_id", "model_uuid", "utc_time_created", "run_id", "artifact_path")


class Candidate(Protocol):
    """A kind of model. Made from its `params` as keyword arguments, before any data is read.

    One that isn't saved as scikit-learn's has the flavour of its format too, as `flavour`.
    """

    # Qualified names of classes of its own that skops must be told to trust; a worker trusts only
    # those of `sentiment`.
    trusted_types: tuple[str, ...]

    def fit(self, frame: pd.DataFrame, say: Say) -> Any:  # noqa: ANN401 - of whatever library
        """What was fitted on such a table: a pipeline, texts in, classes 0 and 1 (positive) out."""

    def describe(self) -> str:
        """Markdown for the model card: what it does, with its parameters and sources."""


def make(name: str, params: Params) -> Candidate:
    """The candidate that `params.yaml` describes.

    Raises:
        InputError: There is no such candidate or no such class, or it doesn't take these
            parameters.
    """
    described = params.candidate(name)
    module, _, attribute = described.kind.partition(":")
    try:
        kind: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"Candidate {name!r}: {described.kind!r} names no class: {error}",
            "Write it as module:Class.",
        ) from error
    try:
        made: Candidate = kind(**described.params)
    except (TypeError, ValueError) as error:
        raise InputError(f"Candidate {name!r}: {error}") from error
    return made


def train(
    name: str, params: Params, frame: pd.DataFrame, output: Path = tables.MODELS, say: Say = silent
) -> Path:
    """Fit a candidate on a table of texts and save it in `output/name`, whole or not at all.

    Returns:
        The model directory. The same texts and parameters give the same bytes.

    Raises:
        InputError: There is no such candidate, the texts are of one class or too few, or the
            directory can't be written.
    """
    directory = output / name
    candidate = make(name, params)
    tables.check_folder(directory, MARK)
    save(
        fit(name, candidate, frame, say),
        directory,
        flavour=getattr(candidate, "flavour", "sklearn"),
        trusted=candidate.trusted_types,
        # So that nobody judges or releases it as something else.
        metadata={
            "candidate": name,
            "knobs": params.candidate(name).written(),
            "train_sha256": tables.digest(frame),
        },
    )
    say(f"{name}: saved in {directory}")
    return directory


def fit(name: str, candidate: Candidate, frame: pd.DataFrame, say: Say = silent) -> Any:  # noqa: ANN401 - of whatever library
    """Fit a candidate on the texts of a table.

    Raises:
        InputError: The texts are of one class or too few.
    """
    if len(np.unique(frame["label"])) < 2:  # noqa: PLR2004 - positive and negative
        raise InputError(
            "The training texts are of one class only; a classifier needs both.",
            "Look at `labels` and `split` of the sources in params.yaml.",
        )

    def tell(line: str) -> None:
        say(f"{name}: {line}")

    try:
        with lasting(tell, "fitting"):
            return candidate.fit(frame, tell)
    except ValueError as error:
        raise InputError(
            f"Candidate {name!r} can't be fitted on these texts: {error}.",
            "Give more texts, or change its parameters.",
        ) from error


@contextmanager
def lasting(say: Say, what: str) -> Iterator[None]:
    """Report from a thread that the block still runs: a library's call reports nothing."""
    over, started = threading.Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(PATIENCE_S):
            say(f"{what} for {time.monotonic() - started:.0f} s …")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def save(  # noqa: PLR0913 - what is saved, how, and with what
    model: Any,  # noqa: ANN401 - of whatever library
    target: Path,
    *,
    flavour: str = "sklearn",
    trusted: Sequence[str],
    metadata: dict[str, str],
    add: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a model directory of what was fitted, whole or not at all.

    `trusted` types in it are neither ours nor its library's, publishing makes tags of the metadata
    in its MLmodel, and `add` writes further files.

    Raises:
        OSError: The target can't be written.
    """
    with tables.folder(target) as made:
        named(flavour).save(model, made, trusted=trusted, metadata=metadata)
        _settle_mlmodel(made)
        add(made)


def require(directory: Path, stage: str) -> None:
    """Make sure that a folder is a model directory, which a stage makes.

    Raises:
        InputError: It is none.
    """
    if not (directory / MARK).is_file():
        raise InputError(
            f"{directory} is no model directory: it has no {MARK} file.",
            f"`sentiment {stage}` makes one; or run `dvc repro`.",
        )


def _settle_mlmodel(directory: Path) -> None:
    file = directory / MARK
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for field in _OF_THE_RUN:
        document.pop(field, None)
    document["model_size_bytes"] = find(directory).path.stat().st_size
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
