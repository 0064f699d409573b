"""The release stage: the chosen candidate fitted on all texts, with all that is known of it.

The candidate was judged by a twin that saw the training texts alone. What is served has seen the
test texts too, as more texts make a better model; the figures are the twin's.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pandas as pd

from sentiment.errors import InputError
from trainer import card, drift, report, saving, tables
from trainer.candidates import make
from trainer.ingest import IngestReport
from trainer.params import Params
from trainer.progress import Say, silent
from trainer.train import MODELS, fit

Noted = TypeVar("Noted", IngestReport, report.Comparison)

RELEASE = MODELS / "release"

# What of an evaluation goes with the model; what depends on the machine doesn't.
_KEPT = (report.REPORT, report.SCORES)
_IMAGES = "images"


def release(  # noqa: PLR0913 - all that the stages before have left
    params: Params,
    *,
    data: Path = tables.PREPARED,
    raw: Path = tables.RAW,
    evaluation: Path = report.EVALUATION,
    output: Path = RELEASE,
    say: Say = silent,
) -> Path:
    """Fit `params.release` on all texts and save it whole or not at all.

    Args:
        params: All knobs.
        data: The tables of the preprocess stage.
        raw: What the ingest stage found; the card names its sources.
        evaluation: What the evaluate stage found.
        output: The model directory to make.
        say: Told what is being done.

    Returns:
        The model directory: MLflow's files, `MODEL_CARD.md`, `evaluation/` and `drift.json`. The
        same inputs give the same bytes.

    Raises:
        InputError: A stage before is missing, or judged other texts than these.
    """
    name = params.release
    saving.check_target(output)
    train = tables.read(data / "train.parquet", "preprocess")
    test = tables.read(data / "test.parquet", "preprocess")
    found = report.read(evaluation / name / report.REPORT)
    if (found.train_sha256, found.test_sha256) != (tables.digest(train), tables.digest(test)):
        raise InputError(
            f"The evaluation of {name!r} is of other texts than those in {data}.",
            "Run `sentiment train` and `sentiment evaluate` again; or `dvc repro`.",
        )
    every = pd.concat([train, test], ignore_index=True)
    pipeline = fit(name, params, every, say)
    candidate = make(name, params.candidates[name])
    text = card.render(
        params,
        name,
        candidate.describe(),
        found,
        _sources(params, every, raw),
        _decoded(evaluation / report.COMPARISON, report.Comparison, "evaluate"),
    )
    scores = np.load(evaluation / name / report.SCORES)
    reference = drift.reference(pipeline, test["text"].tolist(), scores)
    saving.save(
        pipeline,
        output,
        trusted=candidate.trusted_types,
        metadata={
            "candidate": name,
            "train_sha256": found.train_sha256,
            "test_sha256": found.test_sha256,
            "accuracy": f"{found.overall['accuracy'].value:.4f}",
            "macro_accuracy": f"{found.overall['macro_accuracy'].value:.4f}",
        },
        add=_adder(text, evaluation / name, reference),
    )
    say(f"Released in {output}")
    return output


def _adder(text: str, evaluation: Path, reference: drift.Reference) -> Callable[[Path], None]:
    def add(directory: Path) -> None:
        (directory / "MODEL_CARD.md").write_text(text, encoding="utf-8")
        drift.write(reference, directory)
        kept = directory / "evaluation"
        kept.mkdir()
        for file in _KEPT:
            shutil.copyfile(evaluation / file, kept / file)
        shutil.copytree(evaluation / _IMAGES, kept / _IMAGES)

    return add


def _sources(params: Params, every: pd.DataFrame, raw: Path) -> list[card.DataSource]:
    """Where the texts came from, as the ingest stage noted it."""
    noted = _decoded(raw / "report.json", IngestReport, "ingest")
    checksums = {
        source.name: ", ".join(file.sha256 for file in source.inputs) for source in noted.sources
    }
    counts = every["source"].value_counts()
    return [
        card.DataSource(
            source.name, int(counts.get(source.name, 0)), checksums[source.name], source.about
        )
        for source in params.ingest.sources
    ]


def _decoded(path: Path, kind: type[Noted], stage: str) -> Noted:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"{path} can't be read: {error}", f"`sentiment {stage}` makes it; or run `dvc repro`."
        ) from error
