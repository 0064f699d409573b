"""What broken connections cost: `python -m benchmarks.broken`.

A worker works a backlog off, every other time with one of its own sockets shut down each second.
Needs Linux, and the right to take another process's descriptors, which root has.
"""

import ctypes
import os
import random
import socket
import statistics
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import click
import psutil

from benchmarks import bench, events
from benchmarks.bench import SHORT, Backlog, Bench, Pace, say
from local.process import free_port

# Linux's number of pidfd_getfd, the same on every processor since 5.6.
PIDFD_GETFD = 438
LONGEST_S = 600.0
SEED = 1


def break_connections(
    process: psutil.Process, port: int, every_s: float, stopping: threading.Event
) -> int:
    """Break one connection of a process to a broker's port again and again; returns how many."""
    chance, broken = random.Random(SEED), 0  # noqa: S311 - a choice, no secret
    while not stopping.wait(every_s):
        # The worker may have closed it since, or ended.
        with suppress(OSError, psutil.Error):
            ours = [
                one.fd
                for one in process.net_connections("tcp")
                if one.status == psutil.CONN_ESTABLISHED and one.raddr.port == port
            ]
            if ours:
                shut_down(process.pid, chance.choice(ours))
                broken += 1
    return broken


def shut_down(pid: int, descriptor: int) -> None:
    """Shut a socket of another process down, as if the network had."""
    library = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        ours = library.syscall(PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    if ours < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    with socket.socket(fileno=ours) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def measure(place: Bench, backlog: Backlog, every_s: float) -> tuple[Pace, Counter[str]]:
    """How fast a backlog is worked off while connections break, after so many seconds or never."""
    port = free_port()
    broker = int(place.settings.kafka.bootstrap_servers.rpartition(":")[2])
    stopping = threading.Event()
    if not every_s:
        stopping.set()
    with place.working(backlog, port) as (done, process), ThreadPoolExecutor() as pool:
        breaking = pool.submit(break_connections, process, broker, every_s, stopping)
        try:
            pace = place.pace(process, done, backlog, LONGEST_S)
        finally:
            stopping.set()
        counted = Counter[str]()
        for name in ("transactions", "transaction_resets"):
            for labels, value in bench.shown(port, f"sentiment_{name}_total"):
                counted[" ".join((name, *labels.values()))] = int(value)
        counted["broken"] = breaking.result()
    return pace, counted


@click.command()
@click.option("--events", "count", type=int, default=3_000_000, show_default=True)
@click.option("--pairs", type=int, default=3, show_default=True)
@click.option("--every", type=float, default=1.0, show_default=True, help="Seconds.")
def main(count: int, pairs: int, every: float) -> None:
    """Compare a worker whose connections break with one whose connections don't."""
    ratios = []
    with bench.opened() as place:
        say(f"putting {count:,} {SHORT} on a topic")
        backlog = events.backlog(place, SHORT, events.write()[SHORT], count)
        measure(place, backlog, 0)  # The first one also compiles and warms up.
        for _ in range(pairs):
            (whole, _), (hurt, counted) = (measure(place, backlog, s) for s in (0, every))
            ratios.append(hurt.events_per_second / whole.events_per_second)
            print(
                f"{whole.events_per_second:,.0f} events/s; with broken connections"
                f" {hurt.events_per_second:,.0f}, {ratios[-1]:.3f} of it; {dict(counted)}",
                flush=True,
            )
    print(f"median: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
