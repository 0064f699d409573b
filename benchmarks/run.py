"""All measurements of a run, one after the other."""

import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmarks import events, latency, lifecycle, speed, trends
from benchmarks.bench import Backlog, Bench
from benchmarks.candidates import WORKER, Ready
from benchmarks.measure import SAMPLE_S, START_S, say
from benchmarks.targets import LONG, SHORT
from local.process import HOST, free_ports


@dataclass(frozen=True)
class Size:
    """How much is measured; a quick run says the same less sharply.

    Attributes:
        events: Backlog by the name of its texts.
        rounds: How often the worker runs, between two copy loops each time.
        longest_s: A candidate is measured for this long, not until it is through.
        peers: The backlogs that peers work on.
        load_s: How long the steady load lasts, in seconds.
        singles: How many single events.
        starts: How many starts.
        memory: Whether memory is looked at, over the first backlog.
    """

    events: dict[str, int]
    rounds: int
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


def run(place: Bench, size: Size, ready: list[Ready], left_out: dict[str, str]) -> dict[str, Any]:
    """The figures, in the shape of the report.

    Args:
        place: Where candidates run.
        size: How much to measure.
        ready: The peers.
        left_out: Told which peers don't work, and why.

    Raises:
        CandidateError, TimeoutError: One of our own doesn't work.
    """
    say("writing texts")
    texts = events.write()
    backlogs: dict[str, Backlog] = {}
    speeds: dict[str, dict[str, speed.Speed]] = {}
    for name, count in size.events.items():
        say(f"putting {count:,} {name} on a topic")
        backlog = backlogs[name] = events.backlog(place, name, texts[name], count)
        speeds[name] = speed.ours(place, backlog, size.rounds, size.longest_s)
        if name in size.peers:
            speeds[name] |= speed.peers(place, backlog, ready, size.longest_s, left_out)
    # Now, while the tallies on the topic are those of workers at full rate.
    summed_up = trends.pace(place)
    short, rate = texts[SHORT], speeds[SHORT][WORKER]["events_per_second"]
    loaded, alone = latency.measure(place, short, rate / 4, size.load_s, size.singles)
    start = lifecycle.start(place, short, size.starts)
    one, two = (
        lifecycle.together(place, short, size.events[SHORT], workers, size.longest_s)
        for workers in (1, 2)
    )
    spent = {name: phases(place, backlog) for name, backlog in backlogs.items()}
    memory = None
    if size.memory:
        memory = lifecycle.memory(place, backlogs[SHORT])
    return {
        "backlogs": size.events,
        "partitions": place.settings.topics.partitions,
        "speed": speeds,
        "latency": loaded,
        "single_events": alone,
        "start": start,
        "together": {"one": one, "two": two},
        "phases_s": spent,
        "memory_mb": memory,
        "trends": summed_up,
    }


# Where a worker's second goes, by its own metric.


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
