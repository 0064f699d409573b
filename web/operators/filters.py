"""Which dead letters a request is about: its parameters, as a selection."""

import time
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from sentiment.dlq.selection import Selection
from sentiment.errors import InputError
from sentiment.times import parse_since

# What the form offers; the address takes whatever `sentiment dlq list --since` does.
TIMES = {"": "any time", "1h": "the last hour", "1d": "the last day", "7d": "the last week"}
# The longest source that an event may have, and longer than any code of ours.
MAX_TEXT = 256


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
    if any(len(text) > MAX_TEXT for text in given.values()):
        raise InputError(f"A filter has {MAX_TEXT} characters at most.")
    return Filter(**given, waiting=values.get("state") == "waiting")
