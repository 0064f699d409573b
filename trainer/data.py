"""Labelled texts read from a file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentiment.errors import InputError

# The Large Movie Review Dataset has up to 30 reviews of one film, which share names and phrases.
DEFAULT_GROUP = "movie"


@dataclass(frozen=True)
class Dataset:
    """Labelled texts.

    Attributes:
        name: The file's name.
        sha256: Checksum of the file.
        about: Markdown about the data for the model card: its source, licence and citation.
        texts: The texts; each with more than white space.
        labels: 1 positive, 0 negative; shape (texts,).
        groups: What a text is about: texts of one group never stand on both sides of a split;
            shape (texts,).
    """

    name: str
    sha256: str
    about: str
    texts: list[str]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]


def read(
    path: Path,
    text: str = "text",
    label: str = "label",
    group: str | None = None,
    about: str = "",
) -> Dataset:
    """Read a Parquet or CSV file.

    Args:
        path: Ends in `.parquet` or `.csv`.
        text: Column of the texts.
        label: Column of the labels, 0 or 1.
        group: Column of what a text is about. None: `movie` where the file has it; else each text
            stands for itself.
        about: See `Dataset`.

    Raises:
        InputError: The file can't be read, lacks a column, or a row is unusable.
    """
    frame = _read_frame(path)
    asked_for = (text, label) if group is None else (text, label, group)
    missing = [name for name in asked_for if name not in frame.columns]
    if missing:
        raise InputError(
            f"{path} has no column {' and no column '.join(map(repr, missing))};"
            f" it has {', '.join(map(repr, frame.columns))}.",
            "Name the columns with --text, --label and --group.",
        )
    usable = frame[text].map(lambda value: isinstance(value, str) and bool(value.strip()))
    if not usable.all():
        raise InputError(
            f"{path}: {int((~usable).sum())} rows have no text, the first is row"
            f" {int(usable.argmin()) + 1}.",
            "Take these rows out, or name the right column with --text.",
        )
    known = frame[label].isin([0, 1])
    if not known.all():
        wrong = int(known.argmin())
        raise InputError(
            f"{path}: {int((~known).sum())} rows have a label other than 0 and 1, the first is row"
            f" {wrong + 1}: {frame[label].iloc[wrong]!r}.",
            "Labels are 1 for positive and 0 for negative.",
        )
    labels = frame[label].to_numpy(np.int64)
    if len(np.unique(labels)) < 2:  # noqa: PLR2004 - positive and negative
        raise InputError(f"{path} has labels of one class only; a classifier needs both.")
    column = group or DEFAULT_GROUP
    groups = pd.factorize(frame[column])[0] if column in frame.columns else np.arange(len(frame))
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return Dataset(
        path.name, checksum, about, frame[text].tolist(), labels, groups.astype(np.int64)
    )


def _read_frame(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix not in {".parquet", ".csv"}:
        raise InputError(f"{path} is neither .parquet nor .csv.")
    try:
        return pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (OSError, ValueError, UnicodeDecodeError) as error:
        # pyarrow's and pandas's own errors are ValueErrors.
        raise InputError(f"{path} can't be read: {error}") from error
