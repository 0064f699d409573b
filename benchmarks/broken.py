"""What broken connections cost: `python -m benchmarks.broken`.

A worker works the same backlog off again and again, every other time with one of its connections to
the broker broken each second. Nothing stands between them: the worker's own socket is shut down.
Needs Linux, and the right to take another process's descriptors, which root has.
"""

import ctypes
import os
import random
import re
import socket
import statistics
import threading
from collections import Counter
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


class Breaker(threading.Thread):
    """Breaks one connection of a process to a broker's port again and again until `stop`."""

    def __init__(self, process: psutil.Process, port: int, every_s: float) -> None:
        super().__init__(name="breaker", daemon=True)
        self._process = process
        self._port = port
        self._every_s = every_s
        self._chance = random.Random(SEED)  # noqa: S311 - a choice, no secret
        self._stopping = threading.Event()
        self.broken = 0

    def run(self) -> None:
        """Break until `stop`."""
        while not self._stopping.wait(self._every_s):
            # The worker may have closed it since, or ended.
            with suppress(OSError, psutil.Error):
                connections = self._process.net_connections("tcp")
                ours = [
                    one.fd
                    for one in connections
                    if one.status == psutil.CONN_ESTABLISHED and one.raddr.port == self._port
                ]
                if ours:
                    shut_down(self._process.pid, self._chance.choice(ours))
                    self.broken += 1

    def stop(self) -> None:
        """Break no more, and wait until it doesn't."""
        self._stopping.set()
        self.join()


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
    """How fast a backlog is worked off with a connection broken every so many seconds, and counts.

    With 0 seconds, none is broken.
    """
    port = free_port()
    broker = int(place.settings.kafka.bootstrap_servers.rpartition(":")[2])
    with place.working(backlog, port) as (done, process):
        breaker = Breaker(process, broker, every_s)
        if every_s:
            breaker.start()
        pace = place.pace(process, done, backlog, LONGEST_S)
        if every_s:
            breaker.stop()
        shown = bench.scraped(port)
    counted = Counter(broken=breaker.broken)
    pattern = r'^sentiment_(transactions|transaction_resets)_total\{\w+="(\w+)"\} (\S+)$'
    for name, label, value in re.findall(pattern, shown, re.MULTILINE):
        counted[f"{name} {label}"] = int(float(value))
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
