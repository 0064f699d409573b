"""A worker's start, its memory over a million events, and two workers beside one."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import TypedDict

from confluent_kafka.admin import AdminClient

from benchmarks import events
from benchmarks.bench import Backlog, Bench
from benchmarks.measure import START_S, first_record, say
from sentiment.kafka import clients
from sentiment.kafka.reader import TopicReader

# Where memory is looked at, in shares of the events.
SHARES = (0.1, 0.5, 1.0)
# A twentieth of the tenth of a million events, at a rate that no worker has yet.
LOOK_S = 0.03


class Start(TypedDict):
    """Seconds from a worker's start to its first result: the median, and all runs."""

    seconds: float
    runs: list[float]


def start(bench: Bench, texts: Sequence[str], times: int) -> Start:
    """From the start of the process to the first result that a reader has in hand.

    The model is in the cache, where earlier workers left it, and an event waits.
    """
    say(f"{times} starts of a worker")
    runs: list[float] = []
    for _ in range(times):
        waiting = events.backlog(bench, "one event", texts, 1)
        results = bench.topic("results")
        with closing(TopicReader(bench.settings.kafka, results, "beginning")) as reader:
            began = time.monotonic()
            with bench.worker(waiting.topic, bench.name("start"), results):
                first_record(reader, START_S)
                runs.append(time.monotonic() - began)
    return Start(seconds=statistics.median(runs), runs=runs)


def memory(bench: Bench, backlog: Backlog) -> dict[str, float]:
    """Resident memory of a worker at full rate, in MB, by the number of events done."""
    say(f"a worker's memory over {backlog.events:,} events")
    group, results = bench.name("memory"), bench.topic("results")
    seen: dict[str, float] = {}
    with (
        bench.progress(backlog.topic, group) as done,
        bench.worker(backlog.topic, group, results) as process,
    ):
        for share in SHARES:
            count = round(share * backlog.events)
            _wait(lambda least: done() >= least, count, "the worker is too slow")
            seen[str(count)] = process.memory_info().rss / 1e6
    return seen


def together(
    bench: Bench, texts: Sequence[str], count: int, workers: int, longest_s: float
) -> float:
    """Events a second of some workers in one group.

    They hold their partitions before the backlog appears, all at once: no start and no rebalance
    is measured.
    """
    say(f"{workers} worker{'s'[: workers - 1]} waiting for {count:,} events")
    backlog, release = events.held_backlog(bench, f"{count:,} events", texts, count)
    group, results = bench.name("workers"), bench.topic("results")
    with bench.progress(backlog.topic, group) as done, ExitStack() as stack:
        processes = [
            stack.enter_context(bench.worker(backlog.topic, group, results)) for _ in range(workers)
        ]
        admin = clients.new_admin(bench.settings.kafka)
        _wait(lambda n: _members(admin, group) == n, workers, "workers don't come up")
        release()
        return bench.pace(processes[0], done, backlog, longest_s).events_per_second


def _members(admin: AdminClient, group: str) -> int:
    """How many members of a group have partitions."""
    described = admin.describe_consumer_groups([group])[group].result(timeout=START_S)
    return sum(
        bool(member.assignment and member.assignment.topic_partitions)
        for member in described.members
    )


def _wait(until: Callable[[int], bool], count: int, otherwise: str) -> None:
    deadline = time.monotonic() + START_S
    while not until(count):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise}: not in {START_S:.0f} s")
        time.sleep(LOOK_S)
