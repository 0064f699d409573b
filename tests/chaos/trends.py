"""The trends beside the workers: killed like them, and their sums compared with the results."""

import json
import signal
import sys
import time
from collections import Counter

from local.process import free_ports
from sentiment.settings import Settings
from tests.chaos import records
from tests.chaos.workers import Fleet

# After the last commit: a restart, six seconds of a dead session, and all tallies once more.
CATCH_UP_S = 90.0
LOOK_S = 1.0
# The least that brokers allow, so that a kill holds it up as shortly as can be.
ENVIRONMENT = {"LOG_FORMAT": "json", "TRENDS_SESSION_TIMEOUT_S": "6"}
COMMAND = (sys.executable, "-m", "sentiment", "trends")
# The shortest and the longest windows.
SIZES_S = (10, 3600)


class TrendsProcess(Fleet):
    """One `sentiment trends`, started again when it ends."""

    def kill_one(self) -> None:
        """End it at once, if it runs."""
        if 0 in self._running:
            self.end(0, signal.SIGKILL, "killed")

    def variables(self, slot: int) -> dict[str, str]:
        """Its own port."""
        del slot
        return {**ENVIRONMENT, "TRENDS_HTTP_PORT": str(free_ports(1)[0])}


def wrong_sums(settings: Settings, process: TrendsProcess, results: int, letters: int) -> str:
    """What the windows add up to, where that isn't what is committed; empty once it is."""
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
