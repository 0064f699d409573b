"""A clock that tests move by hand."""


class Clock:
    """A clock that stands still but for what sleeps and calls take."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds that rise."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
