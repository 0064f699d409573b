"""A dashboard: rows of panels, and the variables above them."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from observability.grafana import panel as panels
from observability.grafana.panel import DATASOURCE, Panel
from sentiment import apps
from sentiment.metrics import Metric

# Grafana's grid.
WIDTH = 24
# Grafana 11's; later ones bring it up to their own when they load it.
SCHEMA = 39

# The variables above a dashboard, and each series by them where it has the label.
VARIABLES = {"job": "$job", "instance": "$instance", "topic": "$topic"}


@dataclass(frozen=True)
class Row:
    """Panels under a heading, set from left to right as they find room."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """A dashboard.

    Attributes:
        name: Of its file; with `sentiment-` before it, its address in Grafana, which stays.
        title: Its heading.
        description: What it is for.
        known_by: Metrics that each of the apps it shows has, for the choice of jobs and instances.
        rows: From top to bottom.
        marks: PromQL by name; where it has a value, a line is drawn through all panels.
    """

    name: str
    title: str
    description: str
    known_by: tuple[str, ...]
    rows: tuple[Row, ...]
    marks: dict[str, str]


def render(board: Board) -> dict[str, Any]:
    """A dashboard as JSON.

    Raises:
        ValueError: A panel names a metric or a label that doesn't exist.
    """
    return {
        "uid": f"sentiment-{board.name}",
        "title": board.title,
        "description": board.description,
        "tags": ["sentiment"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": _variables(board)},
        "annotations": {"list": [_mark(name, query) for name, query in board.marks.items()]},
        "links": [
            {
                "type": "dashboards",
                "title": "Sentiment",
                "tags": ["sentiment"],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "panels": _placed(board),
    }


def _placed(board: Board) -> list[dict[str, Any]]:
    """Rows and panels, each at its place of the grid."""
    placed: list[dict[str, Any]] = []
    y = 0
    for row in board.rows:
        grid = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, **heading, "gridPos": grid})
        y += 1
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            own = replace(panel, queries={k: _checked(q) for k, q in panel.queries.items()})
            placed.append(panels.render(own, len(placed) + 1, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return placed


def _checked(query: str) -> str:
    metrics_of(query)
    return narrowed(query, VARIABLES)


def _variables(board: Board) -> list[dict[str, Any]]:
    metrics_of(" + ".join(board.known_by))
    known = "|".join(board.known_by)
    queries = {
        "job": f'label_values({{__name__=~"{known}"}}, job)',
        "instance": f'label_values({{__name__=~"{known}", job=~"$job"}}, instance)',
    }
    for name in board.known_by:
        if "topic" in STORED[name].labels:
            queries["topic"] = f'label_values({name}{{job=~"$job"}}, topic)'
    source = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }
    return [source, *(_variable(name, query) for name, query in queries.items())]


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _mark(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "enable": True,
        "datasource": DATASOURCE,
        "expr": _checked(query),
        "titleFormat": name,
        "textFormat": "{{instance}}",
        "step": "10s",
        "iconColor": "purple",
    }


# Which series an expression of PromQL names, held against the table of metrics.


# What Prometheus adds to every series when it scrapes one.
ADDED = {"job", "instance"}
KEYWORDS = {
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "by",
    "without",
    "on",
    "ignoring",
    "inf",
    "nan",
}

STRING = re.compile(r'"[^"]*"')
RANGE = re.compile(r"\[[^\]]*\]")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# A name that is no function, with what stands in its braces.
SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def _stored() -> dict[str, Metric]:
    """The names under which Prometheus stores the samples of each metric."""
    stored: dict[str, Metric] = {}
    for metric in apps.metrics():
        suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        stored |= {metric.name + suffix: metric for suffix in suffixes}
    return stored


STORED = _stored()


def metrics_of(expression: str, recorded: Collection[str] = ()) -> set[str]:
    """The names of the series that an expression reads.

    Args:
        expression: PromQL; Grafana's variables may stand in it.
        recorded: Names of recording rules, which may be read as well.

    Raises:
        ValueError: A name is no metric of the table, or a label is none of its metric's.
    """
    bare = RANGE.sub("", STRING.sub("", expression))
    allowed, names = set[str](), set[str]()
    for name, matchers in SELECTOR.findall(GROUPING.sub("", bare)):
        if name in KEYWORDS or name in recorded:
            names |= {name} - KEYWORDS
            continue
        if name not in STORED:
            raise ValueError(f"{name!r} is no metric of the table: {expression}")
        own = {*STORED[name].labels, *ADDED, *(["le"] if name.endswith("_bucket") else [])}
        if strange := set(MATCHER.findall(matchers)) - own:
            raise ValueError(f"{name!r} has no label {strange}: {expression}")
        names.add(name)
        allowed |= own
    grouped = {label for labels in GROUPING.findall(bare) for label in re.findall(r"\w+", labels)}
    if names.isdisjoint(recorded) and (strange := grouped - allowed):
        raise ValueError(f"No metric here has the label {strange}: {expression}")
    return names


def narrowed(expression: str, matchers: dict[str, str]) -> str:
    """An expression with further matchers on each series that has the label.

    Args:
        expression: One that `metrics_of` lets pass.
        matchers: Regular expressions by label.
    """

    def narrow(found: re.Match[str]) -> str:
        labels = {*STORED[found[1]].labels, *ADDED}
        own = [f'{label}=~"{value}"' for label, value in matchers.items() if label in labels]
        return found[1] + "{" + ", ".join([*own, *([found[2]] if found[2] else [])]) + "}"

    # The longest name first: some begin with another one.
    names = "|".join(sorted(STORED, key=len, reverse=True))
    return re.sub(rf"\b({names})\b(?:\{{([^}}]*)\}})?", narrow, expression)
