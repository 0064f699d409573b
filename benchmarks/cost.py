"""What an amount of texts takes in pods, reckoned from the rate of one worker."""

import math
from typing import TypedDict

DAY_S = 86_400
# The busiest hour of a day of people's traffic has two to three times the average.
PEAK = 3.0
# A worker that is fully used has nothing to catch up with after a restart.
USE = 0.7


class Cost(TypedDict):
    """What so many texts a day take."""

    texts_per_day: float
    average_per_second: float
    pods: int
    cores: float


def cost(texts_per_day: float, events_per_second: float, processor_s: float) -> Cost:
    """Pods = texts a day / 86,400 s * peak / (rate of one worker * use), rounded up.

    Args:
        texts_per_day: How many there are.
        events_per_second: The rate of one worker.
        processor_s: Its processor time, in seconds per million events.

    Returns:
        The pods for the busiest hour, and the cores that are busy on average.
    """
    average = texts_per_day / DAY_S
    return Cost(
        texts_per_day=texts_per_day,
        average_per_second=average,
        pods=math.ceil(average * PEAK / (events_per_second * USE)),
        cores=average * processor_s / 1e6,
    )
