"""Ctrl-C and SIGTERM while parts are being started, while they run, and while they end."""

import signal
import threading
from types import FrameType


class Stopping:
    """Watches both signals from its making on; make it in the main thread.

    Until `everything_runs`, the first signal interrupts what is being started, which then is
    undone. From there on, signals only set `event`; nothing interrupts the end itself.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._interrupts = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._seen)

    def everything_runs(self) -> None:
        """Signals wait for whoever looks at the event."""
        self._interrupts = False

    def _seen(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.event.set()
        if self._interrupts:
            self._interrupts = False
            raise KeyboardInterrupt
