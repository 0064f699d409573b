"""One open live feed: a browser that listens to everybody's results."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sentiment import events, metrics
from sentiment.events import SentimentResult

# More results than this are nobody's to read: a batch's newest are shown, the rest is counted.
MOST_PER_BATCH = 8
# What a slow browser may fall behind; beyond it the oldest are dropped, and it is told.
MOST_WAITING = 64
# A status at least this often: shows that the line is alive, and finds closed ones.
STATUS_S = 2.0


class Feed:
    """A queue between the inbox's thread and one request's.

    Args:
        sentiment: Only these results; empty: all.
        source: Only results of this source; empty: all.
    """

    def __init__(self, sentiment: str = "", source: str = "") -> None:
        self._sentiment = sentiment
        self._source = source
        self._waiting: deque[SentimentResult] = deque(maxlen=MOST_WAITING)
        self._condition = threading.Condition()
        self._closed = False
        self._skipped = 0

    def offer(self, results: Sequence[SentimentResult]) -> None:
        """Take in a batch, from the inbox's thread. Never blocks for long, never grows."""
        wanted = [result for result in results if self._wants(result)]
        if not wanted:
            return
        with self._condition:
            shown = wanted[-MOST_PER_BATCH:]
            room = MOST_WAITING - len(self._waiting)
            self._skipped += len(wanted) - len(shown) + max(len(shown) - room, 0)
            self._waiting.extend(shown)
            self._condition.notify()

    def _wants(self, result: SentimentResult) -> bool:
        return self._sentiment in {"", result.sentiment} and self._source in {"", result.source}

    def close(self) -> None:
        """End the feed; its browser will try another replica."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def stream(self, status: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
        """Server-sent events (WHATWG HTML, 9.2) until the feed or the browser's line is closed.

        Args:
            status: What to tell beside the results.

        Yields:
            `result` events with a result each, and `status` events.
        """
        metrics.FEEDS.inc()
        try:
            # The browser tries again after a second when the line breaks.
            yield b"retry: 1000\n\n"
            told = 0.0
            while not self._closed:
                if time.monotonic() - told >= STATUS_S:
                    told = time.monotonic()
                    yield _event("status", {**status(), "skipped": self._skipped})
                with self._condition:
                    self._condition.wait_for(lambda: self._waiting or self._closed, STATUS_S)
                    ready = list(self._waiting)
                    self._waiting.clear()
                if ready:
                    yield b"".join(_event("result", result) for result in ready)
        finally:
            metrics.FEEDS.dec()


def _event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + events.encode(data) + b"\n\n"
