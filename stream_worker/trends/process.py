"""The trends as a process: checks before the start, and Faust's worker around the app."""

import logging
import signal

import faust

from sentiment import logs, topics
from sentiment.settings import Settings
from stream_worker.ending import end_in_time
from stream_worker.trends.app import Trends

# Kubernetes gives 30 s between SIGTERM and SIGKILL.
STOP_S = 20.0


class _Worker(faust.Worker):
    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Log as all of our programs do: Faust has just set up its own way."""
        del logger, level
        logs.configure()
        for chatty in ("faust", "mode", "aiokafka"):
            logging.getLogger(chatty).setLevel(logging.WARNING)

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        """A signal: Faust would go on with a start that waits for brokers, and end after it."""
        end_in_time(STOP_S)
        super()._schedule_shutdown(signal)


def run(settings: Settings) -> None:
    """Run the app until SIGTERM or SIGINT.

    Raises:
        SentimentError: It can't begin.
    """
    names = settings.topics
    topics.require(settings, names.tallies, names.trends, names.feedback, settings.trends.windows)
    trends = Trends(settings)
    app = trends.app

    async def crashing(*arguments: object, **named: object) -> None:
        del arguments, named
        end_in_time(STOP_S)

    app.on_before_shutdown.connect(crashing, weak=False)
    trends.feedback.start()
    worker = _Worker(app, loglevel="INFO", redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()
