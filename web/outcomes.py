"""What became of the latest events, by id, and waiting for one of them."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice

from msgspec import Struct

from sentiment.events import Input, SentimentResult

# How far back a new feed looks for results that pass its filter: some milliseconds of work.
LOOK_BACK = 5000


class DeadLetter(Struct, frozen=True, gc=False):
    """An event that could not be classified: why, and where it stands on its topic."""

    id: str
    code: str
    message: str
    input: Input


Outcome = SentimentResult | DeadLetter


class Outcomes:
    """The latest outcomes, bounded in number; any thread may use it.

    Args:
        limit: How many are kept; the oldest go first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        # Plain dictionaries slow down when they lose their oldest key again and again.
        self._recent: OrderedDict[str, Outcome] = OrderedDict()
        self._waiting: dict[str, list[threading.Event]] = {}
        self._closed = False

    def add(self, outcomes: Mapping[str, Outcome]) -> None:
        """Take in a batch, and wake those who wait for one of it."""
        with self._lock:
            self._recent.update(outcomes)
            while len(self._recent) > self._limit:
                self._recent.popitem(last=False)
            for name in self._waiting.keys() & outcomes.keys():
                for arrived in self._waiting[name]:
                    arrived.set()

    def wait(self, name: str, timeout_s: float) -> Outcome | None:
        """What became of an event.

        Args:
            name: The event's id.
            timeout_s: Longest wait for it, in seconds; 0 only looks.

        Returns:
            Its outcome; None if there is none in time, or it is too long ago.
        """
        arrived = threading.Event()
        with self._lock:
            outcome = self._recent.get(name)
            if outcome is not None or timeout_s <= 0 or self._closed:
                return outcome
            self._waiting.setdefault(name, []).append(arrived)
        arrived.wait(timeout_s)
        with self._lock:
            waiting = self._waiting[name]
            waiting.remove(arrived)
            if not waiting:
                del self._waiting[name]
            return self._recent.get(name)

    def latest(self, count: int, sentiment: str, source: str) -> list[SentimentResult]:
        """The newest results that pass a filter, oldest first; an empty filter lets all pass."""
        with self._lock:
            newest = list(islice(reversed(self._recent.values()), LOOK_BACK))
        found = (
            outcome
            for outcome in newest
            if isinstance(outcome, SentimentResult)
            and sentiment in {"", outcome.sentiment}
            and source in {"", outcome.source}
        )
        return list(islice(found, count))[::-1]

    def close(self) -> None:
        """Wake everybody who waits: the process ends."""
        with self._lock:
            self._closed = True
            for waiting in self._waiting.values():
                for arrived in waiting:
                    arrived.set()
