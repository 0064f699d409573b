"""One bounded pass over the dead letters: the latest of them, and counts of all by code."""

import heapq
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from flask import Blueprint, abort, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from sentiment import times, wire
from sentiment.dead_letters.dead_letter import DeadLetter, Selection
from sentiment.dead_letters.redrive import LeftError, prepare
from sentiment.dead_letters.scan import Found, Scan, find
from sentiment.dead_letters.show import details, safe, time_of
from sentiment.errors import InputError
from sentiment.settings import Settings
from sentiment.times import parse_since
from web import services
from web.operators import redrives
from web.operators.answers import answer
from web.operators.runs import started

# Which dead letters a request is about: its parameters, as a selection.


# What the form offers; the address takes whatever `sentiment dlq list --since` does.
TIMES = {"": "any time", "1h": "the last hour", "1d": "the last day", "7d": "the last week"}
# The longest source that an event may have, and longer than any code of ours.
MAX_FILTER = 256


@dataclass(frozen=True)
class Filter:
    """What a person chose.

    Attributes:
        code: Error code; empty for all.
        source: The events' source; empty for all.
        since: As the command takes it, but never without a time zone; empty for any time.
        waiting: Only those that were not redriven.
    """

    code: str
    source: str
    since: str
    waiting: bool

    def selection(self, *, by_code: bool = True, until: float | None = None) -> Selection:
        """The same for a scan.

        Args:
            by_code: False: of all codes.
            until: They became dead letters before this; seconds since 1970.

        Raises:
            InputError: The time is none.
        """
        since = parse_since(self.since, time.time(), "since") if self.since else "beginning"
        return Selection(
            codes=frozenset({self.code} if self.code and by_code else ()),
            sources=frozenset({self.source} if self.source else ()),
            since=None if since == "beginning" else since,
            until=until,
        )

    def parameters(self, **changes: str) -> dict[str, str]:
        """The address's parameters of this filter with some of them changed."""
        own = {"code": self.code, "source": self.source, "since": self.since}
        own["state"] = "waiting" if self.waiting else ""
        return {name: value for name, value in {**own, **changes}.items() if value}

    def words(self) -> str:
        """The same for people, and for the log."""
        parts = [
            self.code and f"code {self.code}",
            self.source and f"source {self.source}",
            self.since and f"since {self.since}",
        ]
        return ", ".join(filter(None, parts)) or "all"


def read(values: MultiDict[str, str]) -> Filter:
    """The filter in a request's parameters.

    Raises:
        InputError: One of them is too long.
    """
    given = {name: values.get(name, "").strip() for name in ("code", "source", "since")}
    if any(len(text) > MAX_FILTER for text in given.values()):
        raise InputError(f"A filter has {MAX_FILTER} characters at most.")
    return Filter(**given, waiting=values.get("state") == "waiting")


# About a second of reading; a page that counts a month of them would be a minute's.
LATEST = 20_000
# Twenty pages. A row takes about a kilobyte, whatever its dead letter does.
KEPT = 1_000
ROWS = 50
# Ours are twelve, but whoever may write to the topic makes up others: a count for each.
MAX_CODES = 100
OTHER = "(other)"
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
        for dead_letter in scan.dead_letters():
            redriven = dead_letter in scan.redriven
            if redriven and chosen.waiting:
                continue
            counts = listing.redriven if redriven else listing.waiting
            code = safe(dead_letter.code, MAX_TEXT)
            counts[code if code in counts or len(counts) < MAX_CODES else OTHER] += 1
            if chosen.code not in {"", dead_letter.code}:
                continue
            listing.matching += 1
            key = (dead_letter.timestamp_ms, dead_letter.partition, dead_letter.offset)
            if len(kept) < KEPT:
                heapq.heappush(kept, (*key, _row(dead_letter, redriven=redriven)))
            elif key > kept[0][:3]:
                heapq.heapreplace(kept, (*key, _row(dead_letter, redriven=redriven)))
        listing.passed_over = scan.passed_over
    listing.rows = [row for *_, row in sorted(kept, key=lambda item: item[:3], reverse=True)]
    return listing


def _row(dead_letter: DeadLetter, *, redriven: bool) -> Row:
    return Row(
        id=dead_letter.id,
        time=time_of(dead_letter),
        code=safe(dead_letter.code, MAX_TEXT),
        message=safe(dead_letter.message, MAX_TEXT),
        attempt=dead_letter.attempt,
        redriven=redriven,
        event=safe(wire.name_of(dead_letter.input), MAX_TEXT) if dead_letter.input else "",
        source=safe(dead_letter.source, MAX_TEXT),
        bytes=len(dead_letter.value),
    )


# Foreign bytes as text that can be seen: what would act or hide is shown as Python writes it. An
# escape in the text itself (`\n` as two characters) looks the same as one of ours; so ours are
# apart, and the page marks them.


# How surrogateescape brings the bytes 0x80 to 0xff, which are no UTF-8.
_BYTES = range(0xDC80, 0xDD00)
_BYTES_BASE = 0xDC00

# Some screens of text: whoever needs all of it wants the bytes, not a page.
LIMIT = 10_000


class Part(NamedTuple):
    """Characters that are all shown as they are, or that are all escaped."""

    text: str
    escaped: bool


class Visible(NamedTuple):
    """What can be seen of a value: its parts, and how many characters were left out."""

    parts: list[Part]
    more: int


def visible(value: str | bytes | None, limit: int = LIMIT) -> Visible:
    """Split a value into what shows and what is escaped.

    Args:
        value: Bytes are read as UTF-8; those that are none are escaped one by one.
        limit: Most characters to show.
    """
    text = value.decode(errors="surrogateescape") if isinstance(value, bytes) else value or ""
    parts: list[Part] = []
    for character in text[:limit]:
        plain = character.isprintable()
        shown = character if plain else _escape(character)
        if parts and parts[-1].escaped != plain:
            parts[-1] = Part(parts[-1].text + shown, not plain)
        else:
            parts.append(Part(shown, not plain))
        if character == "\n":
            # A line end is shown, and ends the line too.
            parts.append(Part("\n", escaped=False))
    return Visible(parts, max(0, len(text) - limit))


def _escape(character: str) -> str:
    code = ord(character)
    if code in _BYTES:
        return f"\\x{code - _BYTES_BASE:02x}"
    return character.encode("unicode_escape").decode()


# The dead letters: their list, one of them, and sending that one back.


letters = Blueprint("letters", __name__)

# One dead letter is back in a fraction of a second; after this the run's own page goes on telling.
PATIENCE_S = 5.0
# Of each header, key and error: enough to know it by.
MAX_HEADER = 400


@letters.get("/")
def home() -> ResponseReturnValue:
    """Where an operator begins."""
    return redirect(url_for(".latest"), 303)


@letters.get("/dead-letters")
def latest() -> ResponseReturnValue:
    """The latest dead letters, and their counts by code."""
    chosen = read(request.args)
    listing = look_through(redrives.settings(), chosen)
    number = request.args.get("page", "1")
    if not (number.isascii() and number.isdigit()) or not 0 < int(number[:9]) <= listing.pages:
        raise InputError(f"There is no page {number[:20]!r} of this list.")
    return answer(
        "dead_letters.html",
        listing.page(int(number)),
        chosen=chosen,
        times=TIMES,
        running=redrives.current().running(),
    )


@letters.get("/dead-letters/<int:partition>-<int:offset>")
def one(partition: int, offset: int) -> ResponseReturnValue:
    """All about one."""
    found = _found(partition, offset)
    dead_letter = found.dead_letter
    document = {**details(dead_letter, found.marks), "kept_back": _kept_back(found)}
    return answer(
        "dead_letter.html",
        {"letter": document},
        key=visible(dead_letter.key, MAX_HEADER),
        value=visible(dead_letter.value),
        headers=[(safe(name), visible(own, MAX_HEADER)) for name, own in dead_letter.headers],
        errors=[(name, visible(text, MAX_HEADER)) for name, text in dead_letter.errors.items()],
        message=visible(dead_letter.message, MAX_HEADER),
        time=time_of(dead_letter),
        marks=found.marks,
    )


@letters.post("/dead-letters/<int:partition>-<int:offset>/redrive")
def send_back(partition: int, offset: int) -> ResponseReturnValue:
    """Send one back, once."""
    dead_letter = _found(partition, offset).dead_letter
    # The time spares reading what stands before it.
    selection = Selection(ids=frozenset({dead_letter.id}), since=_since(dead_letter))
    run = redrives.current().begin(selection, g.operator.name, dead_letter.id)
    run.ended.wait(PATIENCE_S)
    if g.operator.by == "bearer" or not run.ended.is_set() or run.problem:
        return started(run)
    if run.counts["redriven"]:
        flash("Sent back. The workers classify it now.", "done")
    elif run.counts["redriven_before"]:
        flash("It had been sent back before: nothing was sent.", "left")
    else:
        reason = run.left[0][1] if run.left else "it is no longer there"
        flash(f"Left where it is: {reason}.", "left")
    return redirect(url_for(".one", partition=partition, offset=offset), 303)


def _found(partition: int, offset: int) -> Found:
    # Kafka's numbers have 31 and 63 bits.
    fits = partition < 2**31 and offset < 2**63
    found = find(redrives.settings(), partition, offset) if fits else None
    if found is None:
        abort(404, "No dead letter stands here: it has expired, or never was.")
    return found


def _since(dead_letter: DeadLetter) -> float | None:
    """Its time, for looking it up; None where Kafka can't look up what its producer wrote."""
    # A float holds milliseconds exactly enough up to the year 9999.
    return dead_letter.timestamp_ms / 1000 if times.date_of(dead_letter.timestamp_ms) else None


def _kept_back(found: Found) -> str:
    """Why it can't be sent back from here; empty where it can."""
    if found.marks:
        return "It has been sent back already."
    try:
        prepare(services.current().settings, found.dead_letter)
    except LeftError as error:
        return f"It would only come back: {safe(str(error), MAX_HEADER)}."
    return ""
