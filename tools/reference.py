"""The tables of settings, rights and metrics in `docs/operations.md`."""

from pathlib import Path

from pydantic_core import PydanticUndefined

from sentiment import apps
from sentiment.settings import Settings


def defaults() -> Settings:
    """All settings as they are by default, whatever the environment says.

    A generated document is the same wherever it is made.
    """
    settings = Settings()
    for section in apps.sections():
        settings.use(section.model_construct())
    return settings


def settings_table() -> str:
    """Every setting as a Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for section in apps.sections():
        prefix = section.model_config.get("env_prefix", "")
        for name, field in section.model_fields.items():
            default = field.default
            if default is PydanticUndefined:
                default = "{}"
            shown = str(default).replace(str(Path.home()), "~").replace("**********", "")
            value = f"`{shown}`" if shown else "(empty)"
            rows.append(f"| `{prefix}{name.upper()}` | {value} | {field.description} |")
    return "\n".join(rows)


def metrics_table() -> str:
    """Every metric as a Markdown table: name, type, labels, unit, meaning."""
    rows = ["| metric | app | type | labels | unit | meaning |", "|---|---|---|---|---|---|"]
    for metric in apps.metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(
            f"| `{metric.name}` | {metric.app} | {metric.kind} | {labels} | {metric.unit} |"
            f" {metric.meaning} |"
        )
    return "\n".join(rows)


def rights_table() -> str:
    """Every right on brokers with ACLs as a Markdown table: part, right, on what."""
    named: dict[tuple[str, str, str], list[str]] = {}
    for right in apps.rights():
        key = (right.part, right.operation, right.resource)
        named.setdefault(key, []).append(
            f"`{{{right.setting}}}{right.suffix}`" if right.suffix else f"`{right.setting}`"
        )
    rows = ["| part | right | on |", "|---|---|---|"]
    for (part, operation, resource), names in named.items():
        rows.append(f"| {part} | {operation} | {resource} {', '.join(names)} |")
    return "\n".join(rows)


def tables() -> dict[str, str]:
    """The tables of `docs/operations.md`, by the name of their markers."""
    return {
        "settings": settings_table(),
        "rights": rights_table(),
        "metrics": metrics_table(),
    }
