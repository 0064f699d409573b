"""A worker as a process: model, probes, signals, and an end that comes in time."""

import faulthandler
import gc
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from sentiment import logs
from sentiment.health import HealthServer, Start
from sentiment.interrupts import end_in_time
from sentiment.metrics import WORKER
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings, Settings
from stream_worker.served_models import Champion
from stream_worker.worker import Worker

log = logs.get(__name__)

# New containers without the end of others: above the records of all batches under way.
GC_THRESHOLD = 200_000
# A tenth of Python's own: a batch changes threads six times, and takes 30 ms.
SWITCH_INTERVAL_S = 0.0005


def run(settings: Settings) -> None:
    """Run one worker until SIGTERM or SIGINT.

    Raises:
        SentimentError: Why it can't go on.
    """
    stopping = threading.Event()
    start = Start()
    worker: Worker | None = None
    health = HealthServer(
        settings.worker.http_host,
        settings.worker.http_port,
        live=lambda: worker.stuck() if worker else "",
        ready=lambda: worker.not_ready() if worker else start.waits_for,
        metrics=WORKER,
    )
    health.start()
    log.info("probes and metrics", host=settings.worker.http_host, port=health.port)

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        log.info("stopping", signal=signal.Signals(number).name)
        stopping.set()
        end_in_time(settings.worker.shutdown_timeout_s)

    try:
        model, trial = _registries(settings.model)
        explains = settings.worker.explain != "never"
        champion = start.made(lambda: Champion(settings.model, model, trial, explains=explains))
        worker = start.made(lambda: Worker(settings, champion, stopping))
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        champion.start()
        watchdog = Watchdog(worker.stuck, settings.worker.stuck_timeout_s)
        watchdog.start()
        _tune_python()
        try:
            worker.run()
        finally:
            watchdog.stop()
            champion.stop()
    finally:
        health.stop()


def _registries(settings: ModelSettings) -> tuple[Registry, Registry | None]:
    """The champion's, and the challenger's if there is a trial. They know what they refused."""
    on_trial = settings.canary_share or settings.shadow_share
    trial = Registry(settings.replace(uri=settings.challenger_uri)) if on_trial else None
    return Registry(settings), trial


def _tune_python() -> None:
    """Settings of Python for a loop that handles thousands of records at a time on three threads.

    A search for reference cycles begins, by default, after some hundred new containers, and goes
    through all that was ever imported; here it would take a third of the loop's time and find
    nothing. And a thread that is done with native code waits for the others to let it go on.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


# Watches the loop: when it stands still, every thread's stack goes to the log. Two watchers,
# since either alone can fail. A thread of Python's tells what each thread does, as structured
# lines, but needs the interpreter's lock; native code that never gives it back stops this thread
# too. Then `faulthandler` speaks, whose thread is C and takes no lock; what it writes is plain
# text.


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
