"""Reports of the stages: progress lines, JSON documents, and tables for people."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sentiment.cli import Progress
from sentiment.errors import InputError
from trainer import tables

Document = TypeVar("Document", bound=Struct)
Item = TypeVar("Item")
# Called with a line about the progress; `click.echo(line, err=True)` in the commands.
Say = Callable[[str], None]

# The files of a candidate's evaluation, beside tables.REPORT and tables.IMAGES.
# P(positive) of each text of the test table, in its order; float64, NumPy's format.
SCORES = "scores.npy"
SPEED = "speed.json"
# The figures alone, without intervals and domains: for `dvc metrics`.
METRICS = "metrics.json"
# Beside the folders: all candidates compared, for programs and for people.
COMPARISON = "comparison.json"
COMPARISON_PAGE = "comparison.md"

# Each figure and how people call it, in the order in which they are shown.
NAMES = {
    "accuracy": "accuracy",
    "macro_accuracy": "accuracy, mean of the domains",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "area under the ROC curve",
    "log_loss": "log-loss",
    "calibration_error": "expected calibration error",
}
# Of two models the one with the smaller figure is better; with all others, the larger one.
LOWER_IS_BETTER = frozenset({"log_loss", "calibration_error"})


_HINT = "`sentiment {}` makes it; or run `dvc repro`."


def silent(line: str) -> None:
    """Prints nothing; the default where no caller wants progress lines."""
    del line


def ticking(
    items: Iterable[Item],
    say: Say,
    what: str,
    *,
    total: int | None = None,
    size: Callable[[Item], int] = lambda _: 1,
) -> Iterator[Item]:
    """Pass items through, saying now and then how many there were, such as `5 of 9 texts`."""
    done, progress = 0, Progress(total, what=what, say=say)
    for item in items:
        yield item
        done += size(item)
        progress.update(done)


class Interval(Struct, frozen=True):
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float


class Behaviour(Struct, frozen=True):
    """How a model did on one kind of behaviour test."""

    cases: int
    passed: int
    # A few that failed, for people.
    failures: list[str]

    @property
    def share(self) -> float:
        """Of the cases, how many passed."""
        return self.passed / self.cases


class Report(Struct, frozen=True):
    """What is known of a candidate, but for its speed, which differs from run to run."""

    candidate: str
    train_sha256: str
    train_texts: int
    test_sha256: str
    test_texts: int
    # By the names of `NAMES`.
    overall: dict[str, Interval]
    # By domain, the same but macro_accuracy; what one class alone doesn't allow is left out.
    domains: dict[str, dict[str, Interval]]
    behaviours: dict[str, Behaviour]
    size_bytes: int
    # Largest difference from scikit-learn over all test texts; None: it was not compiled.
    compiled_difference: float | None
    # Why not; empty where it could be.
    not_compiled: str = ""
    # The candidate's part of params.yaml that the model was made with, as JSON; empty: not known.
    knobs: str = ""
    # The flavour in its MLmodel.
    format: str = "sklearn"


class McNemar(Struct, frozen=True):
    """On how many texts only one of two candidates is right, and how likely such a difference is.

    Between candidates of which none is better, that is.
    """

    only_a: int
    only_b: int
    p_value: float


class Pair(Struct, frozen=True):
    """Two candidates on the same texts; differences are the figures of a less those of b."""

    a: str
    b: str
    mcnemar: McNemar
    differences: dict[str, Interval]


class Comparison(Struct, frozen=True):
    """The candidates side by side, and beside the earlier system's reported figures."""

    test_sha256: str
    test_texts: int
    # Reported of the earlier system, on film reviews that are not ours.
    earlier: dict[str, float]
    # By candidate: the figures of all texts, and those of film reviews (none: no such texts).
    overall: dict[str, dict[str, Interval]]
    films: dict[str, dict[str, Interval]]
    pairs: list[Pair]


class Speed(Struct, frozen=True):
    """Texts a second on one core, on the machine of that run: as served, and not compiled."""

    served: float
    uncompiled: float
    scorer: str


def write(document: Struct | dict[str, float], path: Path) -> None:
    """Write a report as indented JSON, whole or not at all."""
    with tables.file(path) as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(document, order="sorted")) + b"\n")


def read(path: Path) -> Report:
    """Read a candidate's report; see `read_as`."""
    return read_as(path, Report, "evaluate")


def read_as(path: Path, kind: type[Document], stage: str) -> Document:
    """Read a report that a stage has written by `write`.

    Raises:
        InputError: It is missing or something else.
    """
    hint = _HINT.format(stage)
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.", hint) from None
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path} can't be read: {error}", hint) from error


def read_scores(path: Path, texts: int) -> NDArray[np.float64]:
    """Read the scores of an evaluation, of so many texts; shape (texts,).

    Raises:
        InputError: They are missing, or not of so many texts.
    """
    hint = _HINT.format("evaluate")
    try:
        # Mapped: its length is compared with what its head says before any memory is taken for it.
        mapped = np.lib.format.open_memmap(path, mode="r")
        scores: NDArray[np.float64] = mapped.astype(np.float64, casting="no")
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} can't be read: {error}", hint) from error
    if scores.shape != (texts,):
        raise InputError(f"{path} has {scores.size:,} scores for {texts:,} texts.", hint)
    return scores


# Tables of figures in Markdown, for the model card and the comparison of candidates.

# In a cell, where there is no figure.
NOTHING = "-"

_EARLIER = """## Beside the earlier system

On film reviews. The earlier system's figures are those that were reported of it, on a subset of
film reviews that is not ours: put beside, not measured again.
"""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table; all but the first `left` columns hold numbers and are aligned to the right."""
    head, *lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([head, "|" + "---|" * left + "--:|" * (len(header) - left), *lines])


def ends(interval: Interval, sign: str = "", digits: int = 4) -> str:
    """The ends of an interval; `sign` is `+` for differences."""
    return f"{interval.low:{sign}.{digits}f} to {interval.high:{sign}.{digits}f}"


def side_by_side(
    columns: Mapping[str, Mapping[str, Interval]],
    earlier: Mapping[str, float] | None = None,
    sign: str = "",
) -> str:
    """A row per figure, a column per candidate or pair of them, by its head.

    `earlier`, what was reported of the earlier system, gets the first column. `sign` is `+` for
    differences.
    """
    cells = {
        head: [
            f"{figures[name].value:{sign}.4f} ({ends(figures[name], sign)})"
            if name in figures
            else NOTHING
            for name in NAMES
        ]
        for head, figures in columns.items()
    }
    if earlier is not None:
        reported = [f"{earlier[name]:.2f}" if name in earlier else NOTHING for name in NAMES]
        cells = {"earlier system, as reported": reported, **cells}
    rows = zip(NAMES.values(), *cells.values(), strict=True)
    return table(("figure", *cells), (row for row in rows if set(row[1:]) != {NOTHING}))


def beside_the_earlier(comparison: Comparison) -> str:
    """A section with the earlier system's figures; empty where there are no film reviews."""
    if not comparison.films:
        return ""
    return f"{_EARLIER}\n{side_by_side(comparison.films, comparison.earlier)}\n"
