"""`make soak`: a worker at half of its full rate for an hour; nothing of it may grow.

First the full rate is measured on a backlog, then events come at a share of it. Memory, threads and
open files are sampled from outside; the first quarter is left out, since caches fill in it.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import click

from benchmarks import bench, events
from benchmarks.bench import SHORT, Bench, say
from sentiment import logs

# What memory may grow by in an hour, as a share: the allocator's own unrest is below it.
GROWTH = 0.05
# Threads and files that come and go: a probe's connection, a refreshed connection to a broker.
SLACK = 3
# Events that may wait more than before: a fraction of a second's.
QUEUE = 1000


class Sample(NamedTuple):
    """The worker at one moment: files are sockets too, lag is what was sent and not committed."""

    at_s: float
    memory_mib: float
    threads: int
    files: int
    lag: int


def verdict(samples: Sequence[Sample]) -> dict[str, object]:
    """Whether anything grows: medians of the second and last quarter, trend per hour in between.

    `grows` names what does. Fewer than eight samples are a `ValueError`.
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
    names = ("memory_mib", "memory, MiB"), ("threads",) * 2, ("files", "open files"), ("lag",) * 2
    for name, shown in names:
        figures = cast("dict[str, float]", report[name])
        rows.append(
            f"| {shown} | {figures['first']:,.0f} | {figures['last']:,.0f} |"
            f" {figures['per_hour']:+,.1f} | {figures['most']:,.0f} |"
        )
    grows = report["grows"]
    told = f"grows: {', '.join(grows)}" if isinstance(grows, list) and grows else "nothing grows"
    return "\n".join([*rows, "", f"After {report['minutes']:g} minutes: {told}."])


# Enough to see the full rate through the first seconds of a start.
BACKLOG = 200_000
FULL_RATE_S = 30.0
# A sample costs the worker nothing and a percent of a core here; an hour has 720 of them.
SAMPLE_S = 5.0
# An hour at a high rate is more than a disk may have: what was read is not kept.
BOUNDED = {"retention.bytes": str(256 << 20), "segment.bytes": str(128 << 20)}
# The load ends with the samples, not by itself.
FOR_EVER_S = 1e9


@click.command()
@click.option("--minutes", type=float, default=60.0, show_default=True, help="How long.")
@click.option("--rate", type=float, help="Events per second.  [default: half of the full rate]")
@click.option("--output", type=Path, default=Path("build/soak.json"), help="Where the JSON goes.")
def main(*, minutes: float, rate: float | None, output: Path) -> None:
    """Let a worker run for long and see whether anything of it grows; exit code 1 if so."""
    logs.configure()
    texts = events.write()[SHORT]
    with bench.opened() as place:
        # Measured in any case: the first start compiles the model, which takes memory for good.
        say("measuring the full rate")
        backlog = events.backlog(place, "soak", texts, BACKLOG)
        full = place.worker_pace(backlog, FULL_RATE_S).events_per_second
        chosen = rate or full / 2
        say(f"{minutes:g} minutes at {chosen:,.0f} events per second")
        samples = _soak(place, texts, chosen, minutes * 60)
    report = {
        "minutes": minutes,
        "events_per_second": chosen,
        "full_rate": full,
        **verdict(samples),
        "machine": bench.describe(),
        "samples": [sample._asdict() for sample in samples],
    }
    bench.save(report, output)
    print(table(report))
    say(f"figures written to {output}")
    if report["grows"]:
        raise SystemExit(1)


def _soak(place: Bench, texts: Sequence[str], rate: float, seconds: float) -> list[Sample]:
    topic, group = place.topic("events", BOUNDED), place.name("soak")
    samples: list[Sample] = []
    with (
        place.progress(topic, group) as done,
        place.progress(topic, None) as sent,
        place.worker(topic, group, place.topic("results", BOUNDED)) as process,
        place.load(topic, texts, rate, FOR_EVER_S),
    ):
        while not done():
            time.sleep(SAMPLE_S)
        began = time.monotonic()
        while (at_s := time.monotonic() - began) < seconds:
            # In this order: what is sent in between would count as lag otherwise.
            committed = done()
            lag = max(sent() - committed, 0)
            with process.oneshot():
                memory, threads = process.memory_info().rss / 2**20, process.num_threads()
                samples.append(Sample(at_s, memory, threads, process.num_fds(), lag))
            if len(samples) % 12 == 0:
                last = samples[-1]
                say(f"minute {at_s / 60:.0f}: {last.memory_mib:.0f} MiB, lag {last.lag:,}")
            time.sleep(SAMPLE_S)
    return samples


if __name__ == "__main__":
    main()
