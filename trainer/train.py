"""The train stage: fit a candidate, and save it as a model directory."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sentiment.errors import InputError
from sentiment.model.formats.mlmodel import MARK
from trainer import saving, tables
from trainer.champion import Candidate, flavour_of, make
from trainer.layout import MODELS
from trainer.params import Params
from trainer.progress import Say, lasting, silent


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
        InputError: There is no such candidate, the texts are of one class or too few, or the
            directory can't be written.
    """
    directory = output / name
    candidate = make(name, params)
    tables.check_folder(directory, MARK)
    saving.save(
        fit(name, candidate, frame, say),
        directory,
        flavour=flavour_of(candidate),
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


def fit(name: str, candidate: Candidate, frame: pd.DataFrame, say: Say = silent) -> Any:  # noqa: ANN401 - of whatever library
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
