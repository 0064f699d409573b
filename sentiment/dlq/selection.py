"""Which dead letters a command is about."""

import re
from dataclasses import dataclass

from sentiment import events
from sentiment.dlq.letters import DeadLetter
from sentiment.errors import InputError

_ID = re.compile(r"(.+-)?\d+-\d+")


@dataclass(frozen=True)
class Selection:
    """Conditions that all have to hold; an empty one always does.

    Attributes:
        codes: Error codes, any of them.
        sources: The events' sources, any of them.
        since: They became dead letters not before this; seconds since 1970.
        until: They became dead letters before this; seconds since 1970.
        ids: Any of these: `partition-offset` of the dead letter, or `topic-partition-offset` of
            either the dead letter or its event.

    Raises:
        InputError: An id is none.
    """

    codes: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    since: float | None = None
    until: float | None = None
    ids: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in self.ids:
            if not _ID.fullmatch(name):
                raise InputError(
                    f"{name!r} is no id of a dead letter.",
                    "Give its partition and offset, as `sentiment dlq list` does (3-17), or its"
                    " event's topic, partition and offset (text-events-3-1042).",
                )

    @property
    def everything(self) -> bool:
        """Whether there is no condition."""
        return self == Selection()

    def named(self, letter: DeadLetter, topic: str) -> frozenset[str]:
        """Those of the ids that mean this letter, which stands on this topic."""
        names = {letter.id, f"{topic}-{letter.id}"}
        if letter.input:
            names.add(events.name_of(letter.input))
        return self.ids & names

    def matches(self, letter: DeadLetter) -> bool:
        """Whether all conditions but the ids hold."""
        return (
            (not self.codes or letter.code in self.codes)
            and (self.since is None or letter.timestamp_ms >= round(self.since * 1000))
            and (self.until is None or letter.timestamp_ms < round(self.until * 1000))
            # Last, as it reads the value.
            and (not self.sources or letter.source in self.sources)
        )
