"""The train stage: fit a candidate, and save it as a model directory.

MLflow writes the directory, in the skops format. Then everything that differs from run to run or
tells of the machine is taken out: identifiers, times, paths, and the memory addresses that skops
names its parts by.
"""

import os
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import yaml
from sklearn.pipeline import Pipeline

from sentiment.errors import InputError
from sentiment.registry.artifact import TRUSTED_TYPES
from trainer import tables
from trainer.params import Params
from trainer.reports import Say, silent

# What a loader must have to open the model, in the versions that wrote it.
REQUIREMENTS = ("mlflow", "numpy", "scikit-learn", "scipy", "skops")
# The file that makes a folder a model directory.
MARK = "MLmodel"
# Stands in the model directory and shows what goes in.
INPUT_EXAMPLE = "A warm and funny film with a wonderful cast."
# Of one long call of a library, there is nothing to say but that it goes on.
PATIENCE_S = 15.0

# The earliest time that a zip archive can state.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
# Where scikit-learn's vectorisers keep the address of the stop words that they have looked at.
_STOP_WORDS_ID = re.compile(r'("_stop_words_id": \{[^{}]*"content": ")\d+')
# Fields of MLmodel that name the run, not the model.
_OF_THE_RUN = ("model_id", "model_uuid", "utc_time_created", "run_id", "artifact_path")


class Candidate(Protocol):
    """A kind of model. Made from its `params` as keyword arguments, before any data is read."""

    # Qualified names of classes of its own that skops must be told to trust; a worker trusts only
    # those of `sentiment`.
    trusted_types: tuple[str, ...]

    def fit(self, frame: pd.DataFrame, say: Say) -> Pipeline:
        """A pipeline fitted on such a table: texts in, classes 0 and 1 (positive) out."""

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
        The model directory. The same texts and knobs give the same bytes.

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


def fit(name: str, candidate: Candidate, frame: pd.DataFrame, say: Say = silent) -> Pipeline:
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
    """Say from a thread that the block goes on: a call of a library tells nothing."""
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


def save(
    pipeline: Pipeline,
    target: Path,
    *,
    trusted: Sequence[str],
    metadata: dict[str, str],
    add: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a model directory of a fitted pipeline, whole or not at all.

    `trusted` types in it are neither ours nor scikit-learn's, publishing makes tags of the metadata
    in its MLmodel, and `add` writes further files.

    Raises:
        OSError: The target can't be written.
    """
    # MLflow looks for Git when it is imported, and warns where there is none.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow import sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    with tables.folder(target) as made:
        sklearn.save_model(
            pipeline,
            str(made),
            serialization_format=sklearn.SERIALIZATION_FORMAT_SKOPS,
            skops_trusted_types=[*TRUSTED_TYPES, *trusted],
            signature=ModelSignature(
                Schema([ColSpec(DataType.string)]), Schema([ColSpec(DataType.long)])
            ),
            input_example=[INPUT_EXAMPLE],
            metadata=metadata,
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
        _settle_skops(made / "model.skops")
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


def _settle_skops(file: Path) -> None:
    """Number the parts in the order of their first mention, and compress them."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = parts.pop("schema.json").decode()
    schema = _STOP_WORDS_ID.sub(r"\g<1>0", schema)
    addresses = re.findall(r'"(?:__id__": |file": ")(\d+)', schema)
    numbers = {address: str(number) for number, address in enumerate(dict.fromkeys(addresses))}
    schema = re.sub(
        r'("(?:__id__": |file": "))(\d+)', lambda match: match[1] + numbers[match[2]], schema
    )
    renamed = {f"{numbers[name.removesuffix('.npy')]}.npy": data for name, data in parts.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**renamed, "schema.json": schema.encode()}.items():
            info = zipfile.ZipInfo(name, _NO_TIME)
            # Smaller by half; the weights themselves hardly compress.
            archive.writestr(info, data, zipfile.ZIP_DEFLATED, compresslevel=9)


def _settle_mlmodel(directory: Path) -> None:
    file = directory / MARK
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for field in _OF_THE_RUN:
        document.pop(field, None)
    document["model_size_bytes"] = (directory / "model.skops").stat().st_size
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
