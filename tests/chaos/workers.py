"""Worker processes that are started again when they end, as Kubernetes would do it."""

import json
import re
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# A worker that has to end by itself does so at its own deadlines; see `ENVIRONMENT`.
PATIENCE_S = 60.0
# As Kubernetes does after a pod's grace period.
GRACE_S = 30.0
# Long enough for a zombie to meet its successor, or to work on beside it.
ZOMBIE_S = 10.0
# The pause before a worker that ended by itself is started again.
BACK_OFF_S = 0.5
# What a worker logs when it gets partitions.
HAS_WORK = b'"assigned"'
# Short times, so that faults bite within seconds, and small batches, so that there is always a
# transaction to hit.
ENVIRONMENT = {
    "LOG_FORMAT": "json",
    "MODEL_POLL_INTERVAL_S": "1",
    "WORKER_COMMIT_TIMEOUT_S": "2",
    "WORKER_DEAD_LETTER_MAX_SHARE": "1",
    "WORKER_HTTP_PORT": "0",
    "WORKER_MAX_BATCH": "200",
    "WORKER_SHUTDOWN_TIMEOUT_S": "8",
    "WORKER_TRANSACTION_TIMEOUT_S": "3",
}


@dataclass
class Process:
    """One run of the worker in a slot."""

    slot: int
    process: subprocess.Popen[bytes]
    # Appended to by one run after the other; this one begins there.
    log: Path
    begins: int
    # Why its end is no surprise; empty: it should run.
    expected: str = ""
    # What it is sent if it still runs at a time of the monotonic clock.
    next_signal: tuple[float, signal.Signals] | None = None
    _has_work: bool = False

    def has_work(self) -> bool:
        """Whether it has said that it got partitions."""
        if not self._has_work:
            with self.log.open("rb") as file:
                file.seek(self.begins)
                self._has_work = HAS_WORK in file.read()
        return self._has_work


@dataclass
class Fleet:
    """As many workers as wanted, each with a log of its own that survives its restarts.

    Workers with an even number have a stable transactional id, as in a StatefulSet; the others
    make one up at each start.
    """

    # Starts one worker.
    command: Sequence[str]
    environment: Mapping[str, str]
    # Where logs go.
    folder: Path
    # Of the consumers.
    group: str
    # Of their logs; those of others than workers tell it with the ends too.
    name: str = "worker"
    wanted: int = 0
    # How often a worker ended, by why and with which code.
    exits: Counter[str] = field(default_factory=Counter)
    # How many were started in place of another one.
    restarts: int = 0
    _running: dict[int, Process] = field(default_factory=dict)
    _leaving: list[Process] = field(default_factory=list)
    _not_before: dict[int, float] = field(default_factory=dict)
    _paused: set[int] = field(default_factory=set)

    def scale(self, wanted: int) -> None:
        """Have this many workers; those beyond are told to stop."""
        self.wanted = wanted
        for slot in [slot for slot in self._running if slot >= wanted]:
            self._resume(self._running[slot])
            self.end(slot, signal.SIGTERM, "scaled down")
        self.tend()

    def tend(self) -> None:
        """Take note of those that have ended, and start those that are missing."""
        for one in [*self._running.values(), *self._leaving]:
            code = one.process.poll()
            if code is None:
                _send_next(one)
                continue
            who = "" if self.name == "worker" else f"{self.name} "
            self.exits[f"{who}{one.expected or 'by itself'}: {code}"] += 1
            if self._running.get(one.slot) is one:
                del self._running[one.slot]
                self._not_before[one.slot] = time.monotonic() + BACK_OFF_S
            else:
                self._leaving.remove(one)
        for slot in range(self.wanted):
            if slot not in self._running and time.monotonic() >= self._not_before.get(slot, 0):
                self._start(slot)

    def slots(self) -> list[int]:
        """Workers that have work, or had it."""
        return sorted(
            slot
            for slot, one in self._running.items()
            if slot not in self._paused and not one.expected and one.has_work()
        )

    def end(self, slot: int, how: signal.Signals, why: str) -> None:
        """Send a worker a signal that ends it; another one takes its place if it is wanted."""
        one = self._running[slot]
        one.expected = why
        one.next_signal = time.monotonic() + GRACE_S, signal.SIGKILL
        one.process.send_signal(how)
        if how == signal.SIGKILL:
            one.process.wait(PATIENCE_S)
            self.tend()

    def pause(self, slot: int) -> Callable[[], None]:
        """Stop a worker's clock; returns what lets it go on."""
        one = self._running[slot]
        one.process.send_signal(signal.SIGSTOP)
        self._paused.add(slot)
        return lambda: self._resume(one)

    def replace(self, slot: int) -> Callable[[], None]:
        """Stop a worker's clock, and start another one with the same transactional id.

        Returns:
            What lets the first one go on: a zombie, which has to end by itself.
        """
        one = self._running.pop(slot)
        one.expected = "replaced"
        one.process.send_signal(signal.SIGSTOP)
        self._leaving.append(one)
        self.tend()

        def resume() -> None:
            self._resume(one)
            # One with a made-up name is a worker too many for as long as it lives.
            one.next_signal = time.monotonic() + ZOMBIE_S, signal.SIGTERM

        return resume

    def transactional_id(self, slot: int) -> str:
        """The stable name of a worker; empty where it has none."""
        return "" if slot % 2 else f"{self.group}-{slot}"

    def clients(self, slot: int) -> int:
        """How many clients of Kafka a worker has open."""
        return clients_of(self._running[slot].process.pid)

    def stop(self) -> bool:
        """Stop all of them cleanly; False when one had to be killed for it."""
        self.wanted = 0
        deadline = time.monotonic() + PATIENCE_S
        for slot, one in list(self._running.items()):
            self._resume(one)
            self.end(slot, signal.SIGTERM, "stopped at the end")
        for one in self._leaving:
            self._resume(one)
            one.process.send_signal(signal.SIGTERM)
        while (self._running or self._leaving) and time.monotonic() < deadline:
            self.tend()
            time.sleep(0.05)
        clean = not (self._running or self._leaving)
        self.kill()
        return clean

    def kill(self) -> None:
        """End all of them at once."""
        self.wanted = 0
        for one in [*self._running.values(), *self._leaving]:
            one.expected = one.expected or "ended by the harness"
            one.process.kill()
            one.process.wait(PATIENCE_S)
        self.tend()

    def variables(self, slot: int) -> dict[str, str]:
        """What one of them has beside the environment of all."""
        return {"WORKER_TRANSACTIONAL_ID": self.transactional_id(slot)}

    def logs(self) -> list[Path]:
        """The logs of all workers."""
        return sorted(self.folder.glob(f"{self.name}-*.log"))

    def ports(self) -> list[int]:
        """Where each worker answers probes."""
        logs = (log.read_text().splitlines() for log in self.logs())
        return [json.loads([x for x in log if '"port"' in x][-1])["port"] for log in logs]

    def metric(self, name: str) -> dict[str, float]:
        """What the only worker shows of a metric, by its labels."""
        [port] = self.ports()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            shown = answer.read().decode()
        found = re.findall(rf"^{name}({{.*}}) (\S+)$", shown, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def _resume(self, one: Process) -> None:
        if self._running.get(one.slot) is one:
            self._paused.discard(one.slot)
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGCONT)

    def _start(self, slot: int) -> None:
        self.restarts += slot in self._not_before
        self._paused.discard(slot)
        environment = {**self.environment, **self.variables(slot)}
        path = self.folder / f"{self.name}-{slot}.log"
        with path.open("ab") as log:
            begins = log.tell()
            process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
        self._running[slot] = Process(slot, process, path, begins)


def clients_of(pid: int) -> int:
    """How many clients of Kafka a process has open; each has one such thread."""
    count = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/comm"):
        # A thread may end meanwhile.
        with suppress(OSError):
            count += thread.read_text() == "rdk:main\n"
    return count


def _send_next(one: Process) -> None:
    if one.next_signal is None or time.monotonic() < one.next_signal[0]:
        return
    one.process.send_signal(one.next_signal[1])
    one.next_signal = time.monotonic() + GRACE_S, signal.SIGKILL
