"""`sentiment web`: one process, many threads, until SIGTERM or Ctrl-C."""

import ctypes
import logging
import os
import signal
import socket
import sys
import threading

import click

from sentiment import logs
from sentiment.errors import SetupError

# Requests in flight end within it: feeds and waits are told to, and a send takes at most that.
GRACE_S = 8.0
# A tenth of Python's own: the thread that reads all connections gives the interpreter away with
# each read and write, and would wait for every busy thread before it has it back.
SWITCH_S = 0.0005
# glibc's `mallopt`: freed blocks of a quarter of a megabyte, bodies and answers, go back, and
# threads share two heaps, not tens of megabytes each: 390 MB after forty uploads.
MALLOC = {-3: 262_144, -8: 2}  # M_MMAP_THRESHOLD, M_ARENA_MAX
# The threads behind the app end within it: 2 s for each of a few that wait for Kafka.
CLOSE_S = 10.0
EXAMPLES = """
\b
Examples:
  sentiment web
  sentiment web --port 8080 --bootstrap-servers broker-1:9092,broker-2:9092
  curl -H 'Content-Type: application/json' -d '{"id": "a", "text": "Great."}' \\
       http://127.0.0.1:5000/api/events
  curl 'http://127.0.0.1:5000/api/results/a?wait=5'
  curl -N 'http://127.0.0.1:5000/api/stream?sentiment=negative'
"""

log = logs.get(__name__)


@click.command(epilog=EXAMPLES, short_help="The page and its JSON API, until stopped.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Kafka's addresses.")
@click.option("--host", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=int, help="Port to listen on.")
def web(bootstrap_servers: str | None, host: str | None, port: int | None) -> None:
    """Serve the page until SIGTERM or Ctrl-C.

    The page sends texts and shows results as they come back; the JSON API under it does the same
    for programs. It starts whether or not Kafka is there, says when Kafka is away, and goes on by
    itself. Any number of replicas may run: each answers for every event.

    /metrics, /livez and /readyz are on the same port.
    """
    from sentiment.settings import Settings
    from web import services
    from web.app import create_app
    from web.connections import Server
    from web.settings import OperatorsSettings, WebSettings

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    own = settings.of(WebSettings).replace(host=host, port=port)
    settings.use(own)
    # Read here, so that a wrong one ends the command with its sentence.
    _ = settings.of(OperatorsSettings)
    family = socket.AF_INET6 if ":" in own.host else socket.AF_INET
    try:
        listener = socket.create_server((own.host, own.port), family=family, backlog=2048)
    except OSError as error:
        raise SetupError(
            f"Port {own.port} on {own.host} can't be opened: {os.strerror(error.errno or 0)}.",
            "Stop the program that has it, or choose another with --port or WEB_PORT.",
        ) from None
    # Requests that wait for a thread are no news; those that wait too long are refused.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for option, value in MALLOC.items():
            mallopt(option, value)
    sys.setswitchinterval(SWITCH_S)
    # Without children, its results, feeds and metrics are whole, and nothing outlives it.
    app = create_app(settings)
    server = Server(app, listener, own)
    ended = threading.Event()
    closing = threading.Thread(target=services.of(app).close, name="close", daemon=True)

    def end(*_: object) -> None:
        if not ended.is_set():
            ended.set()
            # On a thread: a handler must not wait for a lock that the main thread may hold.
            closing.start()
            server.pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, end)
    log.info("listening", host=own.host, port=own.port)
    server.run_until(ended.is_set, GRACE_S)
    closing.join(CLOSE_S)
