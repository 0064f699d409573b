"""The trends beside the workers: killed like them, and their sums compared with the results."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.process import free_ports
from sentiment.settings import Settings
from tests.chaos import records

# Faust ends within its own 20 s.
PATIENCE_S = 30.0
# The pause before one that ended is started again.
BACK_OFF_S = 0.5
# After the last commit: a restart, six seconds of a dead session, and all tallies once more.
CATCH_UP_S = 90.0
LOOK_S = 1.0
# The least that brokers allow, so that a kill holds it up as shortly as can be.
ENVIRONMENT = {"LOG_FORMAT": "json", "TRENDS_SESSION_TIMEOUT_S": "6"}
COMMAND = (sys.executable, "-m", "sentiment", "trends")
# The shortest and the longest windows.
SIZES_S = (10, 3600)


@dataclass
class TrendsProcess:
    """One `sentiment trends`, started again when it ends.

    Attributes:
        environment: Of it.
        folder: Where its log goes.
        exits: How often it ended, by why and with which code.
    """

    environment: Mapping[str, str]
    folder: Path
    exits: Counter[str] = field(default_factory=Counter)
    _process: subprocess.Popen[bytes] | None = None
    _wanted: bool = False
    _not_before: float = 0.0

    def start(self) -> None:
        """Start it; `tend` starts it again."""
        self._wanted = True
        with (self.folder / "trends.log").open("ab") as log:
            self._process = subprocess.Popen(
                COMMAND,
                stdout=log,
                stderr=log,
                env={
                    **self.environment,
                    **ENVIRONMENT,
                    "TRENDS_HTTP_PORT": str(free_ports(1)[0]),
                },
            )

    def tend(self) -> None:
        """Start it again if it has ended."""
        if self._process is not None and self._process.poll() is not None:
            self._note("ended by itself")
            self._not_before = time.monotonic() + BACK_OFF_S
        if self._process is None and self._wanted and time.monotonic() >= self._not_before:
            self.start()

    def kill(self, why: str = "killed") -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._note(why)

    def stop(self) -> bool:
        """Stop it cleanly; False when it had to be killed for it."""
        self._wanted = False
        if self._process is None:
            return True
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill("killed at the end")
            return False
        self._note("stopped at the end")
        return True

    def _note(self, why: str) -> None:
        assert self._process is not None
        self.exits[f"trends {why}: {self._process.returncode}"] += 1
        self._process = None


def wrong_sums(settings: Settings, process: TrendsProcess, results: int, letters: int) -> str:
    """What the windows add up to, where that isn't what there is; empty once it is.

    Args:
        settings: Where the topics are.
        process: Tended while it catches up.
        results: Committed results.
        letters: Committed dead letters.
    """
    deadline = time.monotonic() + CATCH_UP_S
    expected = dict.fromkeys(SIZES_S, (results, letters))
    while (found := _sums(settings)) != expected:
        if time.monotonic() > deadline:
            return f"by length of window (results, dead letters) {found}, and there are {expected}"
        process.tend()
        time.sleep(LOOK_S)
    return ""


def _sums(settings: Settings) -> dict[int, tuple[int, int]]:
    """Results and dead letters in all windows of all sources together, by length of window."""
    latest = {
        record.key: record.value
        for record in records.committed(settings.kafka, settings.topics.trends)
    }
    results, letters = Counter[int](), Counter[int]()
    for value in latest.values():
        trend = json.loads(value or b"")
        if trend["source"] is None:
            results[trend["window_s"]] += trend["total"]["events"]
            letters[trend["window_s"]] += trend["total"]["dead_letters"]
    return {size: (results[size], letters[size]) for size in SIZES_S}
