"""What a kind of model has to offer, and how one is found by its name in `params.yaml`."""

from importlib import import_module
from typing import Any, Protocol

import pandas as pd
from sklearn.pipeline import Pipeline

from sentiment.errors import InputError
from trainer.params import Params
from trainer.progress import Say


class Candidate(Protocol):
    """A kind of model. Made from its `params` as keyword arguments, before any data is read.

    Attributes:
        trusted_types: Qualified names of classes of its own that skops must be told to trust;
            a worker trusts only those of `sentiment`.
    """

    trusted_types: tuple[str, ...]

    def fit(self, frame: pd.DataFrame, say: Say) -> Pipeline:
        """A fitted pipeline: texts in, classes 0 (negative) and 1 (positive) out.

        Args:
            frame: The training texts, with the columns of `trainer.tables`.
            say: Told what is being done.
        """

    def describe(self) -> str:
        """Markdown for the model card: what it does, with its parameters and sources."""


def make(name: str, params: Params) -> Candidate:
    """The candidate that `params.yaml` describes.

    Raises:
        InputError: There is no such candidate or no such class, or it doesn't take these
            parameters.
    """
    described = params.candidate(name)
    module, _, attribute = described.kind.partition(":")
    try:
        kind: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"Candidate {name!r}: {described.kind!r} names no class: {error}",
            "Write it as module:Class.",
        ) from error
    try:
        made: Candidate = kind(**described.params)
    except (TypeError, ValueError) as error:
        raise InputError(f"Candidate {name!r}: {error}") from error
    return made
