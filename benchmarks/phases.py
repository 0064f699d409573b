"""Where a worker's second goes, by its own metric."""

import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bench import Backlog, Bench
from benchmarks.measure import SAMPLE_S, START_S
from benchmarks.progress import say
from local.ports import HOST, free_ports

# From here to there of the backlog: neither the start nor the last, smaller batches count.
FIRST, LAST = 0.2, 0.9
METRIC = "sentiment_loop_seconds"
SCRAPE_S = 5.0


def phases(bench: Bench, backlog: Backlog) -> dict[str, float]:
    """Seconds per million events by phase of the loop; `elapsed` is the time on the clock.

    Phases that run on threads of their own go on at the same time as the others.

    Raises:
        TimeoutError: The worker is too slow.
    """
    say(f"where a worker's time goes on {backlog.name}")
    group, results = bench.name("phases"), bench.topic("results")
    [port] = free_ports(1)
    seen: list[tuple[float, int, dict[str, float]]] = []
    with (
        bench.progress(backlog.topic, group) as done,
        bench.worker(backlog.topic, group, results, port),
    ):
        deadline = time.monotonic() + START_S
        for share in (FIRST, LAST):
            while (count := done()) < share * backlog.events:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the worker did {count:,} events in {START_S:.0f} s")
                time.sleep(SAMPLE_S)
            seen.append((time.monotonic(), count, _scraped(port)))
    (began, first, before), (ended, last, after) = seen
    spent = {name: seconds - before.get(name, 0) for name, seconds in after.items()}
    spent["elapsed"] = ended - began
    return {name: seconds * 1e6 / (last - first) for name, seconds in spent.items()}


def _scraped(port: int) -> dict[str, float]:
    """Seconds by phase, since the worker's start."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=SCRAPE_S) as answer:
        text = answer.read().decode()
    return {
        sample.labels["phase"]: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == METRIC
        for sample in family.samples
        if sample.name == f"{METRIC}_total"
    }
