"""Tables of figures in Markdown, for the model card and the comparison of candidates."""

from collections.abc import Iterable, Mapping, Sequence

from trainer.judging.figures import NAMES
from trainer.report import Comparison, Interval

# In a cell, where there is no figure.
NOTHING = "-"

_EARLIER = """## Beside the earlier system

On film reviews. The earlier system's figures are those that were reported of it, on a subset of
film reviews that is not ours: put beside, not measured again.
"""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table; all but the first `left` columns hold numbers and stand to the right."""
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
    """A row per figure, a column per candidate or pair of them.

    Args:
        columns: By its head, the figures of each.
        earlier: What was reported of the earlier system; gets the first column.
        sign: `+` for differences.
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
