"""What a round of faults has shown."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.checker import Violation


@dataclass
class Outcome:
    """What a round has shown.

    Attributes:
        protocol: The workers' group protocol.
        faults: How often each fault was done.
        late: How many requests of each kind reached the brokers late.
        timeline: When each fault was done and undone, in seconds since 1970.
        seen: Records by topic, committed; `aborted` are those that only a reader of uncommitted
            records sees.
        exits: How workers ended, and the trends.
        restarts: How many were started anew.
        longest_stall_s: Longest time in which nothing was committed although there was input.
        recovery_s: From the last undo to the last commit.
        counts: Violations by kind.
        violations: The first ones.
        tracebacks: Lines of the workers' logs that only a bug writes.
        sent_twice: Events that the harness' own producer has doubled; see `Checker`.
    """

    protocol: str
    faults: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    timeline: list[tuple[float, str]] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    longest_stall_s: float = 0.0
    recovery_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    sent_twice: list[str] = field(default_factory=list)
