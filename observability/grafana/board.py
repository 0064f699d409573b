"""A dashboard: rows of panels, and the variables above them."""

from dataclasses import dataclass, replace
from typing import Any

from observability.expressions import STORED, metrics_of, narrowed
from observability.grafana import panel as panels
from observability.grafana.panel import DATASOURCE, Panel

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
