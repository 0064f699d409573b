"""`sentiment trends` as a process of a test's own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from local.process import free_ports
from sentiment import wire
from sentiment.wire import Model, Tally, TallyCount
from tests.integration.workers import PATIENCE_S

StartTrends = Callable[..., "TrendsProcess"]


def tally(first: int, count: int, partition: int = 0) -> bytes:
    """A tally of so many positive results now."""
    interval = int(time.time()) // 10 * 10
    counts = [TallyCount("s", interval, count, 0, 0, None, 0.9 * count, 5.0 * count)]
    model = Model("sentiment", "1")
    return wire.encode(Tally("e", partition, first, first + count, model, 0, counts))


class TrendsProcess:
    """A `sentiment trends` of its own.

    Args:
        log: Where its log goes.
        environment: What it has beside the test's own.
        program: What Python runs.
    """

    def __init__(self, log: Path, environment: Mapping[str, str], program: Sequence[str]) -> None:
        self._log = log
        self._environment = environment
        self._program = program
        self.start()

    def start(self) -> None:
        """Start it, the first time or again."""
        [self.port] = free_ports(1)
        command = [sys.executable, *self._program, "trends", "--http-port", str(self.port)]
        with self._log.open("ab") as log:
            environment = {**os.environ, **self._environment}
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End it by a signal, and return its exit code."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)

    def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        return self._process.wait(PATIENCE_S)

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        return self._log.read_text()

    def answer(self, path: str) -> str:
        """Status and text of what a path answers, or why there is no answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=10
            ) as answer:
                return f"{answer.status} {answer.read().decode()}"
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code} {error.read().decode()}"
        # Busy, not there yet, or gone.
        except OSError as error:
            return str(error)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What a view answers; None while it doesn't."""
        status, _, text = self.answer(path).partition(" ")
        return json.loads(text) if status == "200" else None

    def events(self, window: int = 3600) -> int:
        """Results in all windows of a length."""
        answer = self.get(f"/trends?window={window}&seconds=100000") or {"trends": []}
        return sum(trend["total"]["events"] for trend in answer["trends"])

    def _wait_until(self, ask: Callable[[], object], is_so: Callable[[Any], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(found := ask()):
            assert time.monotonic() < deadline, f"{found}\n{self.log}"
            time.sleep(0.2)

    def wait_for_probe(self, path: str, status: int, words: str) -> None:
        """Wait until a probe is answered so."""
        self._wait_until(
            lambda: self.answer(path),
            lambda found: found.startswith(f"{status} ") and words in found,
        )

    def wait_for_metric(self, line: str) -> None:
        """Wait until `/metrics` has a line."""
        self.wait_for_probe("/metrics", 200, f"\n{line}\n")

    def wait_for_count(self, series: str, least: int) -> None:
        """Wait until a counter has a value or more: what is read again is counted again."""
        deadline, found = time.monotonic() + PATIENCE_S, 0.0
        while found < least:
            assert time.monotonic() < deadline, f"{found} of {least}\n{self.log}"
            time.sleep(0.2)
            with suppress(OSError):
                url = f"http://127.0.0.1:{self.port}/metrics"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    shown = answer.read().decode()
                found = next(
                    (float(line.split()[-1]) for line in shown.splitlines() if series in line), 0.0
                )

    def wait_for(self, count: int, window: int = 3600) -> None:
        """Wait until the windows have as many results, and a little longer for more."""
        self._wait_until(lambda: self.events(window), lambda events: events >= count)
        time.sleep(1)
        assert self.events(window) == count

    def wait_for_accuracy(self, expected: dict[str, tuple[int, float]]) -> None:
        """Wait until each version has so many labels and such an accuracy."""

        def accuracy() -> object:
            models = (self.get("/accuracy") or {"models": {}})["models"]
            return {name: (own["labels"], own["accuracy"]) for name, own in models.items()}

        self._wait_until(accuracy, lambda found: found == expected)
