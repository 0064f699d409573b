"""The evaluate stage: how good each candidate is on texts that it never saw, and which is better.

`evaluation/<name>/` gets `report.json` and `scores.npy` (see `trainer.reports`), `metrics.json` and
`plots/` for DVC, `images/`, and `speed.json`; `evaluation/` gets the comparison of all. But for the
speed, the same model and texts give the same bytes.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sentiment.errors import InputError
from sentiment.model.compiled.linear import NotCompilableError
from sentiment.model.formats.mlmodel import ModelFile, find, metadata
from sentiment.model.formats.scikit_learn import SklearnScorer
from sentiment.model.scorer import THRESHOLD, Scorer
from sentiment.registry.artifact import open_model
from trainer import reports, tables
from trainer.judging import behaviours, figures, plots
from trainer.judging.figures import labels_of
from trainer.params import Evaluate
from trainer.reports import (
    Comparison,
    Pair,
    Report,
    Say,
    Speed,
    beside_the_earlier,
    side_by_side,
    silent,
    table,
)
from trainer.train import require


def evaluate(  # noqa: PLR0913 - what is judged, on what, how, and where it goes
    name: str,
    model_directory: Path,
    test: pd.DataFrame,
    train: pd.DataFrame,
    params: Evaluate,
    *,
    output: Path = tables.EVALUATION,
    trusted: tuple[str, ...] = (),
    say: Say = silent,
) -> Report:
    """Judge a candidate, and write what was found to `output/name/`, whole or not at all.

    `test` and `train` have the columns of `trainer.tables`; `train` is what it was fitted on.
    Classes of the candidate's own in its file are `trusted`: a worker refuses these, so such a
    candidate is judged by the answers of its own library alone.

    Raises:
        InputError: There is no model directory, it was fitted on other texts, the test table is
            empty or of one class only, or something else stands where the result goes.
        ModelRefusedError: A worker would refuse the model.
    """
    labels = labels_of(test)
    tables.check_folder(output / name, tables.REPORT)
    say(f"{name}: opening {model_directory} …")
    require(model_directory, "train")
    file = find(model_directory)
    # As its own library serves it, and as a worker would.
    by_itself = file.open(trusted)
    scorer = by_itself if trusted else open_model(model_directory)
    noted, train_sha256 = metadata(model_directory), tables.digest(train)
    if noted.get("train_sha256", train_sha256) != train_sha256:
        raise InputError(
            f"{model_directory} was fitted on other texts than those of the training table.",
            f"Run `sentiment train {name}` again, or `dvc repro`.",
        )
    texts: list[str] = test["text"].tolist()
    scores = figures.scores(scorer.score, texts, f"texts scored by {name}", say)
    compiled_difference = None
    if scorer.kind == "compiled":
        what = f"texts scored by {name} in scikit-learn"
        uncompiled = figures.scores(by_itself.score, texts, what, say)
        compiled_difference = float(np.abs(scores - uncompiled).max())
    top = strongest(by_itself.pipeline) if isinstance(by_itself, SklearnScorer) else None
    say(f"{name}: {params.bootstrap:,} resamplings, behaviours and plots …")
    overall, domains = figures.bootstrap(labels, test["domain"].to_numpy(object), scores, params)
    found = Report(
        candidate=name,
        train_sha256=train_sha256,
        train_texts=len(train),
        test_sha256=tables.digest(test),
        test_texts=len(test),
        overall=overall,
        domains=domains,
        behaviours=behaviours.run(scorer.score),
        size_bytes=file.path.stat().st_size,
        compiled_difference=compiled_difference,
        not_compiled=_why_not_compiled(file, scorer, by_itself, trusted),
        knobs=noted.get("knobs", ""),
        format=file.format.flavour,
    )
    with tables.folder(output / name) as folder:
        reports.write(found, folder / tables.REPORT)
        metrics = {figure: interval.value for figure, interval in found.overall.items()}
        metrics |= {
            f"passed_{kind}": round(behaviour.share, figures.DIGITS)
            for kind, behaviour in found.behaviours.items()
        }
        reports.write(metrics, folder / reports.METRICS)
        np.save(folder / reports.SCORES, scores)
        plots.write_tables(folder / "plots", labels, scores, top)
        accuracies = {domain: measured["accuracy"] for domain, measured in domains.items()}
        plots.draw(folder / tables.IMAGES, labels, scores, accuracies, top)
        say(f"{name}: measuring the speed …")
        served, plain = figures.speeds([scorer.score, by_itself.score], figures.sample(texts))
        reports.write(Speed(served, plain, scorer.kind), folder / reports.SPEED)
    return found


def _why_not_compiled(
    file: ModelFile, scorer: Scorer, by_itself: Scorer, trusted: tuple[str, ...]
) -> str:
    if scorer.kind == "compiled":
        return ""
    if not file.format.compiles:
        return f"Models of the format {file.format.flavour!r} have no compiled form."
    if trusted:
        return f"Workers refuse its own types: {', '.join(trusted)}."
    try:
        file.format.compile(by_itself)
    except NotCompilableError as error:
        return f"It can't be compiled: {error}."
    return "It was not compiled."


# What a pipeline has learnt of single n-grams. By the names that scikit-learn's and our
# estimators give to what they have learnt, so that it works for any pipeline that uses them.


def strongest(pipeline: Any) -> plots.Ngrams | None:  # noqa: ANN401 - sklearn has no types
    """What the strongest n-grams add to the log-odds, before rows are brought to one length.

    Where texts of different length have weights of their own, the mean. None where a pipeline has
    no weight for each n-gram.
    """
    steps = [step for _, step in pipeline.steps]
    counts = next((step for step in steps if hasattr(step, "get_feature_names_out")), None)
    names = [] if counts is None else counts.get_feature_names_out().tolist()
    weights, coefficients = np.ones(1), np.atleast_2d(getattr(steps[-1], "coef_", []))
    if not names or coefficients.shape[1] != len(names):
        return None
    for step in steps:
        for learnt in ("ratio_", "idf_"):
            weights = weights * getattr(step, learnt, 1.0)
    weights = weights * coefficients.mean(axis=0)
    return plots.strongest(zip(names, weights.tolist(), strict=True))


# Candidates compared: with each other on the same texts, and beside the earlier system.


# What was reported of the earlier system, on a subset of film reviews that is not ours.
EARLIER = {"accuracy": 0.85, "precision": 0.90, "recall": 0.72, "f1": 0.80}
# The domain that compares to it.
FILMS = "imdb"

_PAGE = """# Candidates compared

On {texts:,} test texts (SHA-256 `{sha256}`), which none of them saw. Intervals hold
{confidence:.0%} of {bootstrap:,} bootstrap resamplings.

## All texts

{overall}

{earlier}
## One against the other

On how many texts only one of the two is right, and McNemar's test of that (mid-p):

{pairs}

By how much each figure of the first is above that of the second, on the same resamplings. Of
log-loss and calibration error, less is better.

{differences}
"""


def compare(
    names: Sequence[str],
    test: pd.DataFrame,
    params: Evaluate,
    output: Path = tables.EVALUATION,
    say: Say = silent,
) -> Comparison:
    """Compare evaluated candidates with each other, and put them beside the earlier system.

    Writes `comparison.json` and `comparison.md`. Each candidate is compared with all before it.

    Raises:
        InputError: A candidate was not evaluated, or on other texts.
    """
    labels, domains = labels_of(test), test["domain"].to_numpy(object)
    sha256 = tables.digest(test)
    judged = {name: reports.read(output / name / tables.REPORT) for name in names}
    for name, found in judged.items():
        if found.test_sha256 != sha256:
            raise InputError(
                f"{output / name / tables.REPORT} is about other texts than the test table.",
                f"Run `sentiment evaluate {name}` again, or `dvc repro`.",
            )
    scores = {
        name: reports.read_scores(output / name / reports.SCORES, len(test)) for name in names
    }
    pairs = []
    for b, a in combinations(names, 2):
        say(f"Comparing {a} with {b} …")
        tested = figures.mcnemar(labels, scores[a] >= THRESHOLD, scores[b] >= THRESHOLD)
        differences = figures.differences(labels, domains, scores[a], scores[b], params)
        pairs.append(Pair(a, b, tested, differences))
    compared = Comparison(
        test_sha256=sha256,
        test_texts=len(test),
        earlier=EARLIER,
        overall={name: found.overall for name, found in judged.items()},
        films={
            name: found.domains[FILMS] for name, found in judged.items() if FILMS in found.domains
        },
        pairs=pairs,
    )
    with tables.file(output / reports.COMPARISON_PAGE) as page:
        page.write_text(render(compared, params), encoding="utf-8")
    reports.write(compared, output / reports.COMPARISON)
    return compared


def render(comparison: Comparison, params: Evaluate) -> str:
    """The text of `comparison.md`."""
    return _PAGE.format(
        texts=comparison.test_texts,
        sha256=comparison.test_sha256,
        confidence=params.confidence,
        bootstrap=params.bootstrap,
        overall=side_by_side(comparison.overall),
        earlier=beside_the_earlier(comparison),
        pairs=table(
            ("first", "second", "only first right", "only second right", "p"),
            (
                (pair.a, pair.b, f"{test.only_a:,}", f"{test.only_b:,}", f"{test.p_value:.2g}")
                for pair in comparison.pairs
                for test in [pair.mcnemar]
            ),
            left=2,
        ),
        differences=side_by_side(
            {f"{pair.a} less {pair.b}": pair.differences for pair in comparison.pairs}, sign="+"
        ),
    )


def summary(found: Mapping[str, Report]) -> str:
    """For the terminal: figures and passed behaviours, a column per candidate."""
    shares = {
        kind: [f"{report.behaviours[kind].share:.1%}" for report in found.values()]
        for kind in behaviours.about()
    }
    figures = {
        reports.NAMES[name]: [f"{report.overall[name].value:.4f}" for report in found.values()]
        for name in reports.NAMES
    }
    rows = {"": list(found), **figures, "passed:": [], **shares}
    return "\n".join(
        (f"{head.replace('_', ' '):<34}" + "".join(f"{cell:>12}" for cell in cells)).rstrip()
        for head, cells in rows.items()
    )
