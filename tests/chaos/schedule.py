"""Which fault comes when: from a seed alone, so that a run can be done again."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from tests.chaos.faults import FAULTS

# Partitions can't be taken away again.
MOST_OF = {"partition-added": 6}


class Step(NamedTuple):
    """One fault of a schedule.

    Attributes:
        at: When, in seconds from the start. It waits for the one before it in its layer.
        name: Which fault.
        seconds: How long it holds.
        seed: Of what it chooses itself, such as its victim.
    """

    at: float
    name: str
    seconds: float
    seed: str


def plan(seed: int, count: int, every: float, names: Sequence[str] = tuple(FAULTS)) -> list[Step]:
    """Make a schedule; every kind of fault comes before any comes again.

    Args:
        seed: The same one makes the same schedule.
        count: Number of faults.
        every: Mean time between two of them, in seconds.
        names: The kinds to choose from.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    chosen: list[str] = []
    while len(chosen) < count:
        round_of = [name for name in names if chosen.count(name) < MOST_OF.get(name, count)]
        chosen += chance.sample(round_of, len(round_of))
    steps, at = [], 0.0
    for number, name in enumerate(chosen[:count]):
        low, high = FAULTS[name].seconds
        steps.append(Step(at, name, chance.uniform(low, high), f"{seed}-{number}"))
        at += every * chance.uniform(0.2, 1.8)
    return steps
