"""How fast each candidate works a backlog off, one after the other."""

import statistics
from collections.abc import Callable, Sequence
from typing import TypedDict

from benchmarks.bench import Backlog, Bench
from benchmarks.candidates import COPY, WORKER, Ready
from benchmarks.measure import CandidateError, Pace, running, say


class Speed(TypedDict):
    """A candidate's figures: those of its median run, and the rates of all runs."""

    events_per_second: float
    processor_s: float
    broker_s: float
    runs: list[float]


def ours(bench: Bench, backlog: Backlog, rounds: int, longest_s: float) -> dict[str, Speed]:
    """The copy loop and the worker in turn, so that a drift of the machine meets both.

    Raises:
        CandidateError: One of them doesn't work.
    """
    copies, workers = [_again(_copy, bench, backlog, longest_s)], []
    for _ in range(rounds):
        workers.append(_again(_worker, bench, backlog, longest_s))
        copies.append(_again(_copy, bench, backlog, longest_s))
    return {COPY: summary(copies), WORKER: summary(workers)}


def peers(
    bench: Bench,
    backlog: Backlog,
    ready: Sequence[Ready],
    longest_s: float,
    left_out: dict[str, str],
) -> dict[str, Speed]:
    """The peers, once each; one that doesn't work is left out with the reason."""
    found: dict[str, Speed] = {}
    for one in ready:
        try:
            found[one.peer.name] = summary([_peer(bench, backlog, one, longest_s)])
        except CandidateError as error:
            left_out[one.peer.name] = error.reason
            say(f"{one.peer.name} is left out: {error}")
    return found


def summary(paces: Sequence[Pace]) -> Speed:
    """The median run by its rate; of two in the middle the slower one."""
    rates = [pace.events_per_second for pace in paces]
    middle = paces[rates.index(statistics.median_low(rates))]
    return Speed(
        events_per_second=middle.events_per_second,
        processor_s=middle.processor_s,
        broker_s=middle.broker_s,
        runs=rates,
    )


def _again(
    measure: Callable[[Bench, Backlog, float], Pace],
    bench: Bench,
    backlog: Backlog,
    longest_s: float,
) -> Pace:
    """A measurement, made once more where the machine stood still over a whole backlog."""
    try:
        return measure(bench, backlog, longest_s)
    except CandidateError as error:
        say(f"once more, since {error.reason}")
        return measure(bench, backlog, longest_s)


def _copy(bench: Bench, backlog: Backlog, longest_s: float) -> Pace:
    say(f"the copy loop on {backlog.name}")
    group, output = bench.name("copy"), bench.topic("copied")
    with (
        bench.progress(backlog.topic, group) as done,
        bench.copy_loop(backlog.topic, group, output) as process,
    ):
        return bench.pace(process, done, backlog, longest_s)


def _worker(bench: Bench, backlog: Backlog, longest_s: float) -> Pace:
    say(f"the worker on {backlog.name}")
    group, results = bench.name("worker"), bench.topic("results")
    with (
        bench.progress(backlog.topic, group) as done,
        bench.worker(backlog.topic, group, results) as process,
    ):
        return bench.pace(process, done, backlog, longest_s)


def _peer(bench: Bench, backlog: Backlog, ready: Ready, longest_s: float) -> Pace:
    peer = ready.peer
    say(f"{peer.name} on {backlog.name}")
    name, output = bench.name(peer.environment), bench.topic("peer")
    topic, group = (backlog.topic, name) if peer.by_group else (output, None)
    servers = bench.settings.kafka.bootstrap_servers
    command = ready.command(servers, backlog.topic, output, name)
    with (
        bench.progress(topic, group) as done,
        running(command, bench.work / name) as process,
    ):
        return bench.pace(process, done, backlog, longest_s)
