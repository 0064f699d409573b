"""An end that comes in time, whatever holds the process."""

import os
import signal
import threading

from sentiment import logs

log = logs.get(__name__)

# The shell's code for a process ended by SIGKILL: what a supervisor would have done next.
KILLED = 137


def end_at_once() -> None:
    """End on SIGTERM without more ado, with exit code 0: while nothing is begun yet.

    Process 1 of a container would not even hear a signal that it has no handler for.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def end_in_time(timeout_s: float) -> None:
    """End the process at the deadline even if a broker holds us: better fenced than late."""

    def end() -> None:
        log.error("not stopped in time; the open work will be done again", seconds=timeout_s)
        os._exit(KILLED)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
