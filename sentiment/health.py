"""`/metrics`, `/livez` and `/readyz` of a process that serves nothing else."""

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from sentiment.errors import SetupError
from sentiment.metrics import EXPOSED

# A check returns the reason why it fails, or an empty string.
Check = Callable[[], str]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's signature
        """Say nothing: a probe every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    """One thread per request: a slow scraper must not keep a probe from its answer."""

    daemon_threads = True


class HealthServer:
    """Answers probes and scrapes from a thread of its own.

    Args:
        host: Address to listen on.
        port: Port; 0 takes a free one, see `port` afterwards.
        live: Why the process should be restarted, if it should.
        ready: Why the process is not at work, if it isn't.

    Raises:
        SetupError: The port is taken.
    """

    def __init__(self, host: str, port: int, live: Check, ready: Check) -> None:
        self._checks = {"/livez": live, "/readyz": ready}
        self._metrics = make_wsgi_app(EXPOSED["worker"])
        try:
            self._server = make_server(host, port, self._app, _Server, _Quiet)
        except OSError as error:
            raise SetupError(
                f"Port {port} on {host} can't be opened: {error.strerror}.",
                "Choose another with WORKER_HTTP_PORT (0 takes any free one).",
            ) from None
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _app(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return cast("Iterable[bytes]", self._metrics(environ, start))
        check = self._checks.get(path)
        reason = "not found" if check is None else check()
        status = "404 Not Found" if check is None else "503 Service Unavailable"
        start("200 OK" if not reason else status, [("Content-Type", "text/plain")])
        return [(reason or "ok").encode()]
