"""A worker as a process: model, probes, signals, and an end that comes in time."""

import gc
import signal
import sys
import threading
from types import FrameType

from sentiment import logs
from sentiment.health import HealthServer, Start
from sentiment.registry import Registry
from sentiment.settings import Settings
from stream_worker.champion import Champion
from stream_worker.ending import end_in_time
from stream_worker.watchdog import Watchdog
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
    )
    health.start()
    log.info("probes and metrics", host=settings.worker.http_host, port=health.port)

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        log.info("stopping", signal=signal.Signals(number).name)
        stopping.set()
        end_in_time(settings.worker.shutdown_timeout_s)

    try:
        champion = start.made(lambda: _champion(settings))
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


def _champion(settings: Settings) -> Champion:
    model = settings.model
    on_trial = model.canary_share or model.shadow_share
    challenger = Registry(model.replace(uri=model.challenger_uri)) if on_trial else None
    return Champion(model, Registry(model), challenger, explains=settings.worker.explain != "never")


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
