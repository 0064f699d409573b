"""The train stage: fit a candidate, and save it as a model directory."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from sentiment.errors import InputError
from trainer import saving
from trainer.candidates import make
from trainer.params import Params
from trainer.progress import Say, silent

# A folder per candidate, and one for what is released.
MODELS = Path("models")


def train(
    name: str, params: Params, frame: pd.DataFrame, output: Path = MODELS, say: Say = silent
) -> Path:
    """Fit a candidate and save it in `output/name`, whole or not at all.

    Args:
        name: Of a candidate in `params`.
        params: All knobs.
        frame: The training texts, with the columns of `trainer.tables`.
        output: Where the models of all candidates stand.
        say: Told what is being done.

    Returns:
        The model directory. The same texts and knobs give the same bytes.

    Raises:
        InputError: There is no such candidate, the texts are of one class, or the directory can't
            be written.
    """
    directory = output / name
    saving.check_target(directory)
    pipeline = fit(name, params, frame, say)
    saving.save(pipeline, directory, trusted=make(name, params.candidates[name]).trusted_types)
    say(f"{name}: saved in {directory}")
    return directory


def fit(name: str, params: Params, frame: pd.DataFrame, say: Say = silent) -> Pipeline:
    """Fit a candidate.

    Raises:
        InputError: As `train` says.
    """
    if name not in params.candidates:
        raise InputError(
            f"There is no candidate {name!r}; there are {', '.join(params.candidates)}.",
            "Candidates are described in params.yaml.",
        )
    if len(np.unique(frame["label"])) < 2:  # noqa: PLR2004 - positive and negative
        raise InputError("The training texts are of one class only; a classifier needs both.")
    candidate = make(name, params.candidates[name])
    try:
        return candidate.fit(frame, lambda line: say(f"{name}: {line}"))
    except ValueError as error:
        raise InputError(
            f"Candidate {name!r} can't be fitted on these texts: {error}.",
            "Give more texts, or change its parameters.",
        ) from error
