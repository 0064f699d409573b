"""Compiled models on disk, so that a start needs neither to compile nor scikit-learn.

A file's name says what it was made of: the model's file, this package's code, and the Unicode of
this Python. What is loaded answers the probes as the model did, or is made anew.
"""

import hashlib
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentiment import logs
from sentiment.compiled import table
from sentiment.compiled.scorer import CompiledScorer
from sentiment.compiled.state import STATE
from sentiment.compiled.table import Table
from sentiment.scoring import agrees

log = logs.get(__name__)

# As many as the registry's own copies: the running one, the one before it, and one to go back to.
KEPT = 3


def load(directory: Path, model: Path) -> CompiledScorer | None:
    """The compiled form of a model's file; None if there is no good one."""
    path = _path(directory, model)
    try:
        arrays, expected = table.load(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("compiled model is unreadable", file=str(path), reason=str(error))
        return None
    scorer = CompiledScorer(arrays)
    if agrees(scorer, expected):
        return scorer
    log.warning("compiled model has changed and is not used", file=str(path))
    return None


def save(directory: Path, model: Path, compiled: Table, expected: NDArray[np.float64]) -> None:
    """Keep a compiled model. A full disk costs the copy, not the model."""
    path = _path(directory, model)
    try:
        table.save(compiled, expected, path)
        files = sorted(directory.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for old in files[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("compiled model is not kept for later", reason=str(error))


def _path(directory: Path, model: Path) -> Path:
    made_of = hashlib.sha256(model.read_bytes())
    made_of.update(f"{STATE} {unicodedata.unidata_version}".encode())
    return directory / f"{made_of.hexdigest()[:32]}.npz"
