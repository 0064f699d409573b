"""The evaluate stage: how good each candidate is on texts that it never saw, and which is better.

`evaluation/<name>/` gets `report.json` and `scores.npy` (see `trainer.report`), `metrics.json` and
`plots/` for DVC, `images/`, and `speed.json`; `evaluation/` gets the comparison of all. But for the
speed, the same model and texts give the same bytes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sentiment.artifact import Scorer, SklearnScorer, load_pipeline, metadata, open_model
from sentiment.compiled.linear import NotCompilableError, read
from sentiment.errors import InputError
from trainer import layout, report, saving, tables, writing
from trainer.judging import behaviours, intervals, ngrams, plots
from trainer.judging.figures import labels_of
from trainer.judging.scoring import sample, scores as scores_of, speeds
from trainer.params import Evaluate
from trainer.progress import Say, silent
from trainer.report import Report, Speed


def evaluate(  # noqa: PLR0913 - what is judged, on what, how, and where it goes
    name: str,
    model_directory: Path,
    test: pd.DataFrame,
    train: pd.DataFrame,
    params: Evaluate,
    *,
    output: Path = layout.EVALUATION,
    trusted: tuple[str, ...] = (),
    say: Say = silent,
) -> Report:
    """Judge a candidate, and write what was found to `output/name/`, whole or not at all.

    Args:
        name: The candidate's name in `params.yaml`.
        model_directory: Made by the train stage.
        test: The texts to judge by, with the columns of `trainer.tables`.
        train: The texts that it was fitted on; the report says which these were.
        params: How many resamplings, and so on.
        output: Where the evaluations of all candidates stand.
        trusted: Classes of the candidate's own that its file holds. A worker refuses these, so a
            candidate with any is judged by scikit-learn's answers alone.
        say: Told what is being done.

    Raises:
        InputError: There is no model directory, it was fitted on other texts, the test table is
            empty or of one class only, or something else stands where the result goes.
        ModelRefusedError: A worker would refuse the model.
    """
    labels = labels_of(test)
    writing.check_folder(output / name, layout.REPORT)
    say(f"{name}: opening {model_directory} …")
    scorer, pipeline = _open(model_directory, trusted)
    noted, train_sha256 = metadata(model_directory), tables.digest(train)
    if noted.get("train_sha256", train_sha256) != train_sha256:
        raise InputError(
            f"{model_directory} was fitted on other texts than those of the training table.",
            f"Run `sentiment train {name}` again, or `dvc repro`.",
        )
    texts: list[str] = test["text"].tolist()
    scores = scores_of(scorer.score, texts, f"texts scored by {name}", say)
    compiled_difference = None
    if scorer.kind == "compiled":
        what = f"texts scored by {name} in scikit-learn"
        by_sklearn = scores_of(pipeline.score, texts, what, say)
        compiled_difference = float(np.abs(scores - by_sklearn).max())
    top = ngrams.strongest(pipeline.pipeline)
    say(f"{name}: {params.bootstrap:,} resamplings, behaviours and plots …")
    overall, domains = intervals.bootstrap(labels, test["domain"].to_numpy(object), scores, params)
    found = Report(
        candidate=name,
        train_sha256=train_sha256,
        train_texts=len(train),
        test_sha256=tables.digest(test),
        test_texts=len(test),
        overall=overall,
        domains=domains,
        behaviours=behaviours.run(scorer.score),
        size_bytes=sum(file.stat().st_size for file in model_directory.glob("*.skops")),
        compiled_difference=compiled_difference,
        not_compiled=_why_not_compiled(scorer, pipeline.pipeline, trusted),
        knobs=noted.get("knobs", ""),
    )
    with writing.folder(output / name) as folder:
        report.write(found, folder / layout.REPORT)
        report.write(_metrics(found), folder / report.METRICS)
        np.save(folder / report.SCORES, scores)
        plots.write_tables(folder / "plots", labels, scores, top)
        accuracies = {domain: figures["accuracy"] for domain, figures in domains.items()}
        plots.draw(folder / layout.IMAGES, labels, scores, accuracies, top)
        say(f"{name}: measuring the speed …")
        served, by_itself = speeds([scorer.score, pipeline.score], sample(texts))
        report.write(Speed(served, by_itself, scorer.kind), folder / report.SPEED)
    return found


def _metrics(found: Report) -> dict[str, float]:
    figures = {figure: interval.value for figure, interval in found.overall.items()}
    return figures | {
        f"passed_{kind}": round(behaviour.share, intervals.DIGITS)
        for kind, behaviour in found.behaviours.items()
    }


def _open(directory: Path, trusted: tuple[str, ...]) -> tuple[Scorer, SklearnScorer]:
    """The model as a worker would serve it, and as scikit-learn does."""
    saving.require(directory, "train")
    pipeline = SklearnScorer(load_pipeline(directory, trusted))
    return (pipeline if trusted else open_model(directory)), pipeline


def _why_not_compiled(scorer: Scorer, pipeline: Any, trusted: tuple[str, ...]) -> str:  # noqa: ANN401 - sklearn has no types
    if scorer.kind == "compiled":
        return ""
    if trusted:
        return f"Workers refuse its own types: {', '.join(trusted)}."
    try:
        read(pipeline)
    except NotCompilableError as error:
        return f"It can't be compiled: {error}."
    return "It was not compiled."
