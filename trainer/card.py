"""The model card, made from what was measured.

The same evaluation gives the same bytes: no times, no names of machines, no paths.
"""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from string import Template

import msgspec
import yaml
from msgspec import Struct

from trainer.judging import behaviours
from trainer.judging.figures import NAMES
from trainer.params import Params
from trainer.report import NOTHING, Behaviour, Comparison, Report, beside_the_earlier, ends, table

# What makes the weights what they are.
LIBRARIES = ("nltk", "numpy", "scikit-learn", "scipy", "skops")

# From the sources to the released model.
_COMMANDS = ("ingest", "preprocess", "train", "evaluate", "release")

# Shown of each kind of behaviour: more is in report.json.
_FAILURES = 2

# Of a domain; the rest is in report.json.
_OF_DOMAINS = ("accuracy", "f1", "roc_auc", "calibration_error")


class DataSource(Struct, frozen=True):
    """Where some of the texts came from.

    Attributes:
        name: As in `params.yaml`.
        texts: How many of its texts are used.
        sha256: Of the file or object that was read.
        about: Markdown: what it is, its licence, how to cite it; may be empty.
    """

    name: str
    texts: int
    sha256: str
    about: str = ""


def render(  # noqa: PLR0913, PLR0917 - a card tells of everything
    params: Params,
    name: str,
    description: str,
    report: Report,
    sources: Sequence[DataSource],
    comparison: Comparison | None = None,
) -> str:
    """The text of `MODEL_CARD.md`.

    Args:
        params: All knobs.
        name: The released candidate.
        description: What its `describe()` says.
        report: The evaluation of its twin, which was fitted on the training texts alone.
        sources: Where the texts came from.
        comparison: With the other candidates and the earlier system; None: left out.
    """
    template = Template((files("trainer") / "card.md").read_text(encoding="utf-8"))
    candidate = params.candidates[name]
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
            ((f"`{s.name}`", f"{s.texts:,}", f"`{s.sha256}`") for s in sources),
        ),
        about="\n\n".join(
            f"**{source.name}.** {source.about.strip()}" for source in sources if source.about
        ),
        confidence=f"{params.evaluate.confidence:.0%}",
        bootstrap=f"{params.evaluate.bootstrap:,}",
        overall=table(
            ("figure", "value", "interval"),
            (
                (people_call_it, f"{found.value:.4f}", ends(found))
                for people_call_it, found in ((NAMES[f], report.overall[f]) for f in NAMES)
            ),
        ),
        domains=_domains(report),
        comparison=beside_the_earlier(comparison) if comparison else "",
        behaviours=_behaviours(report),
        failures=_failures(report),
        commands="\n".join(f"sentiment {command}" for command in _COMMANDS),
        params=yaml.safe_dump(
            {
                "preprocess": msgspec.to_builtins(params.preprocess),
                "candidates": {name: msgspec.to_builtins(candidate)},
                "evaluate": msgspec.to_builtins(params.evaluate),
            },
            sort_keys=False,
        ).strip(),
        versions=", ".join(f"{library} {version(library)}" for library in LIBRARIES),
    )
    # Where a part is empty, its place is too.
    return re.sub(r"\n{3,}", "\n\n", text)


def summary(reports: Mapping[str, Report]) -> str:
    """For the terminal: figures and passed behaviours, a column per candidate."""
    shares = {
        kind: [f"{report.behaviours[kind].share:.1%}" for report in reports.values()]
        for kind in behaviours.about()
    }
    figures = {
        NAMES[name]: [f"{report.overall[name].value:.4f}" for report in reports.values()]
        for name in NAMES
    }
    rows = {"": list(reports), **figures, "passed:": [], **shares}
    return "\n".join(
        (f"{head.replace('_', ' '):<34}" + "".join(f"{cell:>12}" for cell in cells)).rstrip()
        for head, cells in rows.items()
    )


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


def _behaviours(report: Report) -> str:
    about = behaviours.about()
    return table(
        ("kind", "what is right", "cases", "passed"),
        (
            (kind.replace("_", " "), about[kind], f"{found.cases:,}", f"{found.share:.1%}")
            for kind, found in _in_order(report)
        ),
        left=2,
    )


def _in_order(report: Report) -> list[tuple[str, Behaviour]]:
    """Its behaviours as they stand in `behaviours.yaml`: a report that was read sorts them."""
    found = report.behaviours
    return [(kind, found[kind]) for kind in behaviours.about() if kind in found]


def _failures(report: Report) -> str:
    lines = [
        f"- {kind.replace('_', ' ')}: {failure}"
        for kind, found in _in_order(report)
        for failure in found.failures[:_FAILURES]
    ]
    return "\n".join(lines) or "None failed."


def _compiled(report: Report) -> str:
    if report.compiled_difference is None:
        library = "scikit-learn" if report.format == "sklearn" else "the library of its format"
        return f"Served by {library}. {report.not_compiled}".strip()
    return (
        "Served in its compiled form, whose scores differ from scikit-learn's by at most"
        f" {report.compiled_difference:.1e} on the test texts."
    )
