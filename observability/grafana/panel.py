"""One panel, from a few words to Grafana's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["timeseries", "stat", "heatmap", "table"]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# In Grafana's units of about 30 pixels: a figure with its little chart, and a chart to read from.
HEIGHTS: dict[Kind, int] = {"stat": 4, "timeseries": 8, "heatmap": 8, "table": 8}


@dataclass(frozen=True)
class Panel:
    """What a panel shows.

    Attributes:
        title: A few words.
        description: What it means and what to make of it; shown at the panel's corner.
        queries: PromQL by legend; a legend may name labels, as in `{{instance}}`.
        unit: Grafana's name of the unit.
        width: Of 24.
        kind: How it looks.
        limits: From which value on it is yellow, and red; fewer or none is fine.
        most: The axis' end, where the unit has one.
        stack: Whether the series add up to something.
        colors: By legend.
    """

    title: str
    description: str
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 8
    kind: Kind = "timeseries"
    limits: tuple[float, ...] = ()
    most: float | None = None
    stack: bool = False
    colors: Mapping[str, str] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """In the grid's units."""
        return HEIGHTS[self.kind]


def render(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    """A panel as JSON, at a place of the grid."""
    targets = [
        _target(panel, chr(ord("A") + index), legend, query)
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _colored(panel)},
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


def _colored(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": legend},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for legend, color in panel.colors.items()
    ]


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


# The shapes that most expressions of the dashboards have.


# Grafana's own: at least four scrapes, so that a rate never lacks a sample.
WINDOW = "$__rate_interval"


def per_second(metric: str, *by: str) -> str:
    """How fast a counter rises, summed up by labels; `metric` may have matchers."""
    return total(f"rate({metric}[{WINDOW}])", *by)


def total(metric: str, *by: str) -> str:
    """A gauge, summed up by labels."""
    return f"sum by ({', '.join(by)}) ({metric})" if by else f"sum({metric})"


def quantile(share: float, histogram: str, *by: str) -> str:
    """A quantile of a histogram, by labels; `histogram` has no suffix and may have matchers."""
    name, brace, matchers = histogram.partition("{")
    bucket = f"{name}_bucket{brace}{matchers}"
    return f"histogram_quantile({share}, {per_second(bucket, 'le', *by)})"


def ratio(part: str, whole: str) -> str:
    """A share, which is 0 and not unknown while there is no part."""
    return f"({part} or 0 * {whole}) / {whole}"


def worst(gauge: str, reference: str = "") -> str:
    """The largest of the workers' figures by model version; with a reference, above that."""
    return f"max by (model_version) ({gauge}{f' - {reference}' if reference else ''})"
