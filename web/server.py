"""gunicorn around the app: one process, many threads, an end that comes in time."""

import logging
import signal
import socket
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from sentiment.errors import SetupError
from sentiment.settings import Settings
from web.app import create_app

# Feeds end at once; a request that waits for a result gets this long.
GRACEFUL_S = 5
# A request may wait for a result for as long as the settings allow, and a feed for ever: threads
# report for the process, so this only ends a process whose main thread hangs.
TIMEOUT_S = 60


class _Logger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's messages, through the program's own handlers."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401 - gunicorn has no types
        """Leave handlers and formats to the root logger."""
        self.error_log = logging.getLogger("gunicorn.error")
        # Starts and stops are told by us; what is wrong is told by gunicorn.
        self.error_log.setLevel(logging.WARNING)
        self.error_log.propagate = True
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.setLevel(logging.CRITICAL)
        del cfg


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The page as a process.

    Args:
        settings: The settings tree.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Flask | None = None
        super().__init__()

    def load_config(self) -> None:
        """Set what the settings say; gunicorn's own files and arguments have no part in it."""
        web = self._settings.web
        for name, value in {
            "bind": f"{web.host}:{web.port}",
            # One process: results are kept once, and threads sleep on Kafka and browsers.
            "workers": 1,
            "worker_class": "gthread",
            "threads": web.threads,
            "timeout": TIMEOUT_S,
            "graceful_timeout": GRACEFUL_S,
            "logger_class": _Logger,
            "post_worker_init": self._serve_until_told,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app in the serving process: Kafka's threads don't survive a fork."""
        self._app = create_app(self._settings)
        return self._app

    def _serve_until_told(self, worker: Any) -> None:  # noqa: ANN401 - gunicorn has no types
        """Let a stop end the open feeds first, which would hold it otherwise."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self._app is not None:
                self._app.extensions["page"].inbox.close_feeds()
            worker.handle_exit(number, frame)

        signal.signal(signal.SIGTERM, stop)


def require_free_port(host: str, port: int) -> None:
    """Raise a `SetupError` when the port is taken; gunicorn would try for a while, then give up."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SetupError(
                f"Port {port} on {host} can't be opened: {error.strerror}.",
                "Stop the program that has it, or choose another one with --port.",
            ) from None
