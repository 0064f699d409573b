"""Answers of a registry over HTTP, bounded in size and time.

MLflow reads an answer whole, and its timeout is for each piece of it: one byte every few seconds is
read for ever, and a body of gigabytes fills the memory. Both may come from a proxy in between.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from typing import Any

from mlflow.utils import request_utils
from requests import PreparedRequest, Response
from requests.exceptions import ConnectionError as NoAnswerError
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

# A page of a hundred versions with their tags has 300 KiB; parsed it is twenty times as much.
MOST_BYTES = 4 << 20
# Where MLflow gives no timeout.
LONGEST_S = 60.0


@contextmanager
def _cut_after(seconds: object, cut: Callable[[], object]) -> Iterator[None]:
    """Do what ends a connection when the time is over, from another thread."""

    def now() -> None:
        # It may have ended by itself.
        with suppress(OSError, ValueError, RuntimeError):
            cut()

    timer = threading.Timer(seconds if isinstance(seconds, (int, float)) else LONGEST_S, now)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _InTime(HTTPConnection):
    """All headers together take no longer than one piece of them may."""

    def getresponse(self) -> Any:  # noqa: ANN401 - urllib3's
        sock = self.sock
        with _cut_after(self.timeout, lambda: sock.shutdown(SHUT_RDWR)):
            return super().getresponse()


class _InTimeWithTls(_InTime, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _InTime


class _PoolWithTls(HTTPSConnectionPool):
    ConnectionCls = _InTimeWithTls


class _Adapter(request_utils.TCPKeepAliveHTTPAdapter):
    """MLflow's own, with bounds. Streamed files have those of `registry.download`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - of requests
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call]  # MLflow's
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolWithTls}

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - of requests, which gives these by name
        stream, timeout = kwargs.get("stream"), kwargs.get("timeout")
        response = super().send(request, *args, **kwargs)
        if not stream:
            most = MOST_BYTES
            if asked := request.headers.get("Range"):
                # A part of a file: MLflow asks for it in the process of `registry.download` alone.
                first, last = map(int, asked.removeprefix("bytes=").split("-"))
                most, timeout = last - first + 1, LONGEST_S
            with _cut_after(timeout, response.raw.shutdown):
                body = response.raw.read(most + 1, decode_content=True)
            if len(body) > most:
                response.close()
                raise NoAnswerError(f"an answer has more than {most} bytes")
            response.raw.release_conn()
            # As `Response.content` does it.
            vars(response).update(_content=body, _content_consumed=True)
        return response


def bound() -> None:
    """Have MLflow use it, from its next connection on."""
    setattr(request_utils, "TCPKeepAliveHTTPAdapter", _Adapter)  # noqa: B010 - no type to mypy
