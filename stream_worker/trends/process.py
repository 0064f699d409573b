"""The trends as a process: what has to be there first, and Faust's worker around the app."""

import logging
import os
import signal
import threading
import time

import faust

from sentiment import logs
from sentiment.errors import SentimentError, TopicError
from sentiment.health import HealthServer, Start
from sentiment.interrupts import end_at_once, end_in_time
from sentiment.kafka import clients, topics
from sentiment.settings import Settings
from stream_worker.trends.app import Trends

# Kubernetes gives 30 s between SIGTERM and SIGKILL.
STOP_S = 20.0
# How often the brokers are asked whether the tallies' topic is still the same.
CHECK_S = 15.0
# A broker that has just started learns of its topics within seconds; after this, one is gone.
GONE_S = 60.0

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
        cluster = str(start.made(lambda: clients.describe_cluster(settings.kafka)).cluster_id)
    finally:
        health.stop()
    watch = _Watch(settings, known)
    watch.start()
    trends = Trends(settings, cluster, watch.is_same)
    trends.feedback.start()
    worker = _Worker(trends.app, loglevel="INFO", redirect_stdouts=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit:
        if not watch.made_anew.is_set():
            raise
    if watch.made_anew.is_set():
        raise TopicError(
            f"Topic {names.tallies!r} at {settings.kafka.bootstrap_servers} is gone, or another one"
            " than at our start: it, or the whole cluster, was made anew.",
            "Start again, to begin with what is there now.",
        )


class _Watch(threading.Thread):
    """Ends the process when the tallies are others: their offsets would look as counted already.

    Args:
        settings: The settings tree.
        known: The tallies' topic at our start.
    """

    def __init__(self, settings: Settings, known: topics.Identity) -> None:
        super().__init__(name="watch", daemon=True)
        self._settings = settings
        self._known = known
        self._gone_since: float | None = None
        self.made_anew = threading.Event()

    def run(self) -> None:
        """Check, again and again."""
        while not self.made_anew.wait(CHECK_S):
            self.is_same()

    def is_same(self) -> bool:
        """Whether the topic is that of our start for sure; where it never will be, we end."""
        try:
            found = topics.identity(self._settings.kafka, self._settings.topics.tallies).id
        except TopicError as error:
            log.warning("the topic is gone", reason=error.message)
            self._gone_since = self._gone_since or time.monotonic()
            if time.monotonic() - self._gone_since < GONE_S:
                return False
            found = ""
        except SentimentError as error:
            log.info("the brokers don't tell", reason=error.message)
            return False
        else:
            self._gone_since = None
        if found != self._known.id and not self.made_anew.is_set():
            self.made_anew.set()
            os.kill(os.getpid(), signal.SIGTERM)
        return found == self._known.id
