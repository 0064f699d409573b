"""Ctrl-C and SIGTERM while parts are being started, while they run, and while they end."""

import os
import signal
import threading
from types import FrameType

from sentiment.interrupts import importing

# After so long it is seen again whether an import has ended.
AGAIN_S = 0.05


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
        self.event.set()
        if self._interrupts and importing(frame):
            # An exception might be lost there, and what has been started must be undone.
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), number)).start()
        elif self._interrupts:
            self._interrupts = False
            raise KeyboardInterrupt
