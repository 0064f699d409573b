"""The trends as a process: what has to be there first, and Faust's worker around the app."""

import logging
import os
import signal
import threading

import faust

from sentiment import logs, topics
from sentiment.errors import SentimentError, TopicError
from sentiment.health import HealthServer, Start
from sentiment.settings import Settings
from stream_worker.ending import end_at_once, end_in_time
from stream_worker.trends.app import Trends

# Kubernetes gives 30 s between SIGTERM and SIGKILL.
STOP_S = 20.0
# How often the brokers are asked whether the tallies' topic is still the same.
LOOK_S = 15.0
# After so many looks in a row that did not find it, it is gone for good.
GONE = 4

log = logs.get(__name__)


class _Worker(faust.Worker):
    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Log as all of our programs do: Faust has just set up its own way."""
        del logger, level
        logs.configure()
        for chatty in ("faust", "mode", "aiokafka"):
            logging.getLogger(chatty).setLevel(logging.WARNING)

    async def stop(self) -> None:
        """End, whether by a signal or a crash, and in the middle of a start that waits as well."""
        end_in_time(STOP_S)
        await super().stop()


def run(settings: Settings) -> None:
    """Run the app until SIGTERM or SIGINT.

    Raises:
        SentimentError: It can't begin, or go on.
    """
    end_at_once()
    names, own = settings.topics, settings.trends
    needed = (names.tallies, names.trends, names.feedback, own.windows)
    start = Start()
    # Faust's own server takes its place.
    health = HealthServer(
        own.http_host, own.http_port, lambda: "", lambda: start.waits_for, app="trends"
    )
    health.start()
    try:
        start.made(lambda: topics.require(settings, *needed))
        known = start.made(lambda: topics.identity(settings.kafka, names.tallies))
    finally:
        health.stop()
    made_anew = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(settings, known, made_anew), name="watch", daemon=True
    )
    watch.start()
    trends = Trends(settings)
    trends.feedback.start()
    worker = _Worker(trends.app, loglevel="INFO", redirect_stdouts=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit:
        if not made_anew.is_set():
            raise
    if made_anew.is_set():
        raise TopicError(
            f"Topic {names.tallies!r} at {settings.kafka.bootstrap_servers} is gone, or another one"
            " than at our start: it, or the whole cluster, was made anew.",
            "Start again, to begin with what is there now.",
        )


def _watch(settings: Settings, known: topics.Identity, made_anew: threading.Event) -> None:
    """End the process when the tallies are others: their offsets would look as counted already."""
    gone = 0
    while not made_anew.wait(LOOK_S):
        try:
            found = topics.identity(settings.kafka, settings.topics.tallies).id
        except TopicError as error:
            # A broker that has just started learns of its topics within seconds.
            log.warning("the topic is gone", reason=error.message)
            found, gone = "", gone + 1
        except SentimentError as error:
            log.info("the brokers don't tell", reason=error.message)
            continue
        else:
            gone = 0
        if found != known.id and (found or gone == GONE):
            made_anew.set()
            os.kill(os.getpid(), signal.SIGTERM)
