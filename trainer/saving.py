"""A fitted pipeline as an MLflow model directory: the skops format, and the same bytes each time.

MLflow writes the directory. Then everything that differs from run to run or tells of the machine is
taken out: identifiers, times, paths, and the memory addresses that skops names its parts by.
"""

import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from sentiment.errors import InputError
from sentiment.registry.artifact import TRUSTED_TYPES
from trainer import tables

# What a loader must have to open the model, in the versions that wrote it.
REQUIREMENTS = ("mlflow", "numpy", "scikit-learn", "scipy", "skops")

# The file that makes a folder a model directory.
MARK = "MLmodel"

# Stands in the model directory and shows what goes in.
INPUT_EXAMPLE = "A warm and funny film with a wonderful cast."

# The earliest time that a zip archive can state.
_NO_TIME = (1980, 1, 1, 0, 0, 0)

# Where scikit-learn's vectorisers keep the address of the stop words that they have looked at.
_STOP_WORDS_ID = re.compile(r'("_stop_words_id": \{[^{}]*"content": ")\d+')

# Fields of MLmodel that name the run, not the model.
_OF_THE_RUN = ("model_id", "model_uuid", "utc_time_created", "run_id", "artifact_path")


def save(
    pipeline: Any,  # noqa: ANN401 - sklearn has no types
    target: Path,
    *,
    trusted: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    add: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a model directory, whole or not at all.

    Args:
        pipeline: Fitted; texts in, classes 0 and 1 out.
        target: The directory; one that is there is replaced.
        trusted: Qualified names of types in it that are neither ours nor scikit-learn's.
        metadata: Facts that stand in its MLmodel; publishing makes tags of them.
        add: Writes further files into the directory that it is given.

    Raises:
        OSError: The target can't be written.
    """
    with tables.folder(target) as made:
        _save_with_mlflow(pipeline, made, [*TRUSTED_TYPES, *trusted], dict(metadata or {}))
        _settle_skops(made / "model.skops")
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


def _save_with_mlflow(
    pipeline: Any,  # noqa: ANN401 - as above
    directory: Path,
    trusted: list[str],
    metadata: dict[str, str],
) -> None:
    # MLflow looks for Git when it is imported, and warns where there is none.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow import sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    sklearn.save_model(
        pipeline,
        str(directory),
        serialization_format=sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=trusted,
        signature=ModelSignature(
            Schema([ColSpec(DataType.string)]), Schema([ColSpec(DataType.long)])
        ),
        input_example=[INPUT_EXAMPLE],
        metadata=metadata,
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
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
