"""Serving the app: one process, many threads, until SIGTERM or Ctrl-C."""

import ctypes
import logging
import os
import signal
import socket
import sys
import threading
from types import FrameType

from sentiment import logs
from sentiment.errors import SetupError
from sentiment.settings import Settings
from web import services
from web.app import create_app
from web.connections import Server
from web.settings import WebSettings

# Requests in flight end within it: feeds and waits are told to, and a send takes at most that.
GRACE_S = 8.0
# A tenth of Python's own: the thread that reads all connections gives the interpreter away with
# each read and write, and would wait for every busy thread before it has it back.
SWITCH_S = 0.0005
# glibc's `mallopt`: blocks of a quarter of a megabyte or more, bodies and answers, go back to
# the system when they are freed, and threads share two heaps. By itself it keeps tens of megabytes
# for each of many threads: 390 MB after forty uploads.
MALLOC = {-3: 262_144, -8: 2}  # M_MMAP_THRESHOLD, M_ARENA_MAX
# The threads behind the app end within it: 2 s for each of a few that wait for Kafka.
CLOSE_S = 10.0

log = logs.get(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    One process without children: its memory of results, its feeds and its metrics are whole, and
    nothing of it lives on when it is killed.

    Raises:
        SetupError: The address can't be listened on.
    """
    own = settings.of(WebSettings)
    host, port = own.host, own.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SetupError(
            f"Port {port} on {host} can't be opened: {os.strerror(error.errno or 0)}.",
            "Stop the program that has it, or choose another with --port or WEB_PORT.",
        ) from None
    # Requests that wait for a thread are no news; those that wait too long are refused.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for option, value in MALLOC.items():
            mallopt(option, value)
    sys.setswitchinterval(SWITCH_S)
    app = create_app(settings)
    shared = services.of(app)
    server = Server(app, listener, own)
    ended = threading.Event()
    closing = threading.Thread(target=shared.close, name="close", daemon=True)

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not ended.is_set():
            ended.set()
            # On a thread: a handler must not wait for a lock that the main thread may hold.
            closing.start()
            server.pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, end)
    log.info("listening", host=host, port=port)
    server.run_until(ended.is_set, GRACE_S)
    closing.join(CLOSE_S)
