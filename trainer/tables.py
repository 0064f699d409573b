"""The files that stages exchange: their paths, how they are written, the tables of texts.

```
data/raw/           texts.parquet  rejected.jsonl  report.json        ingest
data/cache/         remote files; may be deleted at any time          ingest
data/prepared/      train.parquet  test.parquet  report.json          preprocess
models/NAME/        MLmodel  model.skops  …                           train
evaluation/NAME/    see trainer.reports                               evaluate
models/release/     the same as models/NAME/, and                     release
                    MODEL_CARD.md  drift.json  evaluation/
```

Below the folder that a stage runs in; dvc.yaml says the same. The tables are Parquet:

| column | type | meaning |
|---|---|---|
| `text` | string | the text |
| `label` | int8 | 1 positive, 0 negative |
| `domain` | string | what kind of text it is, such as `imdb` |
| `group` | string | what it is about; unique over all sources |
| `source` | string | the name of the source in `params.yaml` |
| `split` | string | `train`, `test`, or `auto` while that is undecided |
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
MODELS = Path("models")
RELEASE = MODELS / "release"
EVALUATION = Path("evaluation")

# Files in them that more than one stage knows.
TEXTS = "texts.parquet"
TRAIN, TEST = "train.parquet", "test.parquet"
# A stage's report, in the folder of its files.
REPORT = "report.json"
CARD = "MODEL_CARD.md"
IMAGES = "images"

COLUMNS = ("text", "label", "domain", "group", "source", "split")

# Far above what a local command of Git takes, even in a large repository on a cold disk.
_PATIENCE_S = 20.0


def write(frame: "pd.DataFrame", path: Path) -> None:
    """Write a table whole or not at all; the same rows give the same bytes."""
    with file(path) as part:
        frame[list(COLUMNS)].to_parquet(part, index=False)


def read(path: Path, stage: str) -> "pd.DataFrame":
    """Read a table that a stage wrote.

    Raises:
        InputError: It is missing, unreadable or no such table.
    """
    import pandas as pd

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


def digest(frame: "pd.DataFrame") -> str:
    """SHA-256 of a table's texts and labels in their order: which texts a figure is about."""
    hashed = hashlib.sha256()
    for text, label in zip(frame["text"], frame["label"], strict=True):
        hashed.update(f"{label}\t{len(text)}\t{text}".encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


# Files and folders that are written whole or not at all, whatever ends the process. Each is made
# under another name beside its place, and gets its own by a rename. The next run
# removes what a killed one left.


@contextmanager
def file(target: Path) -> Iterator[Path]:
    """Give a path to write to; it takes the place of `target` when all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def files(place: Path, *names: str) -> Iterator[Path]:
    """Give a folder to write these files to; they go to `place` when all went well.

    What else is in `place` stays. The last file is removed first and moved last: where it exists,
    all of them belong together.
    """
    work = place / ".part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
        (place / names[-1]).unlink(missing_ok=True)
        for name in names:
            (work / name).replace(place / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def folder(target: Path) -> Iterator[Path]:
    """Give a new folder to write to; it takes the place of `target` when all went well."""
    part, old = (target.with_name(f".{target.name}.{state}") for state in ("part", "old"))
    if old.exists() and not target.exists():
        # Killed between the two renames below.
        old.rename(target)
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        try:
            if target.exists():
                target.rename(old)
            part.rename(target)
        except BaseException:
            # Ctrl-C between the two renames must not cost what was there.
            if old.exists() and not target.exists():
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_folder(target: Path, mark: str) -> None:
    """Make sure, before any work is done, that `folder` may replace what is there.

    Raises:
        InputError: It can't be written, or is a folder without the file `mark`, which must not be
            lost.
    """
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not (target / mark).is_file():
        raise InputError(
            f"{target} exists and has no {mark}, so it is not replaced.",
            "Name another place with --output.",
        )
    try:
        there = next(above for above in target.absolute().parents if above.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{target} can't be written: {error}") from error


# Git's data of the current project; empty where there is no Git.


def code_version() -> str:
    """The commit of the current directory, `-dirty` where files differ from it; else `unknown`.

    DVC's note of a run is no code, and differs in the midst of the run.
    """
    commit = git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if git("status", "--porcelain", "--", ".", ":!dvc.lock") else commit


def git(*arguments: str) -> str:
    """What a Git command prints, without its last newline; empty if it fails."""
    try:
        asked = subprocess.run(  # noqa: S603 - arguments are our own
            ["git", *arguments],  # noqa: S607 - whichever Git the user has
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return asked.stdout.strip()
