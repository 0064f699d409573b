"""Serving the app: gunicorn, one process, many threads."""

import os
import signal
import socket
import threading
import time
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from sentiment.errors import SetupError
from sentiment.settings import Settings
from web import services
from web.app import create_app

# Requests in flight end within it: feeds and waits are told to, and a send takes at most that.
GRACE_S = 8
# A stuck process is replaced after this; the loop that is watched turns every second.
TIMEOUT_S = 60
# Spares a page that asks often a new connection; short, since an idle one delays the end.
KEEPALIVE_S = 2
# Connections beyond the busy threads: idle ones of browsers and scrapers.
IDLE_CONNECTIONS = 512


class _Logger(Logger):  # type: ignore[misc]  # gunicorn publishes no types
    """Leaves gunicorn's messages to the handler that `sentiment.logs` installed."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401 - gunicorn's own type
        """Propagate instead of adding handlers."""
        self.cfg = cfg
        self.error_log.propagate = True


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn publishes no types
    """Gunicorn with our settings; the app is made in the worker, after the fork.

    Args:
        settings: The whole tree.
        listener: The file descriptor of the socket to serve.
    """

    def __init__(self, settings: Settings, listener: int) -> None:
        self._settings = settings
        self._listener = listener
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        web = self._settings.web
        options = {
            "bind": f"fd://{self._listener}",
            "worker_class": "gthread",
            # One process: its memory of results, its feeds and its metrics are then whole.
            "workers": 1,
            "threads": web.threads,
            "worker_connections": web.threads + IDLE_CONNECTIONS,
            "timeout": TIMEOUT_S,
            "graceful_timeout": GRACE_S,
            "keepalive": KEEPALIVE_S,
            "logger_class": _Logger,
            "post_worker_init": _end_on_signals,
            "proc_name": "sentiment-web",
            # Nobody steers this server but its signals.
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app; gunicorn calls it in the worker."""
        return create_app(self._settings)


def _end_on_signals(worker: ThreadWorker) -> None:
    """End the app as soon as the worker is told to: open feeds and waits would hold it otherwise.

    Ctrl-C reaches the worker too, and ends it as SIGTERM does.
    """
    shared = services.of(worker.wsgi)

    def close() -> None:
        shared.close()
        # By then idle connections have expired, which the worker sees only when it is woken.
        time.sleep(KEEPALIVE_S)
        worker.method_queue.defer(worker.murder_keepalived)

    def end(number: int, frame: FrameType | None) -> None:
        worker.handle_exit(number, frame)
        # On a thread: a handler must not wait for a lock that the main thread may hold.
        threading.Thread(target=close, name="close", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, end)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        SetupError: The address can't be listened on.
    """
    host, port = settings.web.host, settings.web.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SetupError(
            f"Port {port} on {host} can't be opened: {os.strerror(error.errno or 0)}.",
            "Stop the program that has it, or choose another with --port or WEB_PORT.",
        ) from None
    # Opened by us, for an error that says what to do; gunicorn takes it over and closes it.
    _Server(settings, listener.detach()).run()
