"""Write the tables of settings, rights and metrics into `docs/operations.md`.

`python -m sentiment.reference` writes them, `--check` fails when they are stale. All come from
the code that uses them, so that the document can't name what doesn't exist.
"""

import sys
from functools import cached_property
from pathlib import Path

from pydantic_core import PydanticUndefined

from sentiment import metrics, rights
from sentiment.settings import LogSettings, Section, Settings

DOCUMENT = Path(__file__).parent.parent / "docs" / "operations.md"
# In the tree's order; logs are set up before there is a tree.
SECTIONS: tuple[type[Section], ...] = (
    *(
        section.func.__annotations__["return"]
        for section in vars(Settings).values()
        if isinstance(section, cached_property)
    ),
    LogSettings,
)


def settings_table() -> str:
    """Every setting as a Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for section in SECTIONS:
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
    for metric in metrics.TABLE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(
            f"| `{metric.name}` | {metric.app} | {metric.kind} | {labels} | {metric.unit} |"
            f" {metric.meaning} |"
        )
    return "\n".join(rows)


def rights_table() -> str:
    """Every right on brokers with ACLs as a Markdown table: part, right, on what."""
    named: dict[tuple[str, str, str], list[str]] = {}
    for right in rights.RIGHTS:
        key = (right.part, right.operation, right.resource)
        named.setdefault(key, []).append(
            f"`{{{right.setting}}}{right.suffix}`" if right.suffix else f"`{right.setting}`"
        )
    rows = ["| part | right | on |", "|---|---|---|"]
    for (part, operation, resource), names in named.items():
        rows.append(f"| {part} | {operation} | {resource} {', '.join(names)} |")
    return "\n".join(rows)


def fill(document: str) -> str:
    """A document with what stands between its markers replaced by the present tables.

    Raises:
        ValueError: A marker is missing.
    """
    tables = {
        "settings": settings_table(),
        "rights": rights_table(),
        "metrics": metrics_table(),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name}: generated -->\n", f"\n<!-- {name}: end -->"
        before, rest = document.split(begin, 1)
        _, after = rest.split(end, 1)
        document = before + begin + table + end + after
    return document


def main() -> int:
    """Write the tables, or with `--check` only compare. Returns the exit code."""
    present = DOCUMENT.read_text()
    wanted = fill(present)
    if "--check" not in sys.argv:
        DOCUMENT.write_text(wanted)
    elif present != wanted:
        sys.stderr.write(f"{DOCUMENT.name} is stale: run `make docs`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
