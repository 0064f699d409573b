"""What an evaluation found: read by the card, the registry's gates and people."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sentiment.errors import InputError

# Where evaluations stand, one folder per candidate; and the files in it.
EVALUATION = Path("evaluation")
REPORT = "report.json"
# P(positive) of each text of the test table, in its order; float64, NumPy's format.
SCORES = "scores.npy"
SPEED = "speed.json"
# The figures alone, without intervals and domains: for `dvc metrics`.
METRICS = "metrics.json"
# Beside the folders: all candidates compared, for programs and for people.
COMPARISON = "comparison.json"
COMPARISON_PAGE = "comparison.md"


class Interval(Struct, frozen=True):
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float


class Behaviour(Struct, frozen=True):
    """How a model did on one kind of made sentences."""

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
    # By name: accuracy, macro_accuracy, precision, recall, f1, roc_auc, log_loss,
    # calibration_error.
    overall: dict[str, Interval]
    # By domain, the same but macro_accuracy; what one class alone doesn't allow is left out.
    domains: dict[str, dict[str, Interval]]
    behaviours: dict[str, Behaviour]
    size_bytes: int
    # Largest difference from scikit-learn over all test texts; None: it could not be compiled.
    compiled_difference: float | None
    not_compiled: Annotated[str, Meta(description="Why not; empty where it could be.")] = ""


class McNemar(Struct, frozen=True):
    """On how many texts only one of two candidates is right, and what that says."""

    only_a: int
    only_b: int
    # How likely a difference at least this large is between candidates of which none is better.
    p_value: float


class Pair(Struct, frozen=True):
    """Two candidates on the same texts."""

    a: str
    b: str
    mcnemar: McNemar
    # By figure, that of a less that of b.
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
    """Texts a second on one core, on the machine of that run."""

    served: float
    sklearn: float
    scorer: str


def write(document: Struct | dict[str, float], path: Path) -> None:
    """Write a report as indented JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(document, order="sorted")) + b"\n")
    part.replace(path)


def read(path: Path) -> Report:
    """Read a candidate's report.

    Raises:
        InputError: It is missing or no such report.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path}.", "`sentiment evaluate` makes it; or run `dvc repro`."
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path} can't be read: {error}") from error
