"""All measurements of a run, one after the other."""

from dataclasses import dataclass
from typing import Any

from benchmarks import events, latency, lifecycle, phases, speed, trends
from benchmarks.bench import Backlog, Bench
from benchmarks.candidates import WORKER, Ready
from benchmarks.progress import say
from benchmarks.targets import LONG, SHORT


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
    spent = {name: phases.phases(place, backlog) for name, backlog in backlogs.items()}
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
