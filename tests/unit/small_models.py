"""A small model of made sentences, and the texts that it learns from or is judged by."""

import random
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from trainer.params import CandidateParams, Evaluate, Ingest, Params, Source
from trainer.reports import Say

FEW = Evaluate(bootstrap=20)
GOOD = "excellent wonderful superb loved best great perfect beautiful recommended"
BAD = "terrible waste boring awful worst poor dull disappointing hated"
FILLER = "the film a story of acting and evening time year"

# A module with a step of its own, as the baseline has, and two kinds of candidate.
OWN = """
from sklearn.base import BaseEstimator, TransformerMixin
class Lower(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self
    def transform(self, X):
        return [text.lower() for text in X]
class Plain:
    trusted_types = ()
class WithOwnStep:
    trusted_types = ("own_kinds.Lower",)
"""


def make_texts(count: int, seed: int) -> pd.DataFrame:
    """Made reviews of two domains, half of them positive, every tenth with the wrong label."""
    chance = random.Random(seed)  # noqa: S311 - made data, not secrets
    rows = [
        {
            "text": " ".join(
                chance.choices(FILLER.split(), k=8)
                + chance.choices((BAD, GOOD)[i % 2].split(), k=3)
            ),
            "label": i % 2 if i % 10 else 1 - i % 2,
            "domain": "imdb" if i % 3 else "tweets",
            "group": f"{seed}-{i}",
            "source": "made",
            "split": "test",
        }
        for i in range(count)
    ]
    return pd.DataFrame(rows)


class BagOfWords:
    """A candidate of scikit-learn's own parts."""

    trusted_types: tuple[str, ...] = ()

    def __init__(self, min_df: int = 1) -> None:
        self._pipeline = make_pipeline(CountVectorizer(min_df=min_df), LogisticRegression())

    def fit(self, frame: pd.DataFrame, say: Say) -> Pipeline:
        """Fit it."""
        say("Fitting …")
        return self._pipeline.fit(frame["text"].tolist(), frame["label"].to_numpy(np.int64))

    def describe(self) -> str:
        """Say what it is."""
        return "Counts words."


def knobs(name: str, kind: str, **params: Any) -> Params:  # noqa: ANN401 - a candidate's own
    """Parameters with one candidate, which is the one to be released."""
    return Params(
        ingest=Ingest(sources=[Source(name="made", uri="made.csv", about="Made by rolling dice.")]),
        candidates={name: CandidateParams(kind=kind, params=params)},
        release=name,
        evaluate=FEW,
    )


def save(directory: Path, *steps: Any, vectorizer: CountVectorizer | None = None) -> Path:  # noqa: ANN401 - sklearn has no types
    """Fit a small bag of words and save it as MLflow does."""
    texts = make_texts(200, seed=1)
    pipeline = make_pipeline(*steps, vectorizer or CountVectorizer(), LogisticRegression())
    pipeline.fit(texts["text"].tolist(), texts["label"])
    directory.mkdir(parents=True)
    skops.io.dump(pipeline, directory / "model.skops")
    flavor = {"serialization_format": "skops", "pickled_model": "model.skops"}
    (directory / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}))
    return directory


def own_kinds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - made here
    """The module of `OWN`, imported."""
    folder.mkdir()
    (folder / "own_kinds.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_kinds", raising=False)
    return import_module("own_kinds")
