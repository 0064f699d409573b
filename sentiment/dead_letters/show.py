"""What is in a dead letter, as text that does nothing but show, and as JSON.

Everything in them may come from anybody: for people, what a terminal or a page would act on is
escaped; for programs, JSON in ASCII is as safe.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from sentiment import times, wire
from sentiment.dead_letters.dead_letter import DeadLetter
from sentiment.dead_letters.redrive import Fate, Ready
from sentiment.wire import Redriven

Json = dict[str, Any]


def safe(text: str | bytes | None, limit: int | None = None) -> str:
    r"""One line of text that only shows: what is not printable, line ends too, is escaped.

    Bytes are read as UTF-8; what is none shows as `\xff`. Characters beyond the limit are counted.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    text = text or ""
    cut = text if limit is None else text[:limit]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    more = len(text) - len(cut)
    return f"{shown} … {more:,} more" if more else shown


def time_of(dead_letter: DeadLetter) -> str:
    """When it became a dead letter, by RFC 3339; in milliseconds where that is no date."""
    moment = times.date_of(dead_letter.timestamp_ms)
    if moment is None:
        return f"{dead_letter.timestamp_ms} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(dead_letter: DeadLetter, *, redriven: bool) -> Json:
    """What a list says of a dead letter."""
    return {
        "id": dead_letter.id,
        "time": time_of(dead_letter),
        "code": dead_letter.code,
        "message": dead_letter.message,
        "attempt": dead_letter.attempt,
        "redriven": redriven,
        "input": dead_letter.input and msgspec.to_builtins(dead_letter.input),
        "source": dead_letter.source,
        "bytes": len(dead_letter.value),
    }


def details(dead_letter: DeadLetter, marks: list[Redriven]) -> Json:
    """All about a dead letter; bytes that are no UTF-8 are in base 64."""
    return {
        **summary(dead_letter, redriven=bool(marks)),
        "error_headers": dead_letter.errors,
        "redriven": [mark.redriven_at.isoformat() for mark in marks],
        "headers": [
            {"name": name, **content("value", value)} for name, value in dead_letter.headers
        ],
        **content("key", dead_letter.key),
        **content("value", dead_letter.value),
    }


def content(name: str, value: str | bytes | None) -> Json:
    """One member of a JSON object; bytes that are no UTF-8 in base 64, under another name."""
    if isinstance(value, bytes):
        try:
            return {name: value.decode()}
        except UnicodeDecodeError:
            return {f"{name}_base64": base64.b64encode(value).decode()}
    return {name: value}


# The width of an offset in the thousands of millions, and of the longest error code.
_ROW = "{:13}  {:24}  {:15}  {:>7}  {:8}  {:28}  {:16}  {}"
HEADER = _ROW.format(
    "dead letter", "time", "code", "attempt", "state", "event", "source", "message"
)


def row(dead_letter: DeadLetter, *, redriven: bool) -> str:
    """One line of a table under `HEADER`."""
    return _ROW.format(
        dead_letter.id,
        time_of(dead_letter),
        safe(dead_letter.code) or "?",
        dead_letter.attempt,
        "redriven" if redriven else "waiting",
        safe(wire.name_of(dead_letter.input)) if dead_letter.input else "?",
        safe(dead_letter.source),
        safe(dead_letter.message, 200),
    ).rstrip()


def totals(waiting: Counter[str], redriven: Counter[str]) -> Iterable[str]:
    """A table of counts by code, the most frequent first."""
    every = waiting + redriven
    yield f"{'code':15}  {'waiting':>9}  {'redriven':>9}"
    for code, _ in every.most_common():
        yield f"{safe(code) or '?':15}  {waiting[code]:9,}  {redriven[code]:9,}"
    yield f"{'all':15}  {waiting.total():9,}  {redriven.total():9,}"


def page(dead_letter: DeadLetter, marks: list[Redriven], limit: int) -> Iterable[str]:
    """All about a dead letter, for a person; of its value so many characters at most."""
    yield f"dead letter  {dead_letter.id}, since {time_of(dead_letter)}"
    yield f"event        {safe(wire.name_of(dead_letter.input)) if dead_letter.input else '?'}"
    yield f"source       {safe(dead_letter.source)}"
    yield f"error        {safe(dead_letter.code) or '?'}: {safe(dead_letter.message)}"
    yield f"attempt      {dead_letter.attempt}"
    for mark in marks:
        how = "mended" if mark.mended else "as it was"
        yield f"redriven     {mark.redriven_at.isoformat(timespec='seconds')}, {how}"
    for name, value in dead_letter.errors.items():
        yield f"header       {safe(name)}: {safe(value, limit)}"
    for name, own in dead_letter.headers:
        yield f"own header   {safe(name)}: {safe(own, limit)}"
    yield f"key          {safe(dead_letter.key, limit)}"
    yield f"value        {len(dead_letter.value):,} bytes"
    yield safe(dead_letter.value, limit)


# One line of JSON, in ASCII.
dumps = json.dumps


def plan(ready: Ready) -> str:
    """What would be sent, in a line for a person."""
    dead_letter = ready.dead_letter
    place = dead_letter.input
    where = f"{place.topic} partition {place.partition}" if place else ""
    return (
        f"{dead_letter.id} to {where}, after {dead_letter.attempt}"
        f" attempt{'s' * (dead_letter.attempt != 1)}: {safe(ready.value, 200)}"
    )


def fate(what: Fate, *, dry_run: bool) -> Json:
    """What became of a dead letter, for programs; of a dry run with the value."""
    said: Json = {"id": what.dead_letter.id, "code": what.dead_letter.code, "outcome": what.outcome}
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
