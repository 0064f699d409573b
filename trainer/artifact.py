"""A fitted pipeline as an MLflow model directory: the skops format, and the same bytes each time.

MLflow writes the directory; what would differ from run to run or tell of the machine (ids, times,
paths, memory addresses in names) is then taken out.
"""

import io
import json
import os
import shutil
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import yaml
from sklearn.pipeline import Pipeline

from sentiment.model import TRUSTED_TYPES

# What scikit-learn may not need to unpickle, but a loader needs to import.
REQUIREMENTS = ("numpy", "scikit-learn", "scipy", "skops")

# The example stands in the MLmodel and shows a reader what goes in.
INPUT_EXAMPLE = "The plot is thin, but I was never bored for a minute."

# The earliest time that a zip archive can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def save(pipeline: Pipeline, target: Path, card: str) -> None:
    """Write a model directory, whole or not at all.

    Args:
        pipeline: Fitted; texts in, classes out.
        target: The directory; one that is there is replaced.
        card: Text of its `MODEL_CARD.md`.
    """
    # MLflow asks for the version of Git at its import and warns where there is none.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow.sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        made = work / "model"
        mlflow.sklearn.save_model(
            pipeline,
            str(made),
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
            skops_trusted_types=list(TRUSTED_TYPES),
            signature=ModelSignature(
                Schema([ColSpec(DataType.string)]), Schema([ColSpec(DataType.long)])
            ),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
        (made / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        _make_reproducible(made)
        made.chmod(0o755)
        if target.exists():
            target.rename(work / "old")
        made.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
