"""Live feeds: what each open page is sent, and what it is spared.

A person reads a few lines a second and a topic may carry tens of thousands. So a feed takes a
sample of each batch, within a budget, and counts what it left out; a browser that is too slow
even for that loses the oldest, which is counted too.
"""

import sys
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from sentiment.metrics import FEEDS
from sentiment.wire import Input, SentimentResult

# As many lines a second as a person can scan; 200 feeds of them are 2,000 small writes a second.
RESULTS_PER_S = 10.0
# Fills a screen at once after a quiet time.
BURST = 40
# Ten seconds of a feed at its full rate: what a browser may lag behind before it loses lines.
QUEUE = 100

Groups = dict[tuple[str, str], list[SentimentResult]]


class Feed:
    """One open feed.

    Args:
        sentiment: `positive`, `negative`, or empty for both.
        source: Only results of this source; empty for all.
    """

    def __init__(self, sentiment: str, source: str) -> None:
        self._key = (source, sentiment)
        self._changed = threading.Condition()
        self._results: deque[SentimentResult] = deque(maxlen=QUEUE)
        self._skipped = 0
        self._budget = float(BURST)
        self._refilled = time.monotonic()
        self.closed = False

    def offer(self, groups: Groups) -> None:
        """Take a sample of a batch: the newest that the budget allows."""
        matching = groups.get(self._key)
        if not matching:
            return
        now = time.monotonic()
        self._budget = min(BURST, self._budget + (now - self._refilled) * RESULTS_PER_S)
        self._refilled = now
        count = min(int(self._budget), len(matching))
        self._budget -= count
        with self._changed:
            self._skipped += len(matching) - count
            if count:
                self._skipped += max(0, len(self._results) + count - QUEUE)
                self._results.extend(matching[-count:])
                self._changed.notify()

    def take(self, timeout_s: float) -> tuple[list[SentimentResult], int]:
        """What has come since the last call.

        Args:
            timeout_s: Longest wait for the first result, in seconds.

        Returns:
            Results, oldest first, and how many others matched and were left out.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._results or self.closed, timeout_s)
            results, skipped = list(self._results), self._skipped
            self._results.clear()
            self._skipped = 0
            return results, skipped

    def close(self) -> None:
        """Let the one who waits go: the process ends."""
        with self._changed:
            self.closed = True
            self._changed.notify()


class Feeds:
    """All open feeds; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[Feed] = set()
        self._closed = False

    def open(self, sentiment: str, source: str) -> Feed:
        """A new feed; one that is closed already when the process ends."""
        feed = Feed(sentiment, source)
        with self._lock:
            feed.closed = self._closed
            self._open.add(feed)
            FEEDS.set(len(self._open))
        return feed

    def leave(self, feed: Feed) -> None:
        """A feed whose browser has gone."""
        with self._lock:
            self._open.discard(feed)
            FEEDS.set(len(self._open))

    def publish(self, results: list[SentimentResult]) -> None:
        """Offer a batch to every feed; grouped once, so that a filter costs a feed nothing."""
        with self._lock:
            feeds = list(self._open)
        if not feeds:
            return
        groups: Groups = defaultdict(list, {("", ""): results})
        for result in results:
            groups["", result.sentiment].append(result)
            if result.source:
                groups[result.source, ""].append(result)
                groups[result.source, result.sentiment].append(result)
        for feed in feeds:
            feed.offer(groups)

    def close(self) -> None:
        """End all feeds."""
        with self._lock:
            self._closed = True
            feeds = list(self._open)
        for feed in feeds:
            feed.close()


# What became of the latest events, by their place on the topic and by id, and waiting for one.


# How far back a new feed looks for results that pass its filter: some milliseconds of work.
LOOK_BACK = 5000
# What all outcomes together may take: the default number of them at a kilobyte each, which is the
# usual size, and a quarter more. Ids and sources of 256 wide characters would make it three times
# as much.
MOST_BYTES = 64 * 1024 * 1024
# An outcome without the strings that its sender chooses, and its places in the dictionaries here.
OUTCOME_BYTES = 800
# An explanation is at most some 90 kB, as the worker bounds its parts: hundreds of the longest,
# tens of thousands of usual ones.
MOST_EXPLANATION_BYTES = 16 * 1024 * 1024
# One without its JSON and its asker, whose length the sender chooses.
EXPLANATION_BYTES = 500


class Unclassified(Struct, frozen=True, gc=False):
    """An event that could not be classified: why, and where it stands on its topic."""

    id: str
    code: str
    message: str
    input: Input


class Explained(Struct, frozen=True, gc=False):
    """An explanation, kept for who asked for it.

    Attributes:
        asker: Digest of the token that shows it.
        json: A `sentiment.wire.Explanation`.
    """

    asker: bytes
    json: bytes


Outcome = SentimentResult | Unclassified


class Outcomes:
    """The latest outcomes, bounded in number and bytes; any thread may use it.

    Args:
        limit: How many are kept; the oldest go first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        # Plain dictionaries slow down when they lose their oldest key again and again.
        self._recent: OrderedDict[Input, Outcome] = OrderedDict()
        self._bytes = 0
        # Anybody may send an event with any id: this is the last one of each.
        self._named: dict[str, Outcome] = {}
        self._explained: OrderedDict[Input, Explained] = OrderedDict()
        self._explained_bytes = 0
        self._waiting: dict[str | Input, list[threading.Event]] = {}
        self._closed = False

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take in a batch, and wake those who wait for one of it."""
        with self._lock:
            for outcome in outcomes:
                before = self._recent.get(outcome.input)
                if before is not None:
                    self._drop(before)
                self._recent[outcome.input] = outcome
                self._bytes += _size(outcome)
                # An event that was mended and sent again has its result, which is the last word.
                if isinstance(outcome, SentimentResult) or not isinstance(
                    self._named.get(outcome.id), SentimentResult
                ):
                    self._named[outcome.id] = outcome
                if self._waiting:
                    for key in (outcome.id, outcome.input):
                        for arrived in self._waiting.get(key, ()):
                            arrived.set()
            while len(self._recent) > self._limit or self._bytes > MOST_BYTES:
                self._drop(self._recent.popitem(last=False)[1])

    def _drop(self, outcome: Outcome) -> None:
        self._bytes -= _size(outcome)
        if self._named.get(outcome.id) is outcome:
            del self._named[outcome.id]

    def explain(self, place: Input, explained: Explained) -> None:
        """Keep an explanation of a result beside it; the oldest ones go first."""
        with self._lock:
            before = self._explained.pop(place, None)
            self._explained[place] = explained
            self._explained_bytes += _kept(explained) - (_kept(before) if before else 0)
            while self._explained_bytes > MOST_EXPLANATION_BYTES:
                self._explained_bytes -= _kept(self._explained.popitem(last=False)[1])

    def explanation(self, place: Input, asker: bytes) -> bytes | None:
        """The explanation of a result in JSON; None without one, or for another asker."""
        with self._lock:
            explained = self._explained.get(place)
        return explained.json if explained and explained.asker == asker else None

    def at(self, name: str, place: Input) -> Outcome | None:
        """What became of the event of an id in a place, if that is here."""
        return self.wait(name, 0, place)

    def wait(self, name: str, timeout_s: float, place: Input | None = None) -> Outcome | None:
        """What became of an event.

        Args:
            name: The event's id.
            timeout_s: Longest wait for it, in seconds; 0 only looks.
            place: Where it stands on its topic; None: the last event of this id, whoever sent it.

        Returns:
            Its outcome; None if there is none in time, or it is too long ago.
        """
        key, arrived = place or name, threading.Event()
        with self._lock:
            outcome = self._find(name, place)
            if outcome is not None or timeout_s <= 0 or self._closed:
                return outcome
            self._waiting.setdefault(key, []).append(arrived)
        arrived.wait(timeout_s)
        with self._lock:
            waiting = self._waiting[key]
            waiting.remove(arrived)
            if not waiting:
                del self._waiting[key]
            return self._find(name, place)

    def _find(self, name: str, place: Input | None) -> Outcome | None:
        if place is None:
            return self._named.get(name)
        outcome = self._recent.get(place)
        # A topic that was made anew has other events in the same places.
        return outcome if outcome is not None and outcome.id == name else None

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


def _size(outcome: Outcome) -> int:
    """About what an outcome takes, in bytes."""
    size = OUTCOME_BYTES + sys.getsizeof(outcome.id)
    if isinstance(outcome, SentimentResult):
        # Its topic and model are not the sender's to choose.
        return size + sys.getsizeof(outcome.source)
    return size + sum(map(sys.getsizeof, (outcome.input.topic, outcome.code, outcome.message)))


def _kept(explained: Explained) -> int:
    return EXPLANATION_BYTES + len(explained.asker) + len(explained.json)
