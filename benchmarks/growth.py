"""Whether anything of a process grows, from samples of it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

# What memory may grow by in an hour, as a share: the allocator's own unrest is below it.
GROWTH = 0.05
# Threads and files that come and go: a probe's connection, a refreshed connection to a broker.
SLACK = 3
# Events that may wait more than before: a fraction of a second's.
QUEUE = 1000


@dataclass(frozen=True)
class Sample:
    """The worker at one moment.

    Attributes:
        at_s: Seconds since the start.
        memory_mib: Resident memory.
        threads: Its threads.
        files: Its open files and sockets.
        lag: Events that were sent and not committed.
    """

    at_s: float
    memory_mib: float
    threads: int
    files: int
    lag: int


def verdict(samples: Sequence[Sample]) -> dict[str, object]:
    """Whether anything grows, by its first and its last quarter and its trend in between.

    Returns:
        By measure the medians of the second and the last quarter of the samples and the trend per
        hour over all but the first; and `grows`, the names of those that grow.

    Raises:
        ValueError: Fewer than eight samples say nothing.
    """
    if len(samples) < 8:  # noqa: PLR2004 - two for each quarter
        raise ValueError(f"{len(samples)} samples are too few for a verdict: run it longer")
    quarter = len(samples) // 4
    settled = samples[quarter:]
    hours = [sample.at_s / 3600 for sample in settled]
    found: dict[str, object] = {}
    grows = []
    for name in ("memory_mib", "threads", "files", "lag"):
        values = [float(getattr(sample, name)) for sample in settled]
        first, last = statistics.median(values[:quarter]), statistics.median(values[-quarter:])
        trend = statistics.linear_regression(hours, values).slope
        found[name] = {"first": first, "last": last, "per_hour": trend, "most": max(values)}
        allowed = first * GROWTH if name == "memory_mib" else SLACK
        # The lag is a queue's: it goes up and down, as long as it doesn't run away.
        if last > 2 * first + QUEUE if name == "lag" else last - first > allowed:
            grows.append(name)
    return {**found, "grows": grows}


def table(report: dict[str, object]) -> str:
    """The figures as Markdown."""
    rows = ["| | second quarter | last quarter | trend per hour | most |", "|---|---|---|---|---|"]
    names = {
        "memory_mib": "memory, MiB", "threads": "threads", "files": "open files", "lag": "lag",
    }  # fmt: skip
    for name, shown in names.items():
        figures = cast("dict[str, float]", report[name])
        rows.append(
            f"| {shown} | {figures['first']:,.0f} | {figures['last']:,.0f} |"
            f" {figures['per_hour']:+,.1f} | {figures['most']:,.0f} |"
        )
    grows = report["grows"]
    told = f"grows: {', '.join(grows)}" if isinstance(grows, list) and grows else "nothing grows"
    return "\n".join([*rows, "", f"After {report['minutes']:g} minutes: {told}."])
