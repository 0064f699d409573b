"""The trends as a process: checks before the start, and Faust's worker around the app."""

import logging

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

    async def stop(self) -> None:
        """End, whether by a signal or a crash, and in the middle of a start that waits as well."""
        end_in_time(STOP_S)
        await super().stop()


def run(settings: Settings) -> None:
    """Run the app until SIGTERM or SIGINT.

    Raises:
        SentimentError: It can't begin.
    """
    names = settings.topics
    topics.require(settings, names.tallies, names.trends, names.feedback, settings.trends.windows)
    trends = Trends(settings)
    trends.feedback.start()
    worker = _Worker(trends.app, loglevel="INFO", redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()
