"""`sentiment worker`: the process around the loop, with probes, signals and a watchdog."""

import faulthandler
import gc
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import click

from sentiment import logs
from sentiment.interrupts import end_at_once, end_in_time

if TYPE_CHECKING:
    from sentiment.settings import Settings

log = logs.get(__name__)

EXAMPLES = """
\b
Examples:
  sentiment worker
  sentiment worker --bootstrap-servers broker-1:9092,broker-2:9092
  WORKER_GROUP_PROTOCOL=classic sentiment worker --http-port 0
"""


@click.command(epilog=EXAMPLES, short_help="Classify text events, exactly once, until stopped.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Kafka's addresses.")
@click.option("--group-id", help="Consumer group; all its workers share the work.")
@click.option("--model", metavar="URI", help="models:/NAME@ALIAS or models:/NAME/VERSION.")
@click.option("--max-batch", type=int, help="Most events in one transaction.")
@click.option("--http-port", type=int, help="Port of /metrics, /livez, /readyz; 0: any free one.")
def worker(
    bootstrap_servers: str | None,
    group_id: str | None,
    model: str | None,
    max_batch: int | None,
    http_port: int | None,
) -> None:
    """Classify text events until SIGTERM or Ctrl-C.

    Results, dead letters, tallies and input offsets commit in one Kafka transaction per batch:
    readers in read_committed see each event exactly once, whatever is killed. Start as many
    workers as the events topic has partitions.

    The model is the one that the MLflow registry at MLFLOW_TRACKING_URI calls champion; when that
    alias moves, the worker follows without a restart.

    Exit codes: 0 stopped, 1 failed, 2 wrong use, 3 fenced by another worker, 4 transactions keep
    failing, 5 too many dead letters, 6 events expired unread, with WORKER_EXPIRED=stop.
    """
    # The imports, the model and the group take seconds, and a pod may be unwanted by then.
    end_at_once()
    # Others take these along where they are installed: 65 MB and a second for nothing.
    for unused in ("pandas", "pyarrow"):
        sys.modules[unused] = None  # type: ignore[assignment]  # Python's way to say: not there

    from sentiment.settings import Settings

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    settings.model = settings.model.replace(uri=model)
    settings.worker = settings.worker.replace(
        group_id=group_id, max_batch=max_batch, http_port=http_port
    )
    run(settings)


# New containers without the end of others: above the records of all batches under way.
GC_THRESHOLD = 200_000
# A tenth of Python's own: a batch changes threads six times, and takes 30 ms.
SWITCH_INTERVAL_S = 0.0005


def run(settings: "Settings") -> None:
    """Run one worker until SIGTERM or SIGINT; a `SentimentError` says why it can't go on."""
    from sentiment.health import HealthServer, Start
    from sentiment.metrics import WORKER
    from sentiment.registry.registry import Registry
    from stream_worker.served_models import ServedModels
    from stream_worker.worker import Worker

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

    def stop(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stopping.set()
        end_in_time(settings.worker.shutdown_timeout_s)

    try:
        model = settings.model
        # Made once, as they know what they refused.
        champion, challenger = Registry(model), None
        if model.canary_share or model.shadow_share:
            challenger = Registry(model.replace(uri=model.challenger_uri))
        explains = settings.worker.explain != "never"
        served = start.made(lambda: ServedModels(model, champion, challenger, explains=explains))
        worker = start.made(lambda: Worker(settings, served, stopping))
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        served.start()
        watchdog = Watchdog(worker.stuck, settings.worker.stuck_timeout_s)
        watchdog.start()
        _tune_python()
        try:
            worker.run()
        finally:
            watchdog.stop()
            served.stop()
    finally:
        health.stop()


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


# Watches the loop: when it stands still, every thread's stack goes to the log. A thread of Python's
# tells that in structured lines, but native code that keeps the interpreter's lock stops this
# thread too: then `faulthandler` speaks, in plain text, whose thread is C and takes no lock.

# Often enough that a stall is told soon after its limit, rare enough to cost nothing.
CHECKS = 4
LONGEST_PAUSE_S = 5.0


class Watchdog(threading.Thread):
    """Tells a stall of the loop once, when it begins; `stuck` says why, or nothing."""

    def __init__(self, stuck: Callable[[], str], limit_s: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._stuck = stuck
        self._limit_s = limit_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Check the loop until `stop`."""
        told = False
        # Before the first check too.
        faulthandler.dump_traceback_later(self._limit_s, file=sys.__stderr__ or 2)
        while not self._stopping.wait(min(self._limit_s / CHECKS, LONGEST_PAUSE_S)):
            # Put off each time, so that it fires only when this thread can't run any more.
            faulthandler.dump_traceback_later(self._limit_s, file=sys.__stderr__ or 2)
            reason = self._stuck()
            if reason and not told:
                log.error("the loop is stuck; the stacks of all threads follow", reason=reason)
                dump()
            told = bool(reason)
        faulthandler.cancel_dump_traceback_later()

    def stop(self) -> None:
        """Stop checking."""
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
