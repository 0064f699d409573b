"""A fitted model as an MLflow model directory, with the same bytes each time.

The model's format writes the directory. Then everything in MLmodel that differs from run to run or
tells of the machine is taken out.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sentiment.errors import InputError
from sentiment.model.formats.format import named
from sentiment.model.formats.mlmodel import MARK, find
from trainer import tables

# Fields of MLmodel that name the run, not the model.
_OF_THE_RUN = ("model_id", "model_uuid", "utc_time_created", "run_id", "artifact_path")


def save(  # noqa: PLR0913 - what is saved, how, and with what
    model: Any,  # noqa: ANN401 - of whatever library
    target: Path,
    *,
    flavour: str = "sklearn",
    trusted: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    add: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a model directory, whole or not at all.

    Args:
        model: Fitted; for scikit-learn a pipeline, texts in, classes 0 and 1 out.
        target: The directory; one that is there is replaced.
        flavour: Of the format that saves it.
        trusted: Qualified names of types in it that are neither ours nor its library's.
        metadata: Facts that stand in its MLmodel; publishing makes tags of them.
        add: Writes further files into the directory that it is given.

    Raises:
        OSError: The target can't be written.
    """
    with tables.folder(target) as made:
        named(flavour).save(model, made, trusted=trusted, metadata=metadata or {})
        _settle_mlmodel(made)
        add(made)


def require(directory: Path, stage: str) -> None:
    """Make sure that a folder is a model directory.

    Args:
        directory: The folder.
        stage: The name of the stage that makes it, for the hint.

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
