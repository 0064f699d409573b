"""An end that comes in time, whatever holds the process."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sentiment import logs

log = logs.get(__name__)

# The shell's code for a process ended by SIGKILL: what a supervisor would have done next.
KILLED = 137
# That of every program of ours that failed.
FAILED = 1


def end_at_once() -> None:
    """End on SIGTERM without more ado, with exit code 0: while nothing is begun yet.

    Process 1 of a container would not even hear a signal that it has no handler for.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


@contextmanager
def end_by_fault() -> Iterator[None]:
    """End the process where something raises what nobody expects.

    For what a framework runs, which would stop alone, in a process that says that it is alive. What
    is open is done again by the next process, as after a kill.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        log.error(  # noqa: TRY400 - a sentence, that a supervisor's log has once per start
            "a fault of ours ended this; report it if it comes again", reason=repr(error)
        )
        os._exit(FAILED)


def end_in_time(timeout_s: float) -> None:
    """End the process at the deadline even if a broker holds us: better fenced than late."""

    def end() -> None:
        log.error("not stopped in time; the open work will be done again", seconds=timeout_s)
        os._exit(KILLED)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
