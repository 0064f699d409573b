"""What is in a dead letter, as text that does nothing but show, and as JSON.

Everything in them may come from anybody: for people, what a terminal or a page would act on is
escaped; for programs, JSON in ASCII is as safe.
"""

import base64
from typing import Any

from sentiment import times
from sentiment.dlq.letters import DeadLetter
from sentiment.events import Redriven

Json = dict[str, Any]


def safe(text: str | bytes | None, limit: int | None = None) -> str:
    r"""Text that only shows and does nothing else.

    Args:
        text: Bytes are read as UTF-8; what is none shows as `\xff`.
        limit: Longest result, in characters; what is cut off is counted.

    Returns:
        One line: what is not printable, line ends among it, as Python writes it.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    text = text or ""
    cut = text if limit is None else text[:limit]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    more = len(text) - len(cut)
    return f"{shown} … {more:,} more" if more else shown


def time_of(letter: DeadLetter) -> str:
    """When it became a dead letter, by RFC 3339; in milliseconds where that is no date."""
    moment = times.date_of(letter.timestamp_ms)
    if moment is None:
        return f"{letter.timestamp_ms} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(letter: DeadLetter, *, redriven: bool) -> Json:
    """What a list says of a dead letter."""
    place = letter.input
    return {
        "id": letter.id,
        "time": time_of(letter),
        "code": letter.code,
        "message": letter.message,
        "attempt": letter.attempt,
        "redriven": redriven,
        "input": place
        and {"topic": place.topic, "partition": place.partition, "offset": place.offset},
        "source": letter.source,
        "bytes": len(letter.value),
    }


def details(letter: DeadLetter, marks: list[Redriven]) -> Json:
    """All about a dead letter; bytes that are no UTF-8 are in base 64."""
    return {
        **summary(letter, redriven=bool(marks)),
        "error_headers": letter.errors,
        "redriven": [mark.redriven_at.isoformat() for mark in marks],
        "headers": [{"name": name, **content("value", value)} for name, value in letter.headers],
        **content("key", letter.key),
        **content("value", letter.value),
    }


def content(name: str, value: str | bytes | None) -> Json:
    """One member of a JSON object; bytes that are no UTF-8 in base 64, under another name."""
    if isinstance(value, bytes):
        try:
            return {name: value.decode()}
        except UnicodeDecodeError:
            return {f"{name}_base64": base64.b64encode(value).decode()}
    return {name: value}
