"""moto's S3 server for tests, behind a gate that takes notes and makes trouble."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

# Large enough to be quick, small enough that trouble comes in the middle of a range.
PIECE_BYTES = 16 * 1024


@dataclass
class Seen:
    """A request that came in.

    Attributes:
        method: Of HTTP.
        path: With the query.
        tag: Its If-None-Match.
        key_id: Who signed it.
    """

    method: str
    path: str
    tag: str
    key_id: str


class Handler(MotoRequestHandler):
    """Writes no line for each request, and really breaks off where the gate does."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do nothing."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ANN401 - WSGI
        """Keep no connection whose answer is incomplete."""
        super().connection_dropped(error, environ)
        self.close_connection = True


class S3Server:
    """A server of all of moto on a free port of loopback; a context manager.

    Attributes:
        seen: All requests.
        left: How many bytes of objects are still served; then `trouble` is called, and the answer
            breaks off, as do all further ones.
        trouble: What happens just then.
        refusals: How many requests for objects are answered with 503 first.
        corrupt: Whether a bit falls over in each object.
    """

    def __init__(self) -> None:
        # It looks up a service's backend at the first request for it.
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._gate, threaded=True, request_handler=Handler
        )
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.peace()

    def peace(self) -> None:
        """Forget all requests and all trouble."""
        self.seen: list[Seen] = []
        self.left = float("inf")
        self.trouble: Callable[[], object] = lambda: None
        self.refusals = 0
        self.corrupt = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reads(self) -> list[Seen]:
        """The requests for objects."""
        return [seen for seen in self.seen if _reads(seen.method, seen.path)]

    def _gate(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        reads = _reads(environ["REQUEST_METHOD"], environ["REQUEST_URI"])
        signer = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        self.seen.append(
            Seen(
                environ["REQUEST_METHOD"],
                environ["REQUEST_URI"],
                environ.get("HTTP_IF_NONE_MATCH", ""),
                signer[1] if signer else "",
            )
        )
        if reads and self.refusals:
            self.refusals -= 1
            start_response("503 Slow Down", [("Content-Length", "0")])
            return []
        content = b"".join(self._app(environ, start_response))
        return self._served(content) if reads else [content]

    def _served(self, content: bytes) -> Iterator[bytes]:
        if self.corrupt and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        # The head of the answer comes in any case.
        yield b""
        for at in range(0, len(content), PIECE_BYTES):
            piece = content[at : at + PIECE_BYTES]
            with self._lock:
                first, self.left = self.left >= 0, self.left - len(piece)
                over = self.left < 0
            if over:
                if first:
                    self.trouble()
                raise ConnectionError
            yield piece


def _reads(method: str, path: str) -> bool:
    """Whether a request is for an object's content, and not for a list or a service."""
    return method == "GET" and re.fullmatch(r"/[^/?]+/[^?]+", path) is not None
