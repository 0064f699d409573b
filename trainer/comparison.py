"""Candidates compared: with each other on the same texts, and beside the earlier system."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from sentiment.errors import InputError
from trainer import layout, report, tables, writing
from trainer.judging import intervals
from trainer.judging.figures import THRESHOLD, labels_of
from trainer.markdown import beside_the_earlier, side_by_side, table
from trainer.params import Evaluate
from trainer.progress import Say, silent
from trainer.report import Comparison, Pair

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
    output: Path = layout.EVALUATION,
    say: Say = silent,
) -> Comparison:
    """Compare evaluated candidates with each other, and put them beside the earlier system.

    Writes `comparison.json` and `comparison.md`.

    Args:
        names: The candidates; each is compared with all before it.
        test: The texts that all of them were judged by.
        params: As for `evaluate`.
        output: Where their evaluations stand.
        say: Told what is being done.

    Raises:
        InputError: A candidate was not evaluated, or on other texts.
    """
    labels, domains = labels_of(test), test["domain"].to_numpy(object)
    sha256 = tables.digest(test)
    reports = {name: report.read(output / name / layout.REPORT) for name in names}
    for name, read in reports.items():
        if read.test_sha256 != sha256:
            raise InputError(
                f"{output / name / layout.REPORT} is about other texts than the test table.",
                f"Run `sentiment evaluate {name}` again, or `dvc repro`.",
            )
    scores = {name: report.read_scores(output / name / report.SCORES, len(test)) for name in names}
    pairs = []
    for b, a in combinations(names, 2):
        say(f"Comparing {a} with {b} …")
        decided_a, decided_b = scores[a] >= THRESHOLD, scores[b] >= THRESHOLD
        pairs.append(
            Pair(
                a,
                b,
                intervals.mcnemar(labels, decided_a, decided_b),
                intervals.differences(labels, domains, scores[a], scores[b], params),
            )
        )
    compared = Comparison(
        test_sha256=sha256,
        test_texts=len(test),
        earlier=EARLIER,
        overall={name: read.overall for name, read in reports.items()},
        films={
            name: read.domains[FILMS] for name, read in reports.items() if FILMS in read.domains
        },
        pairs=pairs,
    )
    with writing.file(output / report.COMPARISON_PAGE) as page:
        page.write_text(render(compared, params), encoding="utf-8")
    report.write(compared, output / report.COMPARISON)
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
                (
                    pair.a,
                    pair.b,
                    f"{pair.mcnemar.only_a:,}",
                    f"{pair.mcnemar.only_b:,}",
                    f"{pair.mcnemar.p_value:.2g}",
                )
                for pair in comparison.pairs
            ),
            left=2,
        ),
        differences=side_by_side(
            {f"{pair.a} less {pair.b}": pair.differences for pair in comparison.pairs}, sign="+"
        ),
    )
