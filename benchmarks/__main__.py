"""`make bench`: one run over all candidates, a table of ratios, and the figures as JSON."""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks import bench, candidates, events, measurements, report as reporting
from benchmarks.bench import LONG, SHORT, Backlog, Bench, CandidateError, say
from benchmarks.candidates import WORKER, Ready
from sentiment import logs


class Size(NamedTuple):
    """How much is measured; a quick run says the same less sharply."""

    events: dict[str, int]
    # Of the worker, each between two copy loops.
    rounds: int
    # A candidate is measured for this long, not until it is through.
    longest_s: float
    peers: tuple[str, ...]
    load_s: float
    singles: int
    starts: int
    memory: bool


# A million events: over so many the worker's memory has to stay flat.
FULL = Size({SHORT: 1_000_000, LONG: 200_000}, 3, 60.0, (SHORT, LONG), 20.0, 100, 5, memory=True)
# Of two seconds each for the fastest candidates: less, and one look of the brokers' would count.
QUICK = Size({SHORT: 300_000, LONG: 60_000}, 2, 8.0, (SHORT,), 8.0, 50, 3, memory=False)


def _chosen(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(filter(None, value.split(",")))
    for name in names:
        if name not in candidates.NAMES:
            known = ", ".join(candidates.NAMES)
            raise click.BadParameter(f"{name!r} is none of {known}.", context, option)
    return names


@click.command()
@click.option("--quick", is_flag=True, help="Fewer events, shorter, and no memory run.")
@click.option(
    "--peers", default=",".join(candidates.NAMES), show_default=True, callback=_chosen,
    help="Which peers; an empty list for none.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("build/bench.json"),
    show_default=True, help="Where the JSON goes; the chart goes beside it.",
)  # fmt: skip
def main(*, quick: bool, peers: tuple[str, ...], output: Path) -> None:
    """Measure the worker beside the copy loop and the peers, one after the other.

    Environments of peers are made at first use under build/peers, which takes some minutes once.
    """
    logs.configure()
    # As Ctrl-C does, so that Kafka and the candidates end with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    left_out: dict[str, str] = {}
    ready = candidates.prepare(peers, left_out)
    say("the compiled model beside scikit-learn and VADER, on one core")
    scoring = _scoring()
    try:
        with bench.opened() as place:
            figures = _run(place, QUICK if quick else FULL, ready, left_out)
    except (CandidateError, TimeoutError) as error:
        raise click.ClickException(str(error)) from None
    report = {
        "quick": quick,
        **figures,
        "left_out": left_out,
        "scoring": scoring,
        "machine": bench.describe(),
    }
    bench.save(report, output)
    output.with_suffix(".svg").write_text(reporting.render(report))
    _show(report)
    say(f"figures are in {output}; `python -m benchmarks.report {output}` puts them into docs/")


def _run(place: Bench, size: Size, ready: list[Ready], left_out: dict[str, str]) -> dict[str, Any]:
    """The figures, in the shape of the report; `left_out` is told which peers don't work."""
    say("writing texts")
    texts = events.write()
    backlogs: dict[str, Backlog] = {}
    speeds: dict[str, dict[str, measurements.Figures]] = {}
    for name, count in size.events.items():
        say(f"putting {count:,} {name} on a topic")
        backlog = backlogs[name] = events.backlog(place, name, texts[name], count)
        found = speeds[name] = measurements.ours(place, backlog, size.rounds, size.longest_s)
        if name in size.peers:
            found |= measurements.peers(place, backlog, ready, size.longest_s, left_out)
    # Now, while the tallies on the topic are those of workers at full rate.
    summed_up = measurements.trends(place)
    short, rate = texts[SHORT], speeds[SHORT][WORKER]["events_per_second"]
    loaded, alone = measurements.latency(place, short, rate / 4, size.load_s, size.singles)
    start = measurements.start(place, short, size.starts)
    one, two = (
        measurements.together(place, short, size.events[SHORT], workers, size.longest_s)
        for workers in (1, 2)
    )
    spent = {name: measurements.phases(place, backlog) for name, backlog in backlogs.items()}
    return {
        "backlogs": size.events,
        "partitions": place.settings.topics.partitions,
        "speed": speeds,
        "latency": loaded,
        "single_events": alone,
        "start": start,
        "together": {"one": one, "two": two},
        "phases_s": spent,
        "memory_mb": measurements.memory(place, backlogs[SHORT]) if size.memory else None,
        "trends": summed_up,
    }


def _scoring() -> dict[str, object]:
    """In a process of its own, which keeps to one core; it prints its table."""
    with tempfile.TemporaryDirectory() as work:
        output = Path(work) / "scoring.json"
        command = [sys.executable, "-m", "benchmarks.scoring", "--output", str(output)]
        subprocess.run(command, check=True)
        found: dict[str, object] = json.loads(output.read_text())
    return found


def _show(report: dict[str, Any]) -> None:
    for name, found in report["speed"].items():
        print(f"\n{name:<52}{'events/s':>12}{'worker is … times as fast':>28}")
        for candidate, figures in found.items():
            rate, ratio = figures["events_per_second"], reporting.over(found, candidate)
            print(f"{candidate:<52}{rate:>12,.0f}{ratio:>28.2f}")
    print(f"\n{'measured':<76}{'must reach':>15}{'measured':>18}  reached")
    for row in reporting.rows(report):
        print(f"{row.what:<76}{row.target:>15}{row.shown:>18}  {row.verdict}")


if __name__ == "__main__":
    main()
