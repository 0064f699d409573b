"""The rows of the table: what was measured, beside what must be reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.candidates import COPY, PEERS, WORKER

SHORT, LONG = "40-word texts", "full reviews"
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


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        unit: Of the figures; `times` for ratios.
        measured: None when this run didn't, or couldn't.
        least: It must be at least this.
        most: It must be at most this.
        why_not: Why it wasn't measured.
    """

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
    """All rows, from the figures of a run.

    Args:
        report: What `make bench` wrote as JSON.
    """
    return [*_speed(report), *_latency(report), *_life(report)]


def _speed(report: Report) -> list[Row]:
    speed = report["speed"]
    found = [
        Row("worker over the copy loop, 40-word texts", "times", over(speed[SHORT], COPY), 0.95),
        Row("worker over the copy loop, full reviews", "times", over(speed[LONG], COPY), 0.6),
    ]
    for name, texts in ((SHORT, speed[SHORT]), (LONG, speed[LONG])):
        for peer in PEERS:
            # Targets are those of short texts; long ones are told where a run has them.
            least = OVER_PEERS.get(peer.name) if name == SHORT else None
            why_not = report["left_out"].get(peer.name, "not in this run")
            if name == SHORT or peer.name in texts:
                what = f"worker over {peer.name}; {name}"
                found.append(Row(what, "times", over(texts, peer.name), least, why_not=why_not))
    return found


def _latency(report: Report) -> list[Row]:
    loaded, alone = report["latency"], report["single_events"]
    rate = f"{loaded['events_per_second']:,.0f} events/s"
    return [
        Row(f"event to readable result at {rate}, p50", "ms", loaded["p50_ms"], most=20),
        Row(f"event to readable result at {rate}, p99", "ms", loaded["p99_ms"], most=60),
        Row("one event on an idle topic, p50", "ms", alone["p50_ms"], most=20),
    ]


def _life(report: Report) -> list[Row]:
    # In a full run the last one is a million.
    counts = list(report["memory_mb"] or {"1000000": None})
    memory = list((report["memory_mb"] or {}).values())
    last = memory[-1] if memory else None
    grown = memory[-1] / memory[0] if memory else None
    together = report["together"]
    pace = report["speed"][SHORT][WORKER]
    return [
        Row("worker start to first result", "s", report["start"]["seconds"], most=3),
        Row(f"resident memory after {int(counts[-1]):,} events", "MB", last, most=350),
        Row("memory after all events over that after a tenth", "times", grown, most=FLAT),
        Row(
            "events summed up by the trends over the worker's rate",
            "times",
            report["trends"]["events_per_second"] / pace["events_per_second"],
            least=10,
        ),
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
