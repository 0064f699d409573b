"""Where the stages leave what they make, below the folder that they run in; dvc.yaml says the same.

```
data/raw/           texts.parquet  rejected.jsonl  report.json        ingest
data/cache/         remote files; may be deleted at any time          ingest
data/prepared/      train.parquet  test.parquet  report.json          preprocess
models/NAME/        MLmodel  model.skops  …                           train
evaluation/NAME/    see trainer.report                                evaluate
models/release/     the same as models/NAME/, and                     release
                    MODEL_CARD.md  drift.json  evaluation/
```
"""

import shutil
import subprocess
from pathlib import Path

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
MODELS = Path("models")
RELEASE = MODELS / "release"
EVALUATION = Path("evaluation")

# Files in them that more than one stage knows.
TEXTS = "texts.parquet"
TRAIN, TEST = "train.parquet", "test.parquet"
# What a stage tells of its work, in the folder of its files.
REPORT = "report.json"
CARD = "MODEL_CARD.md"
IMAGES = "images"


# What Git says of the project that we run in; nothing where it is not there.


# Far above what a local command takes, even in a large repository on a cold disk.
_PATIENCE_S = 20.0


def code_version() -> str:
    """The commit of the current directory, `-dirty` where files differ from it; else `unknown`.

    DVC's note of a run is no code, and differs in the midst of the run.
    """
    commit = ask("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if ask("status", "--porcelain", "--", ".", ":!dvc.lock") else commit


def ask(*arguments: str) -> str:
    """What a Git command prints, without its last newline; empty if it fails."""
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        asked = subprocess.run(  # noqa: S603 - arguments are our own
            [git, *arguments],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return asked.stdout.strip()
