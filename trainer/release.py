"""The release stage: the chosen candidate fitted on all texts, with its card and evaluation.

The evaluation is of its twin: the same candidate fitted on the training texts alone. The released
model is fitted on the test texts too, since more texts make a better model.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from sentiment.errors import InputError
from sentiment.model.compiled.linear import NotCompilableError
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.drift import FILE, Reference, bins, sizes
from sentiment.model.formats.format import Format
from sentiment.model.formats.mlmodel import MARK, find
from sentiment.model.scorer import THRESHOLD, Scorer
from trainer import reports, tables
from trainer.ingest import IngestReport
from trainer.judging import behaviours
from trainer.params import Params
from trainer.reports import (
    NAMES,
    NOTHING,
    Comparison,
    Report,
    Say,
    beside_the_earlier,
    ends,
    silent,
    table,
)
from trainer.train import fit, make, save


def release(  # noqa: PLR0913 - all that the stages before have left
    params: Params,
    *,
    data: Path = tables.PREPARED,
    raw: Path = tables.RAW,
    evaluation: Path = tables.EVALUATION,
    output: Path = tables.RELEASE,
    say: Say = silent,
) -> Path:
    """Fit `params.release` on all texts and save it whole or not at all.

    Returns:
        The model directory: MLflow's files, `MODEL_CARD.md`, `evaluation/` and `drift.json`. The
        same inputs give the same bytes.

    Raises:
        InputError: A previous stage is missing, or had other texts or parameters than these.
    """
    name = params.release
    candidate = make(name, params)
    tables.check_folder(output, MARK)
    train = tables.read(data / tables.TRAIN, "preprocess")
    test = tables.read(data / tables.TEST, "preprocess")
    knobs = params.candidate(name).written()
    found = reports.read(evaluation / name / tables.REPORT)
    scores = reports.read_scores(evaluation / name / reports.SCORES, len(test))
    compared = reports.read_as(evaluation / reports.COMPARISON, reports.Comparison, "evaluate")
    digests = tables.digest(train), tables.digest(test)
    for what, same in {
        f"other texts than those in {data}": (found.train_sha256, found.test_sha256) == digests,
        "a model with other parameters than those in params.yaml": found.knobs == knobs,
        "another model than the comparison": compared.overall.get(name) == found.overall,
    }.items():
        if not same:
            raise InputError(
                f"The evaluation of {name!r} is of {what}.",
                "Run `sentiment train` and `sentiment evaluate` again; or `dvc repro`.",
            )
    every = pd.concat([train, test], ignore_index=True)
    noted = reports.read_as(raw / tables.REPORT, IngestReport, "ingest")
    counts = {str(source): int(count) for source, count in every["source"].value_counts().items()}
    text = render(params, candidate.describe(), found, compared, noted, counts)
    fitted = fit(name, candidate, every, say)

    def add(directory: Path) -> None:
        (directory / tables.CARD).write_text(text, encoding="utf-8")
        file = find(directory)
        scorer = served(file.format, file.open(candidate.trusted_types))
        reports.write(training_reference(scorer, test["text"].tolist(), scores), directory / FILE)
        # What depends on the machine doesn't go with the model.
        kept = directory / tables.EVALUATION
        shutil.copytree(evaluation / name / tables.IMAGES, kept / tables.IMAGES)
        for part in (tables.REPORT, reports.SCORES):
            shutil.copyfile(evaluation / name / part, kept / part)

    save(
        fitted,
        output,
        flavour=getattr(candidate, "flavour", "sklearn"),
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


# Makes the drift reference that workers compare what they see with: see `sentiment.model.drift`.
# It is made from the twin's scores of the test texts, since a model is overconfident on texts that
# it was fitted on.


# Ten equal bins, as the population stability index is usually taken over.
SCORE_BINS = 10
# Tokens of a tweet, a paragraph, a review, a long review; each about twice the one before.
LENGTH_EDGES = (5, 10, 20, 40, 80, 160, 320, 640)
# A millionth is far below any difference of shares that matters.
_DIGITS = 6


def training_reference(
    scorer: Scorer, texts: Sequence[str], scores: NDArray[np.float64]
) -> Reference:
    """The reference of a model, from texts that the scores' model was not fitted on.

    The scorer is the model as a worker runs it, so that both count the same tokens.
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


# The model card, made from what was measured. The same evaluation gives the same bytes: no times,
# no names of machines, no paths.


# What makes the weights what they are.
LIBRARIES = ("nltk", "numpy", "scikit-learn", "scipy", "skops")

# Shown of each kind of behaviour: more is in report.json.
_FAILURES = 2

# Of a domain; the rest is in report.json.
_OF_DOMAINS = ("accuracy", "f1", "roc_auc", "calibration_error")


def render(  # noqa: PLR0913, PLR0917 - a card describes everything
    params: Params,
    description: str,
    report: Report,
    comparison: Comparison,
    noted: IngestReport,
    counts: Mapping[str, int],
) -> str:
    """The text of `MODEL_CARD.md`; `counts`: how many texts of each source are used."""
    template = Template((files("trainer") / "card.md").read_text(encoding="utf-8"))
    name, sources = params.release, params.ingest.sources
    checksums = {s.name: ", ".join(file.sha256 for file in s.inputs) for s in noted.sources}
    about = behaviours.about()
    # In the order of `behaviours.yaml`: a report that was read sorts them.
    tried = [
        (kind.replace("_", " "), about[kind], report.behaviours[kind])
        for kind in about
        if kind in report.behaviours
    ]
    failures = [f"- {kind}: {told}" for kind, _, of in tried for told in of.failures[:_FAILURES]]
    text = template.substitute(
        name=name,
        description=description.strip(),
        all_texts=f"{report.train_texts + report.test_texts:,}",
        train_texts=f"{report.train_texts:,}",
        test_texts=f"{report.test_texts:,}",
        train_sha256=report.train_sha256,
        test_sha256=report.test_sha256,
        size_mb=f"{report.size_bytes / 1e6:.1f}",
        compiled=_compiled(report),
        sources=table(
            ("source", "texts", "SHA-256"),
            (
                (f"`{s.name}`", f"{counts.get(s.name, 0):,}", f"`{checksums[s.name]}`")
                for s in sources
            ),
        ),
        about="\n\n".join(
            f"**{source.name}.** {source.about.strip()}" for source in sources if source.about
        ),
        confidence=f"{params.evaluate.confidence:.0%}",
        bootstrap=f"{params.evaluate.bootstrap:,}",
        overall=table(
            ("figure", "value", "interval"),
            (
                (called, f"{report.overall[figure].value:.4f}", ends(report.overall[figure]))
                for figure, called in NAMES.items()
            ),
        ),
        domains=_domains(report),
        comparison=beside_the_earlier(comparison),
        behaviours=table(
            ("kind", "what is right", "cases", "passed"),
            ((kind, right, f"{of.cases:,}", f"{of.share:.1%}") for kind, right, of in tried),
            left=2,
        ),
        failures="\n".join(failures) or "None failed.",
        params=yaml.safe_dump(
            {
                "preprocess": msgspec.to_builtins(params.preprocess),
                "candidates": {name: msgspec.to_builtins(params.candidate(name))},
                "evaluate": msgspec.to_builtins(params.evaluate),
            },
            sort_keys=False,
        ).strip(),
        versions=", ".join(f"{library} {version(library)}" for library in LIBRARIES),
    )
    # Where a part is empty, its place is too.
    return re.sub(r"\n{3,}", "\n\n", text)


def _domains(report: Report) -> str:
    return table(
        ("domain", *(NAMES[figure] for figure in _OF_DOMAINS)),
        (
            (
                domain,
                f"{figures['accuracy'].value:.3f} ({ends(figures['accuracy'], digits=3)})",
                *(
                    f"{figures[figure].value:.3f}" if figure in figures else NOTHING
                    for figure in _OF_DOMAINS[1:]
                ),
            )
            for domain, figures in sorted(report.domains.items())
        ),
    )


def _compiled(report: Report) -> str:
    if report.compiled_difference is None:
        library = "scikit-learn" if report.format == "sklearn" else "the library of its format"
        return f"Served by {library}. {report.not_compiled}".strip()
    return (
        "Served in its compiled form, whose scores differ from scikit-learn's by at most"
        f" {report.compiled_difference:.1e} on the test texts."
    )
