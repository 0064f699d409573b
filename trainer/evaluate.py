"""The evaluate stage: how good each candidate is on texts that it never saw, and which is better.

`evaluation/<name>/` gets `report.json` and `scores.npy` (see `trainer.report`), `metrics.json` and
`plots/` for DVC, `images/`, and `speed.json`; `evaluation/` gets the comparison of all. But for the
speed, the same model and texts give the same bytes.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentiment.artifact import Scorer, SklearnScorer, load_pipeline, open_model
from sentiment.compiled.linear import NotCompilableError, read
from sentiment.errors import InputError
from trainer import behaviours, intervals, plots, report, tables
from trainer.figures import labels_of
from trainer.params import Evaluate
from trainer.progress import Say, silent, ticking
from trainer.report import Report, Speed

# Texts scored between two looks at the clock: a second's work for the slowest candidate.
_BATCH = 500
# Enough for all domains and lengths, and a few seconds' work for the slowest candidate.
_TIMED_TEXTS = 2000
# The fastest of them counts: whatever disturbs a run only makes it slower.
_REPETITIONS = 3

Score = Callable[[Sequence[str]], NDArray[np.float64]]


def evaluate(  # noqa: PLR0913 - what is judged, on what, how, and where it goes
    name: str,
    model_directory: Path,
    test: pd.DataFrame,
    train: pd.DataFrame,
    params: Evaluate,
    *,
    output: Path = report.EVALUATION,
    trusted: tuple[str, ...] = (),
    say: Say = silent,
) -> Report:
    """Judge a candidate, and write what was found to `output/name/`, whole or not at all.

    Args:
        name: The candidate's name in `params.yaml`.
        model_directory: Made by the train stage.
        test: The texts to judge by, with the columns of `trainer.tables`.
        train: The texts that it was fitted on; only named in the report.
        params: How many resamplings, and so on.
        output: Where the evaluations of all candidates stand.
        trusted: Classes of the candidate's own that its file holds. A worker refuses these, so a
            candidate with any is judged by scikit-learn's answers alone.
        say: Told what is being done.

    Raises:
        InputError: There is no model directory, or the test table is empty or of one class only.
        ModelRefusedError: A worker would refuse the model.
    """
    labels = labels_of(test)
    say(f"{name}: opening {model_directory} …")
    scorer, pipeline = _open(model_directory, trusted)
    texts: list[str] = test["text"].tolist()
    scores = _score(scorer.score, texts, f"texts scored by {name}", say)
    compiled_difference = None
    if scorer.kind == "compiled":
        by_sklearn = _score(pipeline.score, texts, f"texts scored by {name} in scikit-learn", say)
        compiled_difference = float(np.abs(scores - by_sklearn).max())
    top = _top_ngrams(pipeline.pipeline)
    say(f"{name}: {params.bootstrap:,} resamplings, behaviours and plots …")
    overall, domains = intervals.bootstrap(labels, test["domain"].to_numpy(object), scores, params)
    found = Report(
        candidate=name,
        train_sha256=tables.digest(train),
        train_texts=len(train),
        test_sha256=tables.digest(test),
        test_texts=len(test),
        overall=overall,
        domains=domains,
        behaviours=behaviours.run(scorer.score),
        size_bytes=sum(file.stat().st_size for file in model_directory.glob("*.skops")),
        compiled_difference=compiled_difference,
        not_compiled=_why_not_compiled(scorer, pipeline.pipeline, trusted),
    )
    with _replacing(output / name) as folder:
        report.write(found, folder / report.REPORT)
        report.write(_metrics(found), folder / report.METRICS)
        np.save(folder / report.SCORES, scores)
        plots.write_tables(folder / "plots", labels, scores, top)
        accuracies = {domain: figures["accuracy"] for domain, figures in domains.items()}
        plots.draw(folder / "images", labels, scores, accuracies, top)
        say(f"{name}: measuring the speed …")
        sample = texts[:: max(1, len(texts) // _TIMED_TEXTS)]
        speed = Speed(_speed(scorer.score, sample), _speed(pipeline.score, sample), scorer.kind)
        report.write(speed, folder / report.SPEED)
    return found


def _metrics(found: Report) -> dict[str, float]:
    figures = {figure: interval.value for figure, interval in found.overall.items()}
    return figures | {
        f"passed_{kind}": round(behaviour.share, intervals.DIGITS)
        for kind, behaviour in found.behaviours.items()
    }


def _open(directory: Path, trusted: tuple[str, ...]) -> tuple[Scorer, SklearnScorer]:
    """The model as a worker would serve it, and as scikit-learn does."""
    if not (directory / "MLmodel").is_file():
        raise InputError(
            f"{directory} is no model directory: it has no MLmodel file.",
            "`sentiment train` makes it; or run `dvc repro`.",
        )
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


def _top_ngrams(pipeline: Any) -> plots.Ngrams | None:  # noqa: ANN401 - as above
    """What the strongest n-grams add to the log-odds, before rows are brought to one length.

    By the names that scikit-learn's and our estimators give to what they have learnt; None where a
    pipeline has others. Where texts of different length have weights of their own, the mean.
    """
    names, weights = None, np.ones(1)
    for _, step in pipeline.steps:
        if names is None and hasattr(step, "get_feature_names_out"):
            names = step.get_feature_names_out().tolist()
        for learnt in ("ratio_", "idf_"):
            weights = weights * getattr(step, learnt, 1.0)
    coefficients = np.atleast_2d(getattr(pipeline.steps[-1][1], "coef_", []))
    if names is None or coefficients.shape[1] != len(names):
        return None
    weights = weights * coefficients.mean(axis=0)
    return plots.strongest(zip(names, weights.tolist(), strict=True))


def _score(score: Score, texts: Sequence[str], what: str, say: Say) -> NDArray[np.float64]:
    starts = range(0, len(texts), _BATCH)
    batches = ticking(
        (texts[start : start + _BATCH] for start in starts), say, what, total=len(texts), size=len
    )
    return np.concatenate([score(batch) for batch in batches])


def _speed(score: Score, texts: Sequence[str]) -> float:
    """Texts a second of one core's time: what others do on the machine doesn't count."""
    score(texts)
    spent = []
    for _ in range(_REPETITIONS):
        started = time.process_time()
        score(texts)
        spent.append(time.process_time() - started)
    return round(len(texts) / max(min(spent), 1e-9), 1)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of `target` when all went well."""
    part, old = (target.with_name(f".{target.name}.{state}") for state in ("part", "old"))
    for left in (part, old):
        # Of a run that was killed.
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        try:
            if target.exists():
                target.rename(old)
            part.rename(target)
        except BaseException:
            # Ctrl-C between the two renames must not cost what was there.
            if old.exists() and not target.exists():
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)
