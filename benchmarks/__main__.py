"""`make bench`: one run over all candidates, a table of ratios, and the figures as JSON."""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks import bench, candidates, measure, report as benchmarks_report, run, targets
from benchmarks.measure import CandidateError, say
from sentiment import logs


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
    "--peers",
    default=",".join(candidates.NAMES),
    show_default=True,
    callback=_chosen,
    help="Which peers; an empty list for none.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("build/bench.json"),
    show_default=True,
    help="Where the JSON goes; the chart goes beside it.",
)
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
            figures = run.run(place, run.QUICK if quick else run.FULL, ready, left_out)
    except (CandidateError, TimeoutError) as error:
        raise click.ClickException(str(error)) from None
    report = {
        "quick": quick,
        **figures,
        "left_out": left_out,
        "scoring": scoring,
        "machine": measure.describe(),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2) + "\n")
    output.with_suffix(".svg").write_text(benchmarks_report.render(report))
    _show(report)
    say(f"figures are in {output}; `python -m benchmarks.report {output}` puts them into docs/")


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
            rate, ratio = figures["events_per_second"], targets.over(found, candidate)
            print(f"{candidate:<52}{rate:>12,.0f}{ratio:>28.2f}")
    print(f"\n{'measured':<76}{'must reach':>15}{'measured':>18}  reached")
    for row in targets.rows(report):
        print(f"{row.what:<76}{row.target:>15}{row.shown:>18}  {row.verdict}")


if __name__ == "__main__":
    main()
