"""Dead letters for people and for programs.

What makes them safe to show is in `sentiment.dlq.describing`.
"""

import json
from collections import Counter
from collections.abc import Iterable

from sentiment import events
from sentiment.dlq.describing import Json, content, safe, time_of
from sentiment.dlq.letters import DeadLetter
from sentiment.dlq.redriving import Fate
from sentiment.dlq.sending import Ready
from sentiment.events import Redriven

# The width of an offset in the thousands of millions, and of the longest error code.
_ROW = "{:13}  {:24}  {:15}  {:>7}  {:8}  {:28}  {:16}  {}"
HEADER = _ROW.format(
    "dead letter", "time", "code", "attempt", "state", "event", "source", "message"
)


def row(letter: DeadLetter, *, redriven: bool) -> str:
    """One line of a table under `HEADER`."""
    return _ROW.format(
        letter.id,
        time_of(letter),
        safe(letter.code) or "?",
        letter.attempt,
        "redriven" if redriven else "waiting",
        safe(events.name_of(letter.input)) if letter.input else "?",
        safe(letter.source),
        safe(letter.message, 200),
    ).rstrip()


def totals(waiting: Counter[str], redriven: Counter[str]) -> Iterable[str]:
    """A table of counts by code, the most frequent first."""
    every = waiting + redriven
    yield f"{'code':15}  {'waiting':>9}  {'redriven':>9}"
    for code, _ in every.most_common():
        yield f"{safe(code) or '?':15}  {waiting[code]:9,}  {redriven[code]:9,}"
    yield f"{'all':15}  {waiting.total():9,}  {redriven.total():9,}"


def page(letter: DeadLetter, marks: list[Redriven], limit: int) -> Iterable[str]:
    """All about a dead letter, for a person.

    Args:
        letter: The dead letter.
        marks: When it was redriven.
        limit: Most characters of the value to show.
    """
    yield f"dead letter  {letter.id}, since {time_of(letter)}"
    yield f"event        {safe(events.name_of(letter.input)) if letter.input else '?'}"
    yield f"source       {safe(letter.source)}"
    yield f"error        {safe(letter.code) or '?'}: {safe(letter.message)}"
    yield f"attempt      {letter.attempt}"
    for mark in marks:
        how = "mended" if mark.mended else "as it was"
        yield f"redriven     {mark.redriven_at.isoformat(timespec='seconds')}, {how}"
    for name, value in letter.errors.items():
        yield f"header       {safe(name)}: {safe(value, limit)}"
    for name, own in letter.headers:
        yield f"own header   {safe(name)}: {safe(own, limit)}"
    yield f"key          {safe(letter.key, limit)}"
    yield f"value        {len(letter.value):,} bytes"
    yield safe(letter.value, limit)


def dumps(document: Json) -> str:
    """One line of JSON."""
    return json.dumps(document)


def plan(ready: Ready) -> str:
    """What would be sent, in a line for a person."""
    letter = ready.letter
    place = letter.input
    where = f"{place.topic} partition {place.partition}" if place else ""
    return (
        f"{letter.id} to {where}, after {letter.attempt}"
        f" attempt{'s' * (letter.attempt != 1)}: {safe(ready.value, 200)}"
    )


def fate(what: Fate, *, dry_run: bool) -> Json:
    """What became of a dead letter, for programs; of a dry run with the value."""
    said: Json = {"id": what.letter.id, "code": what.letter.code, "outcome": what.outcome}
    if what.reason:
        said["reason"] = what.reason
    if what.ready and dry_run:
        said = {**said, "outcome": "would_redrive", **content("value", what.ready.value)}
    return said


def outcome(counts: Counter[str], *, dry_run: bool) -> str:
    """What became of all of them, in a line."""
    verb = "Would redrive" if dry_run else "Redriven:"
    text = f"{verb} {counts['redriven']:,}"
    if counts["redriven_before"]:
        text += f"; redriven before: {counts['redriven_before']:,} (--again sends them once more)"
    if counts["left"]:
        text += f"; left: {counts['left']:,}, see above"
    return text + "."
