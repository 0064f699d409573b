"""Which series an expression of PromQL names, held against the table of metrics."""

import re
from collections.abc import Collection

from sentiment.metrics import TABLE, Metric

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
    for metric in TABLE:
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
