"""Ctrl-C from the first moment of a command to its last, without a traceback.

A command imports for seconds, before it begins and in its midst. KeyboardInterrupt in an import
may end anywhere: native modules make an ImportError of it, Python's own callbacks print it and go
on, and after one that came through `exec`, as named tuples are made, Python ends by the signal
whatever the exit code was to be. So then Ctrl-C ends the process at once: nothing is to be undone.

This module is imported before all others, and so imports next to nothing, logs only when needed.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# The shell's codes for a process that ended by these signals.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
# How Python calls the files of its own that import others.
IMPORTING = {"<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"}

# Whether a command runs, which may have something to undo.
_running = False


def importing(frame: FrameType | None) -> bool:
    """Whether a signal, whose handler was given this frame, came while a module was imported."""
    while frame is not None:
        if frame.f_code.co_filename in IMPORTING:
            return True
        frame = frame.f_back
    return False


def run(command: Callable[[], None]) -> None:
    """Run a command, which imports what it needs by itself and may set handlers of its own."""
    global _running  # noqa: PLW0603 - a process has one handler for a signal
    # A parent that starts us with signals ignored, as a shell does in the background, means it.
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, _interrupted)
    if os.getpid() == 1:
        # Any other process ends on SIGTERM by default; process 1 of a container needs a handler.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    sys.unraisablehook = _unraisable
    try:
        try:
            _running = True
            command()
        finally:
            _running = False
            if heard:
                # What follows is Python's own end.
                signal.signal(signal.SIGINT, _interrupted)
    except KeyboardInterrupt:
        _end()


def _interrupted(number: int, frame: FrameType | None) -> None:
    del number
    if not _running or importing(frame):
        _end()
    raise KeyboardInterrupt


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """What Python's own callbacks could only print: a Ctrl-C must not be lost there."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _end()
    sys.__unraisablehook__(lost)


def _end() -> None:
    # Where nobody listens any more, there is nobody to tell.
    with suppress(OSError):
        os.write(2, b"\nInterrupted.\n")
    os._exit(INTERRUPTED)


# The shell's code for a process ended by SIGKILL: what a supervisor would have done next.
KILLED = 137


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
        from sentiment import logs

        logs.get(__name__).error(
            "a fault of ours ended this; report it if it comes again", reason=repr(error)
        )
        os._exit(1)


def end_in_time(timeout_s: float) -> None:
    """End the process at the deadline even if a broker holds us: better fenced than late."""
    from sentiment import logs

    log = logs.get(__name__)

    def end() -> None:
        log.error("not stopped in time; the open work will be done again", seconds=timeout_s)
        os._exit(KILLED)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
