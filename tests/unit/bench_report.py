"""What a run of the benchmark writes, with figures that are easy to reckon with."""

from typing import Any

from benchmarks.candidates import COPY, WORKER
from benchmarks.targets import LONG, SHORT


def report() -> dict[str, Any]:
    """The worker at 100,000 a second, the copy loop at as much, Faust's `take` at 2,500."""
    short = {COPY: speed(100_000), WORKER: speed(100_000), "Faust, take(1000)": speed(2_500)}
    return {
        "quick": False,
        "backlogs": {SHORT: 500_000, LONG: 150_000},
        "partitions": 4,
        "speed": {SHORT: short, LONG: {COPY: speed(80_000), WORKER: speed(40_000)}},
        "latency": {"events_per_second": 25_000.0, "probes": 100, "p50_ms": 18.0, "p99_ms": 70.0},
        "single_events": {"events_per_second": 0.0, "probes": 50, "p50_ms": 9.0, "p99_ms": 12.0},
        "start": {"seconds": 1.5, "runs": [1.4, 1.5, 1.6]},
        "together": {"one": 100_000.0, "two": 130_000.0},
        "phases_s": {SHORT: {"decode": 1.5, "elapsed": 10}, LONG: {"decode": 3, "elapsed": 25}},
        "memory_mb": {"100000": 300.0, "500000": 301.0, "1000000": 303.0},
        "trends": {"events_per_second": 2_000_000.0, "events": 9_000_000, "tallies": 40_000},
        "left_out": {"PySpark, pandas UDF": "no wheel | for this Python"},
        "scoring": {},
        "machine": {"cores": 2, "processor": "x86_64", "python": "3.11.7"},
    }


def speed(rate: float) -> dict[str, Any]:
    """A candidate's figures."""
    return {"events_per_second": rate, "processor_s": 10.0, "broker_s": 5.0, "runs": [rate]}
