"""A dashboard as Grafana's JSON: rows of panels, held against the table of metrics."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sentiment import apps

Kind = Literal["timeseries", "stat", "heatmap", "table"]

WIDTH = 24
# Grafana 11's; later ones bring it up to their own when they load it.
SCHEMA = 39

# The variables above a dashboard, and each series by them where it has the label.
VARIABLES = {"job": "$job", "instance": "$instance", "topic": "$topic"}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# In Grafana's units of about 30 pixels: a figure with its little chart, and a chart to read from.
HEIGHTS: dict[Kind, int] = {"stat": 4, "timeseries": 8, "heatmap": 8, "table": 8}


@dataclass(frozen=True)
class Panel:
    """What a panel shows."""

    title: str
    # What it means and what to make of it; shown at the panel's corner.
    description: str
    # PromQL by legend, which may name labels, as in `{{instance}}`.
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 8
    kind: Kind = "timeseries"
    # From which value on it is yellow, and red; fewer or none is fine.
    limits: tuple[float, ...] = ()
    # The axis' end, where the unit has one.
    most: float | None = None
    # Whether the series add up to something.
    stack: bool = False
    colors: Mapping[str, str] = field(default_factory=dict)


def stat(  # noqa: PLR0913, PLR0917 - a line of a table
    title: str, description: str, legend: str, query: str, unit: str, limits: tuple[float, ...] = ()
) -> Panel:
    """A figure with its little chart."""
    return Panel(title, description, {legend: query}, unit, 4, "stat", limits)


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        _target(panel, chr(ord("A") + index), legend, _checked(query))
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    colors = [
        {
            "matcher": {"id": "byName", "options": legend},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for legend, color in panel.colors.items()
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"h": HEIGHTS[panel.kind], "w": panel.width, "x": x, "y": y},
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": colors},
        "options": _options(panel),
        **({"transformations": _ONLY_LABELS} if panel.kind == "table" else {}),
    }


# The labels are what a table of `…_info` tells: its value is always 1.
_ONLY_LABELS = [
    {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True, "job": True}}}
]


def _target(panel: Panel, letter: str, legend: str, query: str) -> dict[str, Any]:
    form = {"heatmap": "heatmap", "table": "table"}.get(panel.kind, "time_series")
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": query,
        "legendFormat": "{{le}}" if panel.kind == "heatmap" else legend,
        "format": form,
        "instant": panel.kind == "table",
        "range": panel.kind != "table",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    for color, value in zip(("yellow", "red"), panel.limits, strict=False):
        steps.append({"color": color, "value": value})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
    }
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1 if panel.stack else 2,
            "fillOpacity": 60 if panel.stack else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stack else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"},
        }
    return defaults


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {
            "colorMode": "value",
            "graphMode": "area",
            "textMode": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    if panel.kind == "heatmap":
        return {
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Blues", "steps": 64},
            "yAxis": {"unit": panel.unit},
            "tooltip": {"mode": "single", "yHistogram": True},
            "legend": {"show": True},
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    # Of its file; with `sentiment-` before it, its address in Grafana, which stays.
    name: str
    title: str
    description: str
    # Metrics that each of the apps it shows has, for the choice of jobs and instances.
    known_by: tuple[str, ...]
    # By heading, from top to bottom; a row's panels are set from left to right as they fit.
    rows: Mapping[str, tuple[Panel, ...]]
    # PromQL by name; where it has a value, a line is drawn through all panels.
    marks: Mapping[str, str] = field(default_factory=dict)


def render(board: Board) -> dict[str, Any]:
    """A dashboard as JSON; a `ValueError` where it names a metric or a label that doesn't exist."""
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
    placed: list[dict[str, Any]] = []
    y = 0
    for title, row in board.rows.items():
        grid = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        heading = {"type": "row", "title": title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, **heading, "gridPos": grid})
        y += 1
        x = tallest = 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            placed.append(_panel(panel, len(placed) + 1, x, y))
            x, tallest = x + panel.width, max(tallest, HEIGHTS[panel.kind])
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


# What Prometheus adds to every series when it scrapes one.
ADDED = {"job", "instance"}
WORDS = "and or unless bool offset by without on ignoring inf nan"
KEYWORDS = frozenset(WORDS.split())

STRING = re.compile(r'"[^"]*"')
RANGE = re.compile(r"\[[^\]]*\]")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# A name that is no function, with what stands in its braces.
SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


# By the names under which Prometheus stores their samples.
STORED = {
    metric.name + suffix: metric
    for metric in apps.metrics()
    for suffix in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
}


def metrics_of(expression: str, recorded: Collection[str] = ()) -> set[str]:
    """The names of the series that an expression of PromQL reads.

    Grafana's variables and the names of `recorded` rules may stand in it. A `ValueError`: a name is
    no metric of the table, or a label is none of its metric's.
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
    """An expression with further matchers (expressions by label) where a series has the label."""

    def narrow(found: re.Match[str]) -> str:
        labels = {*STORED[found[1]].labels, *ADDED}
        own = [f'{label}=~"{value}"' for label, value in matchers.items() if label in labels]
        return found[1] + "{" + ", ".join([*own, *([found[2]] if found[2] else [])]) + "}"

    # The longest name first: some begin with another one.
    names = "|".join(sorted(STORED, key=len, reverse=True))
    return re.sub(rf"\b({names})\b(?:\{{([^}}]*)\}})?", narrow, expression)


# Grafana's own: at least four scrapes, so that a rate never lacks a sample.
WINDOW = "$__rate_interval"


def per_second(metric: str, *by: str) -> str:
    """How fast a counter rises, summed up by labels; `metric` may have matchers."""
    return total(f"rate({metric}[{WINDOW}])", *by)


def total(metric: str, *by: str) -> str:
    """A gauge, summed up by labels."""
    return f"sum by ({', '.join(by)}) ({metric})" if by else f"sum({metric})"


def increase(counter: str, *by: str) -> str:
    """How much a counter rose, by labels."""
    return f"sum by ({', '.join(by)}) (increase({counter}[{WINDOW}]))"


def age(timestamp: str) -> str:
    """Seconds since a moment that each process tells."""
    return f"time() - max by (instance) ({timestamp})"


def by(shape: Callable[..., str], metric: str, *labels: str) -> dict[str, str]:
    """One of these shapes of a metric by labels, which are its legend."""
    return {" ".join(f"{{{{{label}}}}}" for label in labels): shape(metric, *labels)}


def quantile(share: float, histogram: str, *by: str) -> str:
    """A quantile of a histogram, by labels; `histogram` has no suffix and may have matchers."""
    name, brace, matchers = histogram.partition("{")
    bucket = f"{name}_bucket{brace}{matchers}"
    return f"histogram_quantile({share}, {per_second(bucket, 'le', *by)})"


def quantiles(histogram: str, *percents: int) -> dict[str, str]:
    """Some quantiles of a histogram, by legend."""
    return {f"p{percent}": quantile(percent / 100, histogram) for percent in percents}


def ratio(part: str, whole: str) -> str:
    """A share, which is 0 and not unknown while there is no part."""
    return f"({part} or 0 * {whole}) / {whole}"
