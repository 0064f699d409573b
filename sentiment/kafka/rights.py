"""What each part does on brokers with ACLs, and so the rights that it needs and no others.

The table of `docs/operations.md` is made from this one, and the tests grant exactly what it says. A
right to read or write includes the one to describe.
"""

from dataclasses import dataclass
from typing import Literal

from sentiment.settings import Settings

Part = Literal[
    "worker",
    "page",
    "operators",
    "produce",
    "results",
    "dlq",
    "dlq redrive",
    "trends",
    "feedback",
    "topics",
]


@dataclass(frozen=True)
class Right:
    """One thing that a part does.

    Attributes:
        part: Who does it.
        operation: Kafka's name of what is done.
        resource: What kind of thing that is done to.
        setting: The setting that holds its name.
        suffix: What follows that in the name; a star at the end stands for anything.
    """

    part: Part
    operation: Literal["READ", "WRITE", "CREATE", "DESCRIBE"]
    resource: Literal["topic", "group", "transactional id"]
    setting: str
    suffix: str = ""

    def name(self, settings: Settings) -> str:
        """The name of the thing."""
        section, _, field = self.setting.lower().partition("_")
        return f"{getattr(getattr(settings, section), field)}{self.suffix}"


_OUTPUTS = ("TOPICS_RESULTS", "TOPICS_DEAD_LETTERS", "TOPICS_TALLIES")
_REDRIVEN = ".redriven"
_WINDOWS = "-windows-changelog"
# The operators' part of the page does what the command does, as the page's own user.
_REDRIVERS: tuple[Part, ...] = ("dlq redrive", "operators")
_DLQ: tuple[Part, ...] = ("dlq", *_REDRIVERS)
_OTHERS = ("TOPICS_TRENDS", "TOPICS_FEEDBACK")

RIGHTS: tuple[Right, ...] = (
    Right("worker", "READ", "topic", "TOPICS_EVENTS"),
    *(Right("worker", "WRITE", "topic", name) for name in _OUTPUTS),
    Right("worker", "READ", "group", "WORKER_GROUP_ID"),
    # The name that a worker gives itself where WORKER_TRANSACTIONAL_ID is not set.
    Right("worker", "WRITE", "transactional id", "WORKER_GROUP_ID", "-*"),
    Right("page", "WRITE", "topic", "TOPICS_EVENTS"),
    Right("page", "WRITE", "topic", "TOPICS_FEEDBACK"),
    Right("page", "READ", "topic", "TOPICS_RESULTS"),
    Right("page", "READ", "topic", "TOPICS_DEAD_LETTERS"),
    # Only for the lag that it shows.
    Right("page", "DESCRIBE", "group", "WORKER_GROUP_ID"),
    Right("produce", "WRITE", "topic", "TOPICS_EVENTS"),
    Right("results", "READ", "topic", "TOPICS_RESULTS"),
    *(
        Right(part, "READ", "topic", "TOPICS_DEAD_LETTERS", suffix)
        for part in _DLQ
        for suffix in ("", _REDRIVEN)
    ),
    *(
        right
        for part in _REDRIVERS
        for right in (
            Right(part, "WRITE", "topic", "TOPICS_EVENTS"),
            Right(part, "WRITE", "topic", "TOPICS_DEAD_LETTERS", _REDRIVEN),
            # One for all redrives, so that of two at the same time one is fenced off.
            Right(part, "WRITE", "transactional id", "TOPICS_DEAD_LETTERS", _REDRIVEN),
        )
    ),
    Right("trends", "READ", "topic", "TOPICS_TALLIES"),
    Right("trends", "READ", "topic", "TOPICS_FEEDBACK"),
    Right("feedback", "READ", "topic", "TOPICS_FEEDBACK"),
    Right("trends", "READ", "topic", "TRENDS_GROUP_ID", _WINDOWS),
    Right("trends", "WRITE", "topic", "TRENDS_GROUP_ID", _WINDOWS),
    Right("trends", "WRITE", "topic", "TOPICS_TRENDS"),
    Right("trends", "READ", "group", "TRENDS_GROUP_ID"),
    *(
        Right("topics", operation, "topic", name, suffix)
        for operation in ("CREATE", "DESCRIBE")
        for name, suffix in (
            *((name, "") for name in ("TOPICS_EVENTS", *_OUTPUTS, *_OTHERS)),
            ("TOPICS_DEAD_LETTERS", _REDRIVEN),
            ("TRENDS_GROUP_ID", _WINDOWS),
        )
    ),
)


def of(part: str) -> list[Right]:
    """The rights of one part."""
    return [right for right in RIGHTS if right.part == part]
