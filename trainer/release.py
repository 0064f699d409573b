"""The release stage: the chosen candidate fitted on all texts, with all that is known of it.

The candidate was judged by a twin that saw the training texts alone. What is served has seen the
test texts too, as more texts make a better model; the figures are the twin's.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentiment.errors import InputError
from sentiment.model.compiled.linear import NotCompilableError
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.drift import FILE, Reference, bins, sizes
from sentiment.model.formats.format import Format
from sentiment.model.formats.mlmodel import MARK, find
from sentiment.model.scorer import THRESHOLD, Scorer
from trainer import card, layout, report, saving, tables
from trainer.champion import flavour_of, make
from trainer.ingest import IngestReport
from trainer.params import Params
from trainer.progress import Say, silent
from trainer.train import fit

# What of an evaluation goes with the model; what depends on the machine doesn't.
_KEPT = (layout.REPORT, report.SCORES)


def release(  # noqa: PLR0913 - all that the stages before have left
    params: Params,
    *,
    data: Path = layout.PREPARED,
    raw: Path = layout.RAW,
    evaluation: Path = layout.EVALUATION,
    output: Path = layout.RELEASE,
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
        InputError: A stage before is missing, or judged other texts or knobs than these.
    """
    name = params.release
    candidate = make(name, params)
    tables.check_folder(output, MARK)
    train = tables.read(data / layout.TRAIN, "preprocess")
    test = tables.read(data / layout.TEST, "preprocess")
    knobs = params.candidate(name).written()
    found = report.read(evaluation / name / layout.REPORT)
    scores = report.read_scores(evaluation / name / report.SCORES, len(test))
    compared = report.read_as(evaluation / report.COMPARISON, report.Comparison, "evaluate")
    for what, same in {
        f"other texts than those in {data}": found.train_sha256 == tables.digest(train)
        and found.test_sha256 == tables.digest(test),
        "a model with other parameters than those in params.yaml": found.knobs == knobs,
        "another model than the comparison": compared.overall.get(name) == found.overall,
    }.items():
        if not same:
            raise InputError(
                f"The evaluation of {name!r} is of {what}.",
                "Run `sentiment train` and `sentiment evaluate` again; or `dvc repro`.",
            )
    every = pd.concat([train, test], ignore_index=True)
    text = card.render(
        params, name, candidate.describe(), found, _sources(params, every, raw), compared
    )
    fitted = fit(name, candidate, every, say)

    def add(directory: Path) -> None:
        (directory / layout.CARD).write_text(text, encoding="utf-8")
        file = find(directory)
        scorer = served(file.format, file.open(candidate.trusted_types))
        write(training_reference(scorer, test["text"].tolist(), scores), directory)
        kept = directory / layout.EVALUATION
        kept.mkdir()
        for part in _KEPT:
            shutil.copyfile(evaluation / name / part, kept / part)
        shutil.copytree(evaluation / name / layout.IMAGES, kept / layout.IMAGES)

    saving.save(
        fitted,
        output,
        flavour=flavour_of(candidate),
        trusted=candidate.trusted_types,
        metadata={
            "candidate": name,
            "knobs": knobs,
            "train_sha256": found.train_sha256,
            "test_sha256": found.test_sha256,
            "accuracy": f"{found.overall['accuracy'].value:.4f}",
            "macro_accuracy": f"{found.overall['macro_accuracy'].value:.4f}",
        },
        add=add,
    )
    say(f"Released in {output}")
    return output


def _sources(params: Params, every: pd.DataFrame, raw: Path) -> list[card.DataSource]:
    """Where the texts came from, as the ingest stage noted it."""
    noted = report.read_as(raw / layout.REPORT, IngestReport, "ingest")
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


# Makes the drift reference that workers compare what they see with: see `sentiment.model.drift`.
# It is made from the test texts as the judged twin scored them, since texts that a model was
# fitted on are scored too surely.


# Ten equal bins, as the population stability index is usually taken over.
SCORE_BINS = 10
# Tokens of a tweet, a paragraph, a review, a long review; each about twice the one before.
LENGTH_EDGES = (5, 10, 20, 40, 80, 160, 320, 640)
# A millionth is far below what any comparison of shares tells apart.
_DIGITS = 6


def training_reference(
    scorer: Scorer, texts: Sequence[str], scores: NDArray[np.float64]
) -> Reference:
    """Make the reference.

    Args:
        scorer: The model as a worker runs it, so that both count the same tokens.
        texts: Texts that the scores' model was not fitted on.
        scores: P(positive) of each; shape (texts,).
    """
    lengths, known = sizes(scorer, texts)
    score_edges = np.linspace(0, 1, SCORE_BINS + 1)[1:-1].round(_DIGITS).tolist()
    return Reference(
        len(texts),
        score_edges,
        _shares(scores, score_edges),
        list(LENGTH_EDGES),
        _shares(lengths, LENGTH_EDGES),
        round(float(np.mean(scores >= THRESHOLD)), _DIGITS),
        None if known is None else round(known / max(int(lengths.sum()), 1), _DIGITS),
    )


def write(made: Reference, directory: Path) -> None:
    """Write it into a model directory."""
    report.write(made, directory / FILE)


def served(model_format: Format[Any], by_itself: Scorer) -> Scorer:
    """What a worker makes of a model that the format has opened, without a worker's checks."""
    if not model_format.compiles:
        return by_itself
    try:
        return CompiledScorer(model_format.compile(by_itself))
    except NotCompilableError:
        return by_itself


def _shares(values: NDArray[np.float64] | NDArray[np.int64], edges: Sequence[float]) -> list[float]:
    shares: list[float] = (bins(values, edges) / len(values)).round(_DIGITS).tolist()
    return shares
