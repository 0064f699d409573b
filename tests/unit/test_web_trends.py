import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.unit.web_apps import app
from web import services, trends

WINDOWS: dict[str, Any] = {"window_s": 10, "source": None, "trends": []}


class Server(ThreadingHTTPServer):
    """In the place of the trends: answers what it is told to.

    Attributes:
        asked: The paths that it was asked for.
        status: What it answers with.
        body: The answer.
        delay_s: How long it takes.
    """

    # Its threads are not waited for, or a slow answer would hold the test.
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.status = 200
        self.body = json.dumps(WINDOWS).encode()
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server

    def do_GET(self) -> None:
        """Answer as the server is told to."""
        self.server.asked.append(self.path)
        time.sleep(self.server.delay_s)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of trends."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The app where no Kafka answers, with these trends."""
    # Only a test of it should meet it.
    monkeypatch.setattr(trends, "TIMEOUT_S", 60.0)
    with app(monkeypatch, WEB_TRENDS_URL=server.url) as made:
        yield made.test_client()


def test_only_known_parameters_are_passed_on(client: FlaskClient, server: Server) -> None:
    """The trends are asked for what they know, encoded anew; an empty source is one too."""
    answer = client.get("/api/trends?source=a%26b=c&window=60&evil=1&window=10")
    assert (answer.status_code, answer.get_json()) == (200, WINDOWS)
    client.get("/api/trends?source=")
    assert client.get("/api/trends?window=").status_code == 400
    assert server.asked == ["/trends?window=60&source=a%26b%3Dc", "/trends?source="]


def test_parameters_are_bounded(client: FlaskClient, server: Server) -> None:
    """A source may be as long as an event's, in any script; beyond it is the caller's fault."""
    longest = {"source": "\U0001f600" * 256}
    assert client.get("/api/trends", query_string=longest).status_code == 200
    for name in ("source", "window", "seconds"):
        answer = client.get("/api/trends", query_string={name: "1" * 257})
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (
            400,
            "invalid_parameter",
        )
        assert f"'{name}' has more than 256" in answer.get_json()["error"]["message"]
    assert len(server.asked) == 1


def test_many_pages_are_one_question(
    client: FlaskClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks the same in time has the same answer, also who comes while it is fetched."""
    monkeypatch.setattr(trends, "KEPT_S", 3600.0)
    server.delay_s = 0.2
    app = client.application
    with ThreadPoolExecutor(20) as pool:
        codes = list(
            pool.map(lambda _: app.test_client().get("/api/trends").status_code, range(40))
        )
    assert codes == [200] * 40
    assert len(server.asked) == 1


def test_an_answer_is_asked_for_anew(
    client: FlaskClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time an answer is no longer given."""
    monkeypatch.setattr(trends, "KEPT_S", 0.01)
    client.get("/api/trends")
    time.sleep(trends.KEPT_S)
    client.get("/api/trends")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((400, b'{"error": "window=7 is none"}'), (400, "invalid_parameter")),
        ((400, b"<html>"), (502, "trends_failed")),
        ((500, b""), (502, "trends_failed")),
        ((200, b"<html>"), (502, "trends_failed")),
        ((200, b'{"trends": 1}'), (502, "trends_failed")),
        ((200, b" " * 2_000_000 + json.dumps(WINDOWS).encode()), (502, "trends_failed")),
    ],
)
def test_answers_that_are_no_trends(
    client: FlaskClient,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[int, bytes],
    wanted: tuple[int, str],
) -> None:
    """What isn't trends is not passed on, and its code says whose fault it is."""
    monkeypatch.setattr(trends, "MAX_BYTES", 1_000_000)
    server.status, server.body = given
    answer = client.get("/api/trends")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == wanted


def test_trends_that_are_away_are_told(
    client: FlaskClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is slow or gone is 502, after a bounded wait, and when to try again."""
    monkeypatch.setattr(trends, "TIMEOUT_S", 0.5)
    server.delay_s = 5
    answer = client.get("/api/trends")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (502, "trends_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    server.shutdown()
    server.server_close()
    answer = client.get("/api/trends?window=60")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (502, "trends_unavailable")


def test_no_trends_are_configured(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address the answer says what to do."""
    monkeypatch.setattr(services.of(client.application).trends, "url", "")
    answer = client.get("/api/trends")
    code = answer.get_json()["error"]["code"]
    assert (answer.status_code, code) == (404, "trends_not_configured")
