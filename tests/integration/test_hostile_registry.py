"""Claims about a registry, or somebody on the way to it, that answers too much or too slowly."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sentiment import bounded_http
from sentiment.errors import RegistryUnavailableError
from sentiment.limited import MOST_REASON
from sentiment.registry import tracking
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

Answer = Callable[[socket.socket], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# Far above what is allowed, on a busy machine.
PATIENCE_S = 120.0


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], None]]:
    """Set a registry up that answers each request in a way of the test's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(by: Answer) -> None:
            def one(connection: socket.socket) -> None:
                with connection, suppress(OSError):
                    connection.recv(65536)
                    by(connection)

            def every() -> None:
                with suppress(OSError):
                    while True:
                        connection, _ = server.accept()
                        threading.Thread(target=one, args=(connection,), daemon=True).start()

            threading.Thread(target=every, daemon=True).start()

        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield answer
        server.shutdown(socket.SHUT_RDWR)


def large(connection: socket.socket) -> None:
    """A body without end."""
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b" " * 65536)


def packed(connection: socket.socket) -> None:
    """A body that unpacks to a thousand times its size."""
    import gzip

    body = gzip.compress(bytes(200 << 20), 1)
    size = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection.sendall(HEAD + size + body)


def dripping_body(connection: socket.socket) -> None:
    """A byte now and then."""
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.2)


def dripping_head(connection: socket.socket) -> None:
    """A header whose value never ends."""
    connection.sendall(HEAD + b"X-Long: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.2)


def later(connection: socket.socket) -> None:
    """Come again in a hundred years."""
    connection.sendall(
        b"HTTP/1.1 429 Later\r\nRetry-After: 3000000000\r\nContent-Length: 0\r\n\r\n"
    )


def deep(connection: socket.socket) -> None:
    """JSON in JSON in JSON."""
    body = b"[" * 1_000_000
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def told(version: object) -> Answer:
    """A version that the alias names."""

    def answer(connection: socket.socket) -> None:
        document = {"model_version": {"name": "sentiment", "version": version}}
        body = json.dumps(document).encode()
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        large, packed, dripping_body, dripping_head, later, deep,
        told("../../etc"), told("9" * 100_000), told("x" * 1_000_000), told("\u0663"), told(""),
    ],
    ids=["large", "packed", "drip", "drip-head", "later", "deep", "path", "digits", "long", "other",
         "none"],
)  # fmt: skip
def test_a_hostile_answer_is_an_error_in_time(
    serve: Callable[[Answer], None], answer: Answer, tmp_path: Path
) -> None:
    """Each ends as a registry that doesn't answer: in time, and in a sentence of bounded length."""
    serve(answer)
    settings = ModelSettings(cache_dir=tmp_path, registry_timeout_s=4)
    until = time.monotonic() + PATIENCE_S
    with pytest.raises(RegistryUnavailableError) as error:
        Registry(settings).resolve()
    assert time.monotonic() < until
    assert len(error.value.message) < 2 * MOST_REASON


def test_pages_without_end_are_left(serve: Callable[[Answer], None]) -> None:
    """A list of versions whose next page always exists is read up to a bound."""
    asked = []

    def page(connection: socket.socket) -> None:
        asked.append(1)
        version = {"name": "sentiment", "version": "1", "creation_timestamp": 1}
        document = {
            "registered_model": {"name": "sentiment"},
            "model_versions": [version] * 100,
            "next_page_token": "more",
        }
        body = json.dumps(document).encode()
        head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)

    serve(page)
    assert len(tracking.models("sentiment", 20)) == tracking.MOST_VERSIONS
    assert len(asked) == 1 + tracking.MOST_VERSIONS // 100
    assert bounded_http.MOST_BYTES < 16 << 20
