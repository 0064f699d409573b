"""Small released models for tests: what `sentiment release` makes, in a second."""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
import yaml
from numpy.typing import NDArray

from sentiment.model import drift
from sentiment.model.estimators import build
from sentiment.model.formats.scikit_learn import TRUSTED_TYPES
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
from trainer import reports, tables
from trainer.judging import behaviours, figures
from trainer.params import Evaluate, Promote
from trainer.release import training_reference
from trainer.reports import Report

GOOD = "excellent wonderful superb loved best great perfect beautiful recommended"
BAD = "terrible waste boring awful worst poor dull disappointing hated"
FILLER = "the film a story of acting and evening time year , ."
DOMAINS = ("film", "tweets")

# Few resamplings: the differences between these models are plain to see.
EVALUATE = Evaluate(bootstrap=200)
# Speed is no claim of a test: a busy machine may be a hundred times slower for a moment.
GATES = Promote(min_speed_share=0.001)


def table(seed: int = 0, size: int = 400) -> pd.DataFrame:
    """Made reviews of two domains, half of them positive, with the columns of `trainer.tables`."""
    chance = random.Random(seed)  # noqa: S311 - made data, not secrets
    rows = [
        {
            "text": " ".join(
                chance.choices(FILLER.split(), k=8)
                + chance.choices((BAD, GOOD)[i % 2].split(), k=6)
            ),
            "label": i % 2,
            "domain": DOMAINS[i % 4 // 2],
            "group": str(i),
            "source": "made",
            "split": "test",
        }
        for i in range(size)
    ]
    return pd.DataFrame(rows).astype({"label": "int8"})


def scores(test: pd.DataFrame, *, film: float = 1.0, tweets: float = 1.0) -> NDArray[np.float64]:
    """Scores that are right for the first texts of each domain, in the shares given."""
    given = np.where(test["label"] == 1, 0.9, 0.1)
    for domain, share in (("film", film), ("tweets", tweets)):
        places = np.flatnonzero(test["domain"] == domain)
        wrong = places[round(share * len(places)) :]
        given[wrong] = 1 - given[wrong]
    return given


def release(
    target: Path, test: pd.DataFrame, given: NDArray[np.float64], **changes: object
) -> Path:
    """A model directory whose evaluation says that the model gave these scores.

    Args:
        target: Where it is made.
        test: The test table.
        given: Scores of its texts.
        changes: Of fields of the report.
    """
    model = small_model(target.parent)
    shutil.copytree(model, target)
    scorer = open_model(target)
    labels = test["label"].to_numpy(np.int64)
    overall, domains = figures.bootstrap(labels, test["domain"].to_numpy(object), given, EVALUATE)
    fields: dict[str, Any] = {
        "candidate": "champion",
        "train_sha256": "ab" * 32,
        "train_texts": 400,
        "test_sha256": tables.digest(test),
        "test_texts": len(test),
        "overall": overall,
        "domains": domains,
        "behaviours": behaviours.run(scorer.score),
        "size_bytes": (target / "model.skops").stat().st_size,
        "compiled_difference": 0.0,
    }
    folder = target / tables.EVALUATION
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "roc.png").write_bytes(b"no real picture")
    reports.write(Report(**(fields | changes)), folder / tables.REPORT)
    np.save(folder / reports.SCORES, given)
    made = training_reference(scorer, test["text"].tolist(), given)
    reports.write(made, target / drift.FILE)
    # No two releases are the same files.
    (target / "MODEL_CARD.md").write_text(f"# {target.name}\n")
    return target


def small_model(folder: Path) -> Path:
    """The bundled model's directory with a pipeline fitted on made reviews in it; made once."""
    made = folder / ".small-model"
    if not made.exists():
        shutil.copytree(bundled_model(), made, ignore=shutil.ignore_patterns("evaluation"))
        frame = table(seed=1)
        fitted = build().fit(frame["text"].tolist(), frame["label"].tolist())
        skops.io.dump(fitted, made / "model.skops")
        document = yaml.safe_load((made / "MLmodel").read_text(encoding="utf-8"))
        document["flavors"]["sklearn"]["skops_trusted_types"] = list(TRUSTED_TYPES)
        (made / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    return made
