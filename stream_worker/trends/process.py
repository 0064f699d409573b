"""The trends as a process: checks before the start, and Faust's worker around the app."""

import logging

import faust

from sentiment import logs, topics
from sentiment.settings import Settings
from stream_worker.trends.app import Trends


class _Worker(faust.Worker):
    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Log as all of our programs do: Faust has just set up its own way."""
        del logger, level
        logs.configure()
        for chatty in ("faust", "mode", "aiokafka"):
            logging.getLogger(chatty).setLevel(logging.WARNING)


def run(settings: Settings) -> None:
    """Run the app until SIGTERM or SIGINT.

    Raises:
        SentimentError: It can't begin.
    """
    names = settings.topics
    topics.require(settings, names.tallies, names.trends, settings.trends.windows)
    worker = _Worker(Trends(settings).app, loglevel="INFO", redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()
