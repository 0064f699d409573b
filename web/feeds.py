"""Live feeds: what each open page is sent, and what it is spared.

A person reads a few lines a second, a topic may carry tens of thousands: a feed samples each batch
within a budget; a browser too slow for that loses the oldest. Both are counted. One thread writes
to all: a thread for each would cost a switch of threads for each line.
"""

import sys
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import islice
from typing import Protocol

from msgspec import Struct, structs

from sentiment import wire
from sentiment.wire import Input, SentimentResult
from web.answers import FeedStatus
from web.metrics import FEEDS

FEED = "/api/stream"
# Where the server has put what takes over a feed, in the environment of a request.
FOLLOW = "sentiment.follow"
# How often a feed may send a new status.
STATUS_S = 1.0
# Proxies close what is silent for 30 or 60 s, and a computer switched off shows only at a write.
HEARTBEAT_S = 5.0
# As many lines a second as a person can scan; 200 feeds of them are 2,000 small writes a second.
RESULTS_PER_S = 10.0
# Fills a screen at once after a quiet time.
BURST = 40
# Ten seconds of a feed at its full rate: what a browser may lag behind before it loses lines.
QUEUE = 100
# How far back results are sought that pass a new feed's filter: some milliseconds of work.
SEARCHED = 5000
# All outcomes together: the default number at a kilobyte each and a quarter more. The longest ids
# and sources would make it three times as much.
MOST_BYTES = 64 * 1024 * 1024
# An outcome without the strings that its sender chooses, and its places in the dictionaries here.
OUTCOME_BYTES = 800
# An explanation is at most some 90 kB, as the worker bounds its parts: hundreds of the longest,
# tens of thousands of usual ones.
MOST_EXPLANATION_BYTES = 16 * 1024 * 1024
# One without its JSON and its asker, whose length the sender chooses.
EXPLANATION_BYTES = 500

Groups = dict[tuple[str, str], list[SentimentResult]]


class Reader(Protocol):
    """A connection that a feed is written to; the feeds' thread calls it, and it never waits."""

    @property
    def behind(self) -> bool:
        """Whether it has not taken in yet what was written before."""

    def push(self, data: bytes) -> None:
        """Write some lines; where it has gone, nothing happens."""

    def end(self) -> None:
        """Close it in order."""


class Feed:
    """One open feed, of a sentiment and a source, or all; `left` is called at its end."""

    def __init__(self, sentiment: str, source: str, left: Callable[["Feed"], None]) -> None:
        self._key = (source, sentiment)
        self.leave = partial(left, self)
        self._lock = threading.Lock()
        self._results: deque[SentimentResult] = deque(maxlen=QUEUE)
        self._skipped = 0
        self._budget = float(BURST)
        self._reader: Reader | None = None
        self._ended = False
        # The first status goes out at once: a person waits to hear whether all is well.
        self._refilled = self._next_status = self._last = time.monotonic()
        self._told: FeedStatus | None = None

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
        with self._lock:
            self._skipped += len(matching) - count
            if count:
                self._skipped += max(0, len(self._results) + count - QUEUE)
                self._results.extend(matching[-count:])

    def send(
        self, status: Callable[[], FeedStatus], line: Callable[[SentimentResult], bytes]
    ) -> None:
        """Write what is new, beside a status with nothing skipped, unless the reader is behind."""
        reader, now = self._reader, time.monotonic()
        due = now >= self._next_status
        if reader is None or not (self._results or due) or reader.behind:
            return
        with self._lock:
            lines = [line(result) for result in self._results]
            self._results.clear()
            if due:
                told = structs.replace(status(), skipped=self._skipped)
                if told != self._told:
                    lines.append(event("status", told))
                self._told, self._skipped, self._next_status = told, 0, now + STATUS_S
        if not lines and now - self._last > HEARTBEAT_S:
            lines.append(b": still here\n\n")
        if lines:
            self._last = now
            reader.push(b"".join(lines))

    def begin(self, reader: Reader) -> None:
        """Go on with a connection whose answer has begun."""
        self._reader = reader
        if self._ended:
            reader.end()

    def end(self) -> None:
        """The process ends."""
        self._ended = True
        if self._reader:
            self._reader.end()


def event(kind: str, data: object) -> bytes:
    """An event of a feed (WHATWG HTML, section 9.2)."""
    # JSON has no line breaks, and so ends no line of the stream too early.
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), wire.encode(data))


class Feeds:
    """All open feeds; any thread may use it. The status they tell is one with nothing left out."""

    def __init__(self, status: Callable[[], FeedStatus]) -> None:
        self._status = status
        self._lock = threading.Lock()
        self._open: set[Feed] = set()
        self._news = threading.Event()
        self._closed = False

    def open(self, sentiment: str, source: str, leave: Callable[[], None]) -> Feed:
        """A new feed, of a sentiment and a source, or all; `leave` is called at its end."""

        def left(feed: Feed) -> None:
            with self._lock:
                if feed not in self._open:
                    return
                self._open.discard(feed)
                FEEDS.set(len(self._open))
            leave()

        feed = Feed(sentiment, source, left)
        with self._lock:
            self._open.add(feed)
            FEEDS.set(len(self._open))
        if self._closed:
            feed.end()
        return feed

    def publish(self, results: list[SentimentResult]) -> None:
        """Offer a batch to every feed; grouped once, so that a filter costs a feed nothing."""
        feeds = self._feeds()
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
        self._news.set()

    def _feeds(self) -> list[Feed]:
        with self._lock:
            return list(self._open)

    def run(self) -> None:
        """Write to each feed what it has, until all are closed."""
        ended = False
        while not ended:
            self._news.wait(STATUS_S / 4)
            self._news.clear()
            ended = self._closed
            # Most feeds show the same: each line and the status are made once for all of them.
            lines: dict[Input, bytes] = {}

            def line(result: SentimentResult, lines: dict[Input, bytes] = lines) -> bytes:
                made = lines.get(result.input)
                if made is None:
                    made = lines[result.input] = event("result", result)
                return made

            status = cache(self._status)
            for feed in self._feeds():
                feed.send(status, line)
        for feed in self._feeds():
            feed.end()

    def close(self) -> None:
        """End all feeds."""
        self._closed = True
        self._news.set()


class Failure(Struct, frozen=True, gc=False):
    """An event that could not be classified: why, and where it stands on its topic."""

    id: str
    code: str
    message: str
    input: Input


Explained = tuple[bytes, bytes]
Outcome = SentimentResult | Failure


class Outcomes:
    """What became of the latest events, so many of them at most; any thread may use it."""

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
                # An event that was corrected and sent again has a result, which is final.
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
        return explained[1] if explained and explained[0] == asker else None

    def find(self, name: str, place: Input | None = None) -> Outcome | None:
        """What became of the event in a place, or else of the last with the id, if it is here."""
        with self._lock:
            return self._find(name, place)

    def wait(self, name: str, timeout_s: float, place: Input | None = None) -> Outcome | None:
        """The same, waiting for it for so many seconds."""
        key, arrived = place or name, threading.Event()
        with self._lock:
            outcome = self._find(name, place)
            if outcome is not None or self._closed:
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
        # A topic that was recreated has other events at the same offsets.
        return outcome if outcome is not None and outcome.id == name else None

    def latest(self, count: int, sentiment: str, source: str) -> list[SentimentResult]:
        """The newest results that pass a filter, oldest first; an empty filter lets all pass."""
        with self._lock:
            newest = list(islice(reversed(self._recent.values()), SEARCHED))
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
    return EXPLANATION_BYTES + sum(map(len, explained))
