"""What an evaluation looks like: small tables that DVC plots, and images for MLflow and people.

The same inputs give the same bytes: images carry no time and no version, curves are thinned by
rule.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from heapq import nlargest, nsmallest
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from sentiment.model.scorer import THRESHOLD
from trainer.judging.figures import Labels, Scores, calibration
from trainer.reports import Interval

# N-grams and their weights, the most negative first.
Ngrams = Sequence[tuple[str, float]]

# A curve of 200 points looks like one of 20,000.
_POINTS = 200
# Of the table of the confusion matrix. DVC's template counts rows and keeps them all in its page,
# so each row stands for a thousandth of the texts.
_ROWS = 1000
# Of each sign in the image: more can't be read.
_NGRAMS = 20
# Sharp on a page, and some 40 kB a file.
_DPI = 130

_CLASSES = ("negative", "positive")
_BLUE, _RED, _GREY, _LIGHT, _INK = "#2166ac", "#b2182b", "#8a8a8a", "#dddddd", "#222222"


def write_tables(folder: Path, labels: Labels, scores: Scores, top: Ngrams | None = None) -> None:
    """Write the tables for `plots:` in dvc.yaml; of n-grams where `top` (see `strongest`) is given.

    A row of `confusion.csv` stands for a thousandth of the texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, tuple[Sequence[str], Iterable[Iterable[object]]]] = {
        "confusion": (("actual", "predicted"), _confusion_rows(labels, scores)),
        "roc": (("false_positive_rate", "true_positive_rate"), roc(labels, scores)),
        "precision_recall": (("recall", "precision"), precision_recall(labels, scores)),
        "reliability": (("score", "positive", "texts"), calibration(labels, scores)),
    }
    if top is not None:
        made["top_ngrams"] = ("ngram", "weight"), top
    for name, (header, rows) in made.items():
        # Six digits: the rest differs between machines and shows in no plot.
        pd.DataFrame(list(rows), columns=list(header)).to_csv(
            folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n"
        )


def draw(
    folder: Path,
    labels: Labels,
    scores: Scores,
    domains: Mapping[str, Interval],
    top: Ngrams | None = None,
) -> None:
    """Draw an image of each table, and `domains.png` of the accuracy in each domain."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "confusion": _draw_confusion(labels, scores),
        "roc": _draw_roc(labels, scores),
        "precision_recall": _draw_precision_recall(labels, scores),
        "reliability": _draw_reliability(labels, scores),
        "domains": _draw_domains(domains),
    }
    if top is not None:
        figures["top_ngrams"] = _draw_ngrams(top)
    for name, figure in figures.items():
        # Without `Software`, the file would name the version that drew it.
        figure.savefig(folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})


def strongest(weights: Iterable[tuple[str, float]]) -> Ngrams:
    """Of the n-grams with weights on either side of zero, those with the largest, in order."""
    listed = [(weight, name) for name, weight in weights]
    negative = [pair for pair in nsmallest(_NGRAMS, listed) if pair[0] < 0]
    positive = [pair for pair in nlargest(_NGRAMS, listed) if pair[0] > 0]
    return [(name, weight) for weight, name in negative + positive[::-1]]


def roc(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """Points (false positive rate, true positive rate), thinned; shape (points, 2)."""
    false_rate, true_rate, _ = roc_curve(labels, scores, drop_intermediate=False)
    return _thinned(np.column_stack([false_rate, true_rate]))


def precision_recall(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """Points (recall, precision) from the least recall up, thinned; shape (points, 2)."""
    precision, recall, _ = precision_recall_curve(labels, scores)
    return _thinned(np.column_stack([recall, precision])[::-1])


def _thinned(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points evenly spread over the texts, the first and the last among them."""
    kept = np.linspace(0, len(curve) - 1, min(len(curve), _POINTS)).round().astype(np.int64)
    return curve[kept]


def _confusion_rows(labels: Labels, scores: Scores) -> list[tuple[str, str]]:
    shares = confusion_matrix(labels, scores >= THRESHOLD, labels=[0, 1]) / len(labels)
    # The running sum is rounded, not each share, so that all rows together are as many as wanted.
    ends = np.rint(shares.ravel().cumsum() * _ROWS).astype(int)
    counts = np.diff(ends, prepend=0)
    cells = product(_CLASSES, _CLASSES)
    return [cell for cell, count in zip(cells, counts, strict=True) for _ in range(count)]


def _axes(width: float, height: float, title: str, x: str, y: str) -> tuple[Figure, Axes]:
    # Not by pyplot, which keeps figures and settings for the whole process.
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _style(axes, x, y)
    axes.set_title(title, fontsize=12, color=_INK, loc="left", pad=10)
    return figure, axes


def _style(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, color=_INK)
    axes.set_ylabel(y, color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GREY)
    axes.tick_params(color=_GREY, labelcolor=_INK, labelsize=9)
    axes.grid(color=_LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)


def _diagonal(axes: Axes, x: float, y: float, text: str) -> None:
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--")
    axes.text(x, y, text, color=_GREY, fontsize=9, rotation=45, va="top")


def _draw_confusion(labels: Labels, scores: Scores) -> Figure:
    counts = confusion_matrix(labels, scores >= THRESHOLD, labels=[0, 1])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _axes(4.6, 4.4, "Confusion matrix", "called", "is")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        colour = "white" if share > 0.6 else _INK  # noqa: PLR2004 - readable on the map's blue
        axes.text(column, row - 0.06, f"{share:.1%}", ha="center", color=colour, fontsize=17)
        axes.text(column, row + 0.17, f"{count:,} texts", ha="center", color=colour, fontsize=9)
    axes.set_xticks([0, 1], _CLASSES)
    axes.set_yticks([0, 1], _CLASSES, rotation=90, va="center")
    axes.tick_params(length=0)
    return figure


def _draw_roc(labels: Labels, scores: Scores) -> Figure:
    x, y = "false positive rate", "true positive rate (recall)"
    figure, axes = _axes(4.8, 4.8, "ROC curve", x, y)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    _diagonal(axes, 0.52, 0.47, "chance")
    axes.plot(*roc(labels, scores).T, color=_BLUE, linewidth=2, clip_on=False)
    return figure


def _draw_precision_recall(labels: Labels, scores: Scores) -> Figure:
    figure, axes = _axes(4.8, 4.8, "Precision and recall", "recall", "precision")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    base = float(np.mean(labels))
    axes.axhline(base, color=_GREY, linewidth=1, linestyle="--")
    axes.text(0.02, base - 0.02, "all called positive", color=_GREY, fontsize=9, va="top")
    axes.plot(*precision_recall(labels, scores).T, color=_BLUE, linewidth=2, clip_on=False)
    return figure


def _draw_reliability(labels: Labels, scores: Scores) -> Figure:
    figure = Figure(figsize=(4.8, 5.8), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    mean, positive, texts = np.array(list(calibration(labels, scores))).T
    _style(above, "", "share of positive texts")
    above.set_title("Reliability", fontsize=12, color=_INK, loc="left", pad=10)
    above.set(xlim=(0, 1), ylim=(0, 1))
    _diagonal(above, 0.56, 0.52, "as it should be")
    above.plot(mean, positive, color=_BLUE, linewidth=1.5, marker="o", markersize=5, clip_on=False)
    _style(below, "score (probability of positive)", "texts")
    below.bar(mean, texts, width=0.04, color=_BLUE)
    below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return figure


def _draw_domains(domains: Mapping[str, Interval]) -> Figure:
    # The best on top; names decide between equals, for the same image each time.
    ordered = sorted(domains.items(), key=lambda item: (item[1].value, item[0]))
    height = 1.2 + 0.22 * len(ordered)
    figure, axes = _axes(6.4, height, "Accuracy by domain, with intervals", "", "")
    axes.grid(visible=False, axis="y")
    for row, (_, interval) in enumerate(ordered):
        axes.plot([interval.low, interval.high], [row, row], color=_BLUE, alpha=0.35, linewidth=4)
    axes.plot([i.value for _, i in ordered], range(len(ordered)), "o", color=_BLUE, markersize=5)
    axes.set_yticks(range(len(ordered)), [name for name, _ in ordered])
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def _draw_ngrams(top: Ngrams) -> Figure:
    height = 1.2 + 0.2 * len(top)
    figure, axes = _axes(6.4, height, "N-grams with the largest weights", "weight", "")
    axes.grid(visible=False, axis="y")
    weights = [weight for _, weight in top]
    colours = [_RED if weight < 0 else _BLUE for weight in weights]
    axes.barh(range(len(top)), weights, 0.72, color=colours)
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.set_yticks(range(len(top)), [_drawable(name) for name, _ in top], parse_math=False)
    axes.set_ylim(-0.7, len(top) - 0.3)
    return figure


def _drawable(text: str) -> str:
    """Characters that the font lacks, by their names: "😍" as "smiling face with …"."""
    return "".join(
        char
        if ord(char) in _characters()
        else f"<{unicodedata.name(char, f'U+{ord(char):04X}').lower()}>"
        for char in text
    )


@cache
def _characters() -> Mapping[int, int]:
    """What the font can draw; it comes with matplotlib and so is the same everywhere."""
    return FT2Font(findfont("DejaVu Sans")).get_charmap()
