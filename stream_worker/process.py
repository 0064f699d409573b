"""A worker as a process: model, probes, signals, and an end that comes in time."""

import os
import signal
import threading
from types import FrameType

from sentiment import logs
from sentiment.health import HealthServer
from sentiment.registry import Registry
from sentiment.settings import Settings
from stream_worker.champion import Champion
from stream_worker.watchdog import Watchdog
from stream_worker.worker import Worker

log = logs.get(__name__)

# The shell's code for a process ended by SIGKILL: what a supervisor would have done next.
KILLED = 137


def run(settings: Settings) -> None:
    """Run one worker until SIGTERM or SIGINT.

    Raises:
        SentimentError: Why it can't go on.
    """
    model = settings.model
    on_trial = model.canary_share or model.shadow_share
    challenger = Registry(model.replace(uri=model.challenger_uri)) if on_trial else None
    champion = Champion(model, Registry(model), challenger)
    worker = Worker(settings, champion)

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        log.info("stopping", signal=signal.Signals(number).name)
        worker.stop()
        _end_in_time(settings.worker.shutdown_timeout_s)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    health = HealthServer(
        settings.worker.http_host,
        settings.worker.http_port,
        live=worker.stuck,
        ready=worker.not_ready,
    )
    health.start()
    log.info("probes and metrics", host=settings.worker.http_host, port=health.port)
    champion.start()
    watchdog = Watchdog(worker.stuck, settings.worker.stuck_timeout_s)
    watchdog.start()
    try:
        worker.run()
    finally:
        watchdog.stop()
        champion.stop()
        health.stop()


def _end_in_time(timeout_s: float) -> None:
    """End the process at the deadline even if a broker holds us: better fenced than late."""

    def end() -> None:
        log.error("not stopped in time; the open batch will be done again", seconds=timeout_s)
        os._exit(KILLED)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
