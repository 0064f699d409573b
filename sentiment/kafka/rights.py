"""The rights that the library's own commands need on brokers with ACLs; see `sentiment.apps`.

The table of `docs/operations.md` is made from all rights; the tests grant exactly what it says.
"""

from sentiment.apps import Right

_REDRIVEN = ".redriven"


def creating(setting: str, suffix: str = "") -> tuple[Right, ...]:
    """What `sentiment topics` needs for one topic."""
    return (
        Right("topics", "CREATE", "topic", setting, suffix),
        Right("topics", "DESCRIBE", "topic", setting, suffix),
    )


def reading_dead_letters(part: str) -> tuple[Right, ...]:
    """What a part needs that shows dead letters, and which of them were put back."""
    return (
        Right(part, "READ", "topic", "TOPICS_DEAD_LETTERS"),
        Right(part, "READ", "topic", "TOPICS_DEAD_LETTERS", _REDRIVEN),
    )


def redriving(part: str) -> tuple[Right, ...]:
    """What a part needs that shows dead letters and puts them back."""
    return (
        *reading_dead_letters(part),
        Right(part, "WRITE", "topic", "TOPICS_EVENTS"),
        Right(part, "WRITE", "topic", "TOPICS_DEAD_LETTERS", _REDRIVEN),
        # One for all redrives, so that of two at the same time one is fenced off.
        Right(part, "WRITE", "transactional id", "TOPICS_DEAD_LETTERS", _REDRIVEN),
    )


RIGHTS = (
    Right("results", "READ", "topic", "TOPICS_RESULTS"),
    *reading_dead_letters("dlq"),
    *redriving("dlq redrive"),
    *(
        right
        for topic in ("EVENTS", "RESULTS", "DEAD_LETTERS", "TALLIES", "TRENDS", "FEEDBACK")
        for right in creating(f"TOPICS_{topic}")
    ),
    *creating("TOPICS_DEAD_LETTERS", _REDRIVEN),
)
