"""`python -m benchmarks.report build/bench.json`: a run's tables and chart into the documents."""

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.bench import LONG, SHORT
from benchmarks.candidates import COPY, PEERS, WORKER
from sentiment.errors import InputError

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "images" / "bench.svg"
END = "<!-- bench: end -->"
# The least that the worker must be over each peer, in times; None: shown without a target.
OVER_PEERS = {
    "Quix Streams, per event": 30,
    "Faust, take(1000)": 25,
    "Faust, per event": 60,
    "Bytewax, batches of 1,000": 7,
    "PySpark, pandas UDF": 5,
}
# A worker's memory is flat when it grows by no more than this from a tenth of the events to all.
FLAT = 1.05

Report = Mapping[str, Any]


class Row(NamedTuple):
    """What was measured, or `why_not`, beside what must be reached: at least, or at most."""

    what: str
    unit: str
    measured: float | None
    least: float | None = None
    most: float | None = None
    why_not: str = "not in this run"

    @property
    def target(self) -> str:
        """The target in words; empty when there is none."""
        if self.least is not None:
            return f"at least {self.least:g}"
        return f"at most {self.most:g}" if self.most is not None else ""

    @property
    def shown(self) -> str:
        """The figure with its unit, or why there is none."""
        if self.measured is None:
            return self.why_not
        digits = 2 if self.measured < 10 else 1 if self.measured < 100 else 0  # noqa: PLR2004 - three figures
        return f"{self.measured:,.{digits}f} {self.unit}"

    @property
    def verdict(self) -> str:
        """`yes` or `no` where there is a target and a figure."""
        if self.measured is None or not self.target:
            return ""
        enough = self.least is None or self.measured >= self.least
        return "yes" if enough and (self.most is None or self.measured <= self.most) else "no"


def rows(report: Report) -> list[Row]:
    """All rows of the table of targets."""
    speed = report["speed"]
    found = [
        Row(f"worker over the copy loop, {SHORT}", "times", over(speed[SHORT], COPY), 0.95),
        Row(f"worker over the copy loop, {LONG}", "times", over(speed[LONG], COPY), 0.6),
    ]
    for name, texts in ((SHORT, speed[SHORT]), (LONG, speed[LONG])):
        for peer in PEERS:
            # Targets are those of short texts; long ones are told where a run has them.
            least = OVER_PEERS.get(peer.name) if name == SHORT else None
            why_not = report["left_out"].get(peer.name, "not in this run")
            if name == SHORT or peer.name in texts:
                what = f"worker over {peer.name}; {name}"
                found.append(Row(what, "times", over(texts, peer.name), least, why_not=why_not))
    loaded, alone = report["latency"], report["single_events"]
    rate = f"{loaded['events_per_second']:,.0f} events/s"
    # In a full run the last one is a million.
    memory = report["memory_mb"] or {"1000000": None}
    first, *_, last = memory.values() if report["memory_mb"] else (None, None)
    grown = last / first if first else None
    together = report["together"]
    pace = report["speed"][SHORT][WORKER]
    summed_up = report["trends"]["events_per_second"] / pace["events_per_second"]
    return [
        *found,
        Row(f"event to readable result at {rate}, p50", "ms", loaded["p50_ms"], most=20),
        Row(f"event to readable result at {rate}, p99", "ms", loaded["p99_ms"], most=60),
        Row("one event on an idle topic, p50", "ms", alone["p50_ms"], most=20),
        Row("worker start to first result", "s", report["start"]["seconds"], most=3),
        Row(f"resident memory after {int([*memory][-1]):,} events", "MB", last, most=350),
        Row("memory after all events over that after a tenth", "times", grown, most=FLAT),
        Row("events summed up by the trends over the worker's rate", "times", summed_up, least=10),
        Row("two workers over one", "times", together["two"] / together["one"]),
        Row("worker's processor time per million events", "s", pace["processor_s"]),
        Row("broker's processor time per million events", "s", pace["broker_s"]),
    ]


def over(texts: Mapping[str, Any], name: str) -> float | None:
    """How many times as fast as a candidate the worker is; None if it wasn't measured."""
    if name not in texts:
        return None
    ratio: float = texts[WORKER]["events_per_second"] / texts[name]["events_per_second"]
    return ratio


DAYS = (1e6, 1e9, 1e11)
GUARANTEES = {peer.name: peer.guarantee for peer in PEERS}


@click.command()
@click.argument("run", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--document", type=Path, default=DOCUMENT, help="Where the tables go.")
@click.option("--chart", "picture", type=Path, default=CHART, help="Where the chart goes.")
def main(run: Path, document: Path, picture: Path) -> None:
    """Write the figures of RUN, made by `make bench`, into the documents."""
    report = json.loads(run.read_text())
    document.write_text(fill(document.read_text(), tables(report)))
    picture.write_text(render(report))
    click.echo(f"{document} and {picture} have the figures of {run}")


def fill(text: str, made: dict[str, str]) -> str:
    """A document with what stands between `<!-- bench: NAME -->` and `END` replaced."""
    for name, table in made.items():
        before, mark, rest = text.partition(f"<!-- bench: {name} -->\n")
        _, end, after = rest.partition(END)
        if not end:
            raise InputError(f"The document has no place marked 'bench: {name}'.")
        text = f"{before}{mark}{table}{end}{after}"
    return text


def tables(report: Report) -> dict[str, str]:
    """The tables of a run in Markdown, by the names of their places."""
    return {
        "run": _run(report),
        "targets": _table(
            ("measured", "must reach", "measured", "reached"),
            [(row.what, row.target, row.shown, row.verdict) for row in rows(report)],
        ),
        **{f"rates, {name}": _rates(report, name) for name in report["speed"]},
        "phases": _phases(report),
        "explanations": _explanations(report),
        "memory": _memory(report),
        "cost": _cost(report),
    }


def _run(report: Report) -> str:
    machine, backlogs = report["machine"], report["backlogs"]
    sizes = ", ".join(f"{count:,} {name}" for name, count in backlogs.items())
    quick = "A quick run (`--quick`)" if report["quick"] else "A full run"
    return (
        f"{quick}: {sizes}; {report['partitions']} partitions; one process per candidate;"
        f" {machine['cores']} cores ({machine['processor']}) that the broker shares; Python"
        f" {machine['python']}.\n"
    )


def _rates(report: Report, name: str) -> str:
    texts = report["speed"][name]
    lines = []
    for candidate, figures in texts.items():
        runs = ", ".join(f"{rate:,.0f}" for rate in figures["runs"])
        lines.append((
            f"**{candidate}**" if candidate == WORKER else candidate,
            GUARANTEES.get(candidate, "exactly once"),
            f"{figures['events_per_second']:,.0f}",
            f"{over(texts, candidate):,.2f}",
            f"{figures['processor_s']:,.1f}",
            f"{figures['broker_s']:,.1f}",
            runs if len(figures["runs"]) > 1 else "",
        ))  # fmt: skip
    head = (
        "candidate", "after a kill", "events/s", "the worker is … times as fast",
        "its processor s per million", "the broker's", "all runs, events/s",
    )  # fmt: skip
    table = _table(head, lines)
    left_out = [f"- {peer} is left out: {why}\n" for peer, why in report["left_out"].items()]
    return table + ("\n" + "".join(left_out) if left_out else "")


def _phases(report: Report) -> str:
    spent = report["phases_s"]
    phases = list(dict.fromkeys(phase for of_texts in spent.values() for phase in of_texts))
    lines = [
        (f"`{phase}`", *(f"{of_texts.get(phase, 0):.2f}" for of_texts in spent.values()))
        for phase in sorted(phases, key=lambda phase: phase == "elapsed")
    ]
    return _table(("seconds per million events", *spent), lines)


def _explanations(report: Report) -> str:
    found = report["scoring"].get("explanations")
    if not found:
        return "Not in this run.\n"
    lines = [
        (
            name, what, f"{cost['plain_us']:.1f}", f"{cost['explained_us']:.1f}",
            f"{cost['over_plain']:.2f}", f"{cost['parts']:.0f}",
        )
        for name, costs in found.items()
        for what, cost in costs.items()
    ]  # fmt: skip
    head = ("texts", "by", "plain, µs a text", "with explanation", "ratio", "parts of each")
    return _table(head, lines)


def _memory(report: Report) -> str:
    if not report["memory_mb"]:
        return "Not in this run.\n"
    lines = [(f"{int(count):,}", f"{mb:,.0f} MB") for count, mb in report["memory_mb"].items()]
    return _table(("after events", "resident memory"), lines)


def _cost(report: Report) -> str:
    pace = report["speed"][SHORT][WORKER]
    found = [(n, cost(n, pace["events_per_second"], pace["processor_s"])) for n in DAYS]
    lines = [
        (f"{texts:,.0f}", f"{c['average_per_second']:,.0f}", f"{c['pods']:,}", f"{c['cores']:,.2f}")
        for texts, c in found
    ]
    return _table(("texts a day", "a second on average", "pods", "cores busy on average"), lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    # A bar in a cell would begin another one.
    cells = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


# What an amount of texts takes in pods, reckoned from the rate of one worker.

DAY_S = 86_400
# The busiest hour of a day of people's traffic has two to three times the average.
PEAK = 3.0
# A worker that is fully used has nothing to catch up with after a restart.
USE = 0.7


def cost(texts_per_day: float, events_per_second: float, processor_s: float) -> dict[str, float]:
    """Pods = texts a day / 86,400 s * peak / (rate of one worker * use), rounded up.

    The pods are those of the busiest hour, the cores are busy on average; the worker's processor
    time is in seconds per million events.
    """
    average = texts_per_day / DAY_S
    return {
        "average_per_second": average,
        "pods": math.ceil(average * PEAK / (events_per_second * USE)),
        "cores": average * processor_s / 1e6,
    }


# The chart of the README: each candidate's rate in shares of the copy loop's, as SVG.

# In pixels; the labels' column holds the longest name, the last one `0.1%, 1/1000 of the worker`.
WIDTH, LABELS, FIGURES, ROW, BAR, TOP = 760, 300, 230, 30, 18, 46
BARS = WIDTH - LABELS - FIGURES

# Colours that keep a contrast of 4.5 on white and on GitHub's dark page, after the reader's choice.
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.quiet { fill: #59636e }
.peer { fill: #8c959f }
.limit { fill: #57606a }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  .peer { fill: #656c76 }
  .limit { fill: #b7bdc8 }
  .ours { fill: #4493f8 }
}
"""


def render(report: Report) -> str:
    """The chart of a run; the same figures make the same file."""
    texts = report["speed"][SHORT]
    rates = {name: figures["events_per_second"] for name, figures in texts.items()}
    limit = max(rates.values())
    order = sorted(rates, key=lambda name: (name not in {COPY, WORKER}, -rates[name]))
    lines: list[str] = []
    for number, name in enumerate(order):
        top = TOP + number * ROW
        kind = {COPY: "limit", WORKER: "ours"}.get(name, "peer")
        # The shortest bar is a line, not nothing.
        width = max(BARS * rates[name] / limit, 1)
        of_limit = rates[name] / rates[COPY]
        share = f"{of_limit:.{0 if of_limit > 0.1 else 1}%}"  # noqa: PLR2004 - two figures
        times = f", 1/{over(texts, name):.0f} of the worker" if kind == "peer" else ""
        middle = top + BAR - 4
        lines += [
            f'<text x="{LABELS - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{width:.1f}" height="{BAR}"/>',
            f'<text class="quiet" x="{LABELS + width + 8:.1f}" y="{middle}">{share}{times}</text>',
        ]
    height = TOP + len(order) * ROW + 8
    title = "Events a second, in shares of what Kafka itself can copy"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="10" y="24">{title}</text>',
        *lines,
        "</svg>\n",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
