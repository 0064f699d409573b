"""How long an operation may take, and when a call of Kafka's client is made again.

What waits for something else than the end of an error (`topics`), or without an end
(`sentiment.health.Start`), has its own loop there.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

Answer = TypeVar("Answer")

# Before an operation is tried again: brokers need a moment, and an operator sees it in time.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class Deadline:
    """One limit for the whole of an operation, in seconds from now, however many calls it makes."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(self._at - self._clock(), 0.0)


def retry(
    call: Callable[[float], Answer],
    deadline: Deadline,
    pause_s: float,
    passing: Callable[[KafkaError], bool],
) -> Answer:
    """Make a call, again after a pause while that may mend its error and time is left.

    The call is given the seconds that it may take: what is left, and at least a pause, as the
    client takes no time at all for a refusal to answer. The last error is raised.
    """
    while True:
        try:
            return call(max(deadline.left(), pause_s))
        except KafkaException as error:
            if not passing(error.args[0]) or deadline.left() < pause_s:
                raise
        # Behind the handler, for the reason that stands in `transactions`.
        time.sleep(pause_s)


def backoff_s(tries: int) -> float:
    """How long to wait before an operation is tried again, in seconds, after so many in vain."""
    # No more doublings than it takes: a wait of hours has thousands of tries.
    return min(FIRST_PAUSE_S * 2.0 ** min(tries, 10), LONGEST_PAUSE_S)
