"""The chart's table of values, and the names of settings in its schema."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import SecretStr

from local.settings import LocalSettings
from sentiment import apps

# Set by the chart itself from values of its own: set otherwise, they would be one thing in the app
# and another in ports, probes, volumes or rights.
OWN = frozenset(
    {
        *(f"KAFKA_{name}" for name in ("BOOTSTRAP_SERVERS", "SECURITY_PROTOCOL", "SASL_MECHANISM")),
        *(f"KAFKA_{name}" for name in ("SASL_USERNAME", "MSK_REGION", "CONFIG", "SSL_CA_LOCATION")),
        *("LOG_LEVEL", "LOG_FORMAT", "MODEL_CACHE_DIR", "WORKER_TRANSACTIONAL_ID"),
        *("TOPICS_PARTITIONS", "TOPICS_REPLICATION", "WEB_HOST", "WEB_PORT"),
        *("WORKER_HTTP_HOST", "WORKER_HTTP_PORT", "TRENDS_HTTP_HOST", "TRENDS_HTTP_PORT"),
    }
)
KEY = re.compile(r"(?P<indent> *)(?P<key>[\w-]+):(?: (?P<value>.*))?$")
# As wide as the lines of the code.
WIDTH = 100


def names(*, secret: bool = False) -> list[str]:
    """The settings of the apps: those with secret values, or all others; not those of a laptop."""
    return sorted(
        f"{section.model_config.get('env_prefix', '')}{name.upper()}"
        for section in apps.sections()
        if section is not LocalSettings
        for name, field in section.model_fields.items()
        if (field.annotation is SecretStr) is secret
    )


def schema(present: str) -> str:
    """A schema of the values with the names of the settings as they are now."""
    document = json.loads(present)
    parts = document["$defs"]
    parts["settings"]["propertyNames"]["enum"] = [name for name in names() if name not in OWN]
    parts["secretFile"]["properties"]["setting"]["enum"] = names(secret=True)
    return _laid_out(document) + "\n"


def values_table(text: str) -> str:
    """The values of a chart as a Markdown table: name, default, meaning.

    Args:
        text: Its `values.yaml`. The comment above a key is its meaning; one without stands for
            itself in the meaning of what it is part of.

    Raises:
        ValueError: A value has no comment.
    """
    defaults = yaml.safe_load(text)
    rows = ["| value | default | meaning |", "|---|---|---|"]
    commented = dict(_comments(text))
    for path, comment in commented.items():
        value = defaults
        for key in path:
            value = value[key]
        inner = any(other[: len(path)] == path and len(other) > len(path) for other in commented)
        if not inner:
            rows.append(f"| `{'.'.join(path)}` | {_shown(value)} | {comment} |")
    for path in _leaves(defaults):
        if not any(path[:length] in commented for length in range(1, len(path) + 1)):
            raise ValueError(f"values.yaml: {'.'.join(path)} has no comment that says why.")
    return "\n".join(rows)


def _comments(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key that has a comment, by its path."""
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.strip(" #"))
            continue
        if found := KEY.match(line):
            indent = len(found["indent"])
            path = [(i, key) for i, key in path if i < indent] + [(indent, found["key"])]
            if comment:
                yield tuple(key for _, key in path), " ".join(comment)
        comment = []


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path


def _shown(value: object) -> str:
    return f"`{json.dumps(value)}`" if value not in ("", None) else "(empty)"


def _laid_out(value: Any, depth: int = 0) -> str:  # noqa: ANN401 - what JSON has
    """JSON with what fits into a line on one line: a schema's leaves are short."""
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or len(flat) + 2 * depth < WIDTH:
        return flat
    space = "  " * (depth + 1)
    if isinstance(value, list):
        items = [_laid_out(item, depth + 1) for item in value]
        begin, end = "[", "]"
    else:
        items = [f"{json.dumps(key)}: {_laid_out(v, depth + 1)}" for key, v in value.items()]
        begin, end = "{", "}"
    return f"{begin}\n" + ",\n".join(space + item for item in items) + f"\n{'  ' * depth}{end}"
