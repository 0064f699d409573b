"""The tables of labelled texts that the stages hand to each other, as Parquet files.

| column | type | meaning |
|---|---|---|
| `text` | string | the text |
| `label` | int8 | 1 positive, 0 negative |
| `domain` | string | what kind of text it is, such as `imdb` |
| `group` | string | what it is about; unique over all sources |
| `source` | string | the name of the source in `params.yaml` |
| `split` | string | `train`, `test`, or `auto` while that is undecided |

`data/raw/texts.parquet` is what ingest makes; `data/prepared/train.parquet` and `test.parquet` are
what preprocess makes of it.
"""

import hashlib
from pathlib import Path

import pandas as pd

from sentiment.errors import InputError
from trainer import writing

COLUMNS = ("text", "label", "domain", "group", "source", "split")


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all; the same rows give the same bytes."""
    with writing.file(path) as part:
        frame[list(COLUMNS)].to_parquet(part, index=False)


def read(path: Path, stage: str) -> pd.DataFrame:
    """Read a table.

    Args:
        path: Where the stage before wrote it.
        stage: The name of that stage, for the hint.

    Raises:
        InputError: It is missing, unreadable or no such table.
    """
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path}.", f"`sentiment {stage}` makes it; or run `dvc repro`."
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {error}") from error
    missing = set(COLUMNS) - set(frame.columns)
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    return frame


def digest(frame: pd.DataFrame) -> str:
    """SHA-256 of a table's texts and labels in their order: which texts a figure is about."""
    hashed = hashlib.sha256()
    for text, label in zip(frame["text"], frame["label"], strict=True):
        hashed.update(f"{label}\t{len(text)}\t{text}".encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()
