"""Live feeds: what each open page is sent, and what it is spared.

A person reads a few lines a second and a topic may carry tens of thousands. So a feed takes a
sample of each batch, within a budget, and counts what it left out; a browser that is too slow
even for that loses the oldest, which is counted too.
"""

import threading
import time
from collections import defaultdict, deque

from sentiment.events import SentimentResult
from sentiment.metrics import FEEDS

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
    """All open feeds; any thread may use it.

    Args:
        limit: How many may be open, since each holds a thread of the server.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: set[Feed] = set()
        self._closed = False

    def open(self, sentiment: str, source: str) -> Feed | None:
        """A new feed; None when there are as many as there may be, or the process ends."""
        feed = Feed(sentiment, source)
        with self._lock:
            if self._closed or len(self._open) >= self._limit:
                return None
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
