"""Watches the loop: when it stands still, every thread's stack goes to the log.

Two watchers, since either alone can fail. A thread of Python's tells what each thread does, as
structured lines, but needs the interpreter's lock; native code that never gives it back stops this
thread too. Then `faulthandler` speaks, whose thread is C and takes no lock; what it writes is plain
text.
"""

import faulthandler
import sys
import threading
import traceback
from collections.abc import Callable

from sentiment import logs

log = logs.get(__name__)

# Often enough that a stall is told soon after its limit, rare enough to cost nothing.
LOOKS = 4
LONGEST_LOOK_S = 5.0


class Watchdog(threading.Thread):
    """Tells a stall once, when it begins.

    Args:
        stuck: Why the loop counts as stuck; empty when it doesn't.
        limit_s: How long it may stand still, in seconds.
    """

    def __init__(self, stuck: Callable[[], str], limit_s: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._stuck = stuck
        self._limit_s = limit_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look at the loop until `stop`."""
        told = False
        # Before the first look too.
        faulthandler.dump_traceback_later(self._limit_s, file=sys.__stderr__ or 2)
        while not self._stopping.wait(min(self._limit_s / LOOKS, LONGEST_LOOK_S)):
            # Put off each time, so that it fires only when this thread can't run any more.
            faulthandler.dump_traceback_later(self._limit_s, file=sys.__stderr__ or 2)
            reason = self._stuck()
            if reason and not told:
                log.error("the loop is stuck; the stacks of all threads follow", reason=reason)
                dump()
            told = bool(reason)
        faulthandler.cancel_dump_traceback_later()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self.join()


def dump() -> None:
    """Log what each thread is doing, the innermost call first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented, for debuggers
        calls = [
            f"{call.name} ({call.filename}:{call.lineno})"
            for call in reversed(traceback.extract_stack(frame))
        ]
        log.error("stack", thread=names.get(ident, str(ident)), calls=calls)
