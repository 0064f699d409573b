"""`/metrics`, `/livez` and `/readyz` of a process that serves nothing else, and its start."""

import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, TypeVar, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from sentiment import logs
from sentiment.errors import (
    ModelRefusedError,
    RefusedError,
    RegistryUnavailableError,
    SetupError,
    UnreachableError,
)
from sentiment.metrics import Metrics

# A check returns the reason why it fails, or an empty string.
Check = Callable[[], str]
Made = TypeVar("Made")

# Between two tries for what a start needs.
RETRY_S = 1.0

log = logs.get(__name__)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's signature
        """Say nothing: a probe every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    """One thread per request: a slow scraper must not keep a probe from its answer."""

    daemon_threads = True


class HealthServer:
    """Answers probes, and scrapes of an app's metrics, from a thread of its own.

    `live` says why the process should be restarted, if it should, and `ready` why it is not at
    work, if it isn't. Port 0 takes a free one, see `port`; one that is taken is a `SetupError`.
    """

    def __init__(self, host: str, port: int, live: Check, ready: Check, metrics: Metrics) -> None:
        self._checks = {"/livez": live, "/readyz": ready}
        self._metrics = make_wsgi_app(metrics.shown)
        try:
            self._server = make_server(host, port, self._app, _Server, _Quiet)
        except OSError as error:
            raise SetupError(
                f"Port {port} on {host} can't be opened: {error.strerror}.",
                f"Choose another with {metrics.app.upper()}_HTTP_PORT.",
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


class Start:
    """Waits for what a process can't begin without, such as Kafka."""

    def __init__(self) -> None:
        # Why the process isn't ready yet.
        self.waits_for = "starting"

    def made(self, make: Callable[[], Made]) -> Made:
        """What `make` makes, as soon as what it needs answers, and there is a model to serve."""
        while True:
            try:
                return make()
            except RefusedError:
                raise
            except (RegistryUnavailableError, ModelRefusedError, UnreachableError) as error:
                known, self.waits_for = self.waits_for, error.message
                if error.message != known:
                    log.warning("waiting", reason=error.message, hint=error.hint)
                time.sleep(RETRY_S)
