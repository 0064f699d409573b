"""One bounded pass over the dead letters: the latest of them, and counts of all by code."""

import heapq
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from sentiment import events
from sentiment.dlq.describing import safe, time_of
from sentiment.dlq.letters import DeadLetter
from sentiment.dlq.scan import Scan
from sentiment.settings import Settings
from web.operators.filters import Filter

# About a second of reading; a page that counts a month of them would be a minute's.
LATEST = 20_000
# Twenty pages. A row takes about a kilobyte, whatever its dead letter does.
KEPT = 1_000
ROWS = 50
# A list's line; the rest is one click away.
MAX_TEXT = 200


@dataclass(frozen=True)
class Row:
    """A dead letter in a list; its texts are safe to show, and cut."""

    id: str
    time: str
    code: str
    message: str
    attempt: int
    redriven: bool
    event: str
    source: str
    bytes: int


@dataclass
class Listing:
    """What a pass has found.

    Attributes:
        rows: The latest that match the whole filter, newest first.
        matching: How many match it.
        waiting: Counts of those not redriven by code, whatever code the filter asks for.
        redriven: The same of those that were.
        passed_over: How many older ones were not looked at.
    """

    rows: list[Row] = field(default_factory=list)
    matching: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    redriven: Counter[str] = field(default_factory=Counter)
    passed_over: int = 0

    @property
    def pages(self) -> int:
        """How many pages the list has, at least one."""
        return max(1, -(-len(self.rows) // ROWS))

    def page(self, number: int) -> dict[str, Any]:
        """One page of the list, as JSON."""
        begin = (number - 1) * ROWS
        return {
            "letters": [asdict(row) for row in self.rows[begin : begin + ROWS]],
            "page": number,
            "pages": self.pages,
            "matching": self.matching,
            "counts": {
                code: {"waiting": self.waiting[code], "redriven": self.redriven[code]}
                for code, _ in (self.waiting + self.redriven).most_common()
            },
            "not_looked_at": self.passed_over,
        }


def look_through(settings: Settings, chosen: Filter) -> Listing:
    """Read the latest dead letters.

    Args:
        settings: Where Kafka is, and its topics.
        chosen: Which of them are to be listed.

    Raises:
        BrokerError: Kafka doesn't answer.
        TopicError: A topic doesn't exist.
        InputError: The filter's time is none.
    """
    listing = Listing()
    kept: list[tuple[int, int, int, Row]] = []
    with Scan(settings, chosen.selection(by_code=False), latest=LATEST) as scan:
        for letter in scan.letters():
            redriven = letter in scan.redriven
            if redriven and chosen.waiting:
                continue
            counts = listing.redriven if redriven else listing.waiting
            counts[safe(letter.code, MAX_TEXT)] += 1
            if chosen.code not in {"", letter.code}:
                continue
            listing.matching += 1
            key = (letter.timestamp_ms, letter.partition, letter.offset)
            if len(kept) < KEPT:
                heapq.heappush(kept, (*key, _row(letter, redriven=redriven)))
            elif key > kept[0][:3]:
                heapq.heapreplace(kept, (*key, _row(letter, redriven=redriven)))
        listing.passed_over = scan.passed_over
    listing.rows = [row for *_, row in sorted(kept, key=lambda item: item[:3], reverse=True)]
    return listing


def _row(letter: DeadLetter, *, redriven: bool) -> Row:
    return Row(
        id=letter.id,
        time=time_of(letter),
        code=safe(letter.code, MAX_TEXT),
        message=safe(letter.message, MAX_TEXT),
        attempt=letter.attempt,
        redriven=redriven,
        event=safe(events.name_of(letter.input), MAX_TEXT) if letter.input else "",
        source=safe(letter.source, MAX_TEXT),
        bytes=len(letter.value),
    )
