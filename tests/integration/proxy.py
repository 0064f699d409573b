"""A gate in front of an MLflow server that behaves as DagsHub does."""

import base64
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# A repository's MLflow on DagsHub.
REPOSITORY = "ada/reviews"
PREFIX = f"/{REPOSITORY}.mlflow"

# Far above any answer of a server on a busy machine.
_PATIENCE_S = 60.0
# They are about one connection, not about the message.
_HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding"}


class Proxy:
    """Asks for a user and a password, and knows no logged models.

    Args:
        server: The address of the MLflow server behind it.

    Attributes:
        host: Its own address.
        logins: User and password that it lets in.
        seen: User and password of each call, in order; None: without.
        refused: Paths of calls that it said not to know.
    """

    def __init__(self, server: str) -> None:
        self._server = urlsplit(server)
        self.host = ""
        self.logins: set[str] = set()
        self.seen: list[str | None] = []
        self.refused: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves inside the block."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                proxy.answer(self, self.rfile.read(length) or _chunks(self))

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815 - its names

            def log_message(self, *_: object) -> None:
                """Nothing of it belongs on the screen."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.host = f"http://127.0.0.1:{server.server_port}"
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()

    def answer(self, call: BaseHTTPRequestHandler, body: bytes) -> None:
        """Refuse a call, or pass it on and its answer back."""
        login = _login(call.headers["Authorization"])
        self.seen.append(login)
        path = call.path.removeprefix(PREFIX)
        if login not in self.logins:
            # Some servers repeat what they were told.
            return _send(call, 401, f"no access for {login}".encode())
        if path == call.path:
            return _send(call, 404, b"no such repository")
        if path.startswith(("/api/2.0/mlflow/logged-models", "/api/2.0/mlflow/runs/outputs")):
            self.refused.append(path)
            # As Flask says it in MLflow 2.
            return _send(call, 404, b"<!doctype html>\n<title>404 Not Found</title>")
        headers = {k: v for k, v in call.headers.items() if k.lower() not in _HOP_BY_HOP}
        port = self._server.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        try:
            connection.request(call.command, path, body, headers)
            answered = connection.getresponse()
            kept = {k: v for k, v in answered.getheaders() if k.lower() not in _HOP_BY_HOP}
            return _send(call, answered.status, answered.read(), kept)
        finally:
            connection.close()


def _login(header: str | None) -> str | None:
    return base64.b64decode(header.removeprefix("Basic ")).decode() if header else None


def _chunks(call: BaseHTTPRequestHandler) -> bytes:
    """The body of a call that was sent in chunks, as uploads of files are."""
    if call.headers.get("Transfer-Encoding") != "chunked":
        return b""
    body = b""
    while size := int(call.rfile.readline(), 16):
        body += call.rfile.read(size)
        call.rfile.readline()
    call.rfile.readline()
    return body


def _send(
    call: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    call.send_response(status)
    for name, value in (headers or {}).items():
        call.send_header(name, value)
    call.send_header("Content-Length", str(len(body)))
    call.end_headers()
    call.wfile.write(body)
