"""Holding a rate: when the next event is due."""


class Pacer:
    """Spreads events evenly over time.

    Args:
        rate: Events per second; None: as fast as possible.
        start: The clock's time at the start, in seconds.
    """

    # A stall longer than this is forgotten: catching up at full speed would be no rate at all.
    MAX_BEHIND_S = 1.0
    # Sleeping for less costs more than it evens out; events then go in twos, or a few more.
    MIN_SLEEP_S = 0.001

    def __init__(self, rate: float | None, start: float) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._due = start

    def delay(self, now: float) -> float:
        """Claim the next event's place.

        Args:
            now: The clock's time, in seconds.

        Returns:
            How long to wait before the event is sent, in seconds.
        """
        if not self._interval:
            return 0.0
        self._due = max(self._due, now - self.MAX_BEHIND_S)
        wait = self._due - now
        self._due += self._interval
        return wait if wait >= self.MIN_SLEEP_S else 0.0
