"""Claims about what one visitor can do to all others: a real page, a real Kafka, raw sockets."""

import itertools
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from sentiment.settings import Settings
from tests.fuzz.page import DEADLINE_S, LIMIT_KIB, search
from tests.integration.pages import PageProcess
from tests.integration.workers import peak_kb
from tests.unit.operators import TOKEN
from tests.waiting import LONGEST_S, until
from web.settings import WebSettings

# The attacker's address; everybody else is 127.0.0.1.
ATTACKER = "127.0.0.66"
JSON = "Content-Type: application/json\r\n"
LINES = b"a text of a line, as many have it\n" * 300_000


def head(line: str, headers: str = "", length: int | None = None) -> bytes:
    """The head of a request."""
    framing = "" if length is None else f"Content-Length: {length}\r\n"
    return f"{line} HTTP/1.1\r\nHost: a\r\n{headers}{framing}\r\n".encode()


def post(path: str, body: bytes, headers: str = JSON) -> bytes:
    """A whole POST."""
    return head(f"POST {path}", headers, len(body)) + body


@contextmanager
def connections(
    site: PageProcess, count: int, sent: bytes = b"", source: str = ATTACKER
) -> Iterator[list[socket.socket]]:
    """So many connections of one address, each of which has sent the same."""
    with ExitStack() as opened:
        made: list[socket.socket] = []
        for _ in range(count):
            one = socket.create_connection(
                ("127.0.0.1", site.port), LONGEST_S, source_address=(source, 0)
            )
            made.append(opened.enter_context(one))
            one.sendall(sent)
        yield made


def status(one: socket.socket) -> int:
    """The status of an answer; 0 for a connection that was closed without one."""
    received = b""
    try:
        while b"\r\n" not in received and (data := one.recv(1000)):
            received += data
    except ConnectionError:
        pass
    found = re.match(rb"HTTP/1.[01] (\d{3})", received)
    return int(found[1]) if found else 0


def check_that_others_are_served(site: PageProcess) -> None:
    """A probe, a visitor and one who posts get what they ask for."""
    assert site.send("/livez") == (200, b"ok")
    assert site.send("/")[0] == 200
    assert site.ask("/api/events", {"text": "Great."})[0] == 202


WAIT = head("GET /api/results/nobody?wait=30")


@pytest.mark.parametrize(
    ("count", "sent"),
    [
        pytest.param(260, WAIT, id="waits"),
        pytest.param(260, head("GET /api/stream"), id="feeds"),
        pytest.param(260, WAIT[:30], id="half-heads"),
        pytest.param(260, head("POST /api/events", JSON, 100) + b"{", id="half-bodies"),
        pytest.param(1000, b"", id="silent"),
        pytest.param(300, head("GET /api/docs") * 30, id="unread-answers"),
    ],
)
def test_connections_of_one_address_hold_nobody_up(
    site: PageProcess, count: int, sent: bytes
) -> None:
    """However many wait, send slowly or not at all, or don't read: all others are served."""
    with connections(site, count, sent):
        # Once they are all there, and again while they are held.
        for _ in range(2):
            check_that_others_are_served(site)
            time.sleep(1)
    assert peak_kb(site.process.pid) < LIMIT_KIB


def test_feeds_and_waits_are_bounded_for_each_address(site: PageProcess) -> None:
    """One address may have as many as the setting says, and no more; another has its own."""
    bound = Settings().of(WebSettings).max_open_per_caller
    # What waits answers later: those that are refused are seen first.
    with connections(site, bound, head("GET /api/stream")) as feeds:
        assert Counter(status(one) for one in feeds) == {200: bound}
        for sent in (WAIT, head("GET /api/stream")):
            with connections(site, 1, sent) as [one]:
                assert status(one) == 429
        with connections(site, 1, head("GET /api/stream"), "127.0.0.67") as [other]:
            assert status(other) == 200
    # What left gives its place back, once it was seen to be gone.

    def taken_in() -> bool:
        with connections(site, 1, head("GET /api/stream")) as [again]:
            return status(again) == 200

    until(taken_in)


@pytest.mark.parametrize(
    "site", [{"WEB_TRUSTED_PROXIES": "1", "WEB_MAX_OPEN_PER_CALLER": "2"}], indirect=True
)
def test_behind_a_proxy_each_visitor_has_an_address(site: PageProcess) -> None:
    """Where proxies are trusted, the bound is for whom they ask, and no longer for them."""
    found = []
    with ExitStack() as opened:
        for forged, number in itertools.product((1, 2), (1, 1, 1, 2)):
            # The first entry is the visitor's own word.
            asked_for = f"X-Forwarded-For: 9.9.9.{forged}, 8.8.8.{number}\r\n"
            sent = head("GET /api/stream", asked_for)
            [one] = opened.enter_context(connections(site, 1, sent))
            found.append(status(one))
    assert found == [200, 200, 429, 200, 429, 429, 429, 200]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post("/api/events", b"[" + b"0," * 500_000 + b"0]"), id="refused-zeros"),
        pytest.param(post("/api/events", b'{"a":[' + b"{}," * 340_000), id="refused-objects"),
        pytest.param(post("/api/events", b"[" * 1_000_000), id="refused-depth"),
        pytest.param(
            post(
                "/api/events",
                b"["
                + b",".join([b'{"text":"a","attributes":{"a":[' + b"{}," * 20_000 + b"{}]}}"] * 16)
                + b"]",
            ),
            id="taken-objects",
        ),
        pytest.param(
            head("POST /api/batches", "Content-Type: text/plain\r\n", 10_000_000)
            + LINES[:9_900_000],
            id="held-uploads",
        ),
        pytest.param(
            post("/api/batches", LINES[:10_000_000], "Content-Type: text/plain\r\n"),
            id="whole-uploads",
        ),
        pytest.param(post("/operators/login", b"a&" * 500_000), id="forms"),
        pytest.param(
            head("GET /api/stream", "".join(f"A{n}: b\r\n" for n in range(450))), id="headers"
        ),
        pytest.param(head("GET /api/stream?" + "&".join(map(str, range(450)))), id="parameters"),
        pytest.param(head("GET /api/stream", f"Cookie: {'a=b;' * 450}\r\n"), id="cookies"),
    ],
)
@pytest.mark.parametrize("site", [{"OPERATORS_TOKEN": TOKEN}], indirect=True)
def test_requests_in_flight_share_one_budget(site: PageProcess, sent: bytes) -> None:
    """Forty at once, whatever they become when they are read: the container's limit holds."""
    with connections(site, 40, sent):
        check_that_others_are_served(site)
        time.sleep(2)
        check_that_others_are_served(site)
        assert peak_kb(site.process.pid) < LIMIT_KIB


@pytest.mark.parametrize("site", [{"WEB_MAX_BYTES_IN_FLIGHT": "1000000"}], indirect=True)
def test_beyond_the_budget_one_is_told_to_come_again(site: PageProcess) -> None:
    """A body for which there is no memory is 503 with Retry-After, once it has come."""
    code, answer = site.ask("/api/events", {"text": "a" * 60_000})
    assert code == 202
    code, answer = site.ask("/api/events", [{"text": "a" * 60_000}] * 10)
    assert (code, answer["error"]["code"]) == (503, "busy")
    with connections(site, 1, post("/api/batches", LINES[:2_000_000])) as [one]:
        answer = one.recv(10_000).lower()
    assert answer.startswith(b"http/1.1 503")
    assert b"\r\nretry-after: 2\r\n" in answer
    # What is too long for its path has the answer that says so.
    code, answer = site.ask("/api/events", [{"text": "a" * 60_000}] * 20)
    assert (code, answer["error"]["code"]) == (413, "request_entity_too_large")


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"GET / HTTP/1.1\r\nA: ", id="head"),
        pytest.param(head("POST /api/events", JSON, 100), id="body"),
    ],
)
def test_deadlines_are_for_the_whole(site: PageProcess, begin: bytes) -> None:
    """One byte a second keeps a connection no longer than none does."""
    with connections(site, 1, begin) as [one]:
        one.settimeout(1)
        began = time.monotonic()
        while time.monotonic() < began + DEADLINE_S:
            try:
                if begin:
                    one.sendall(b"a")
                if not one.recv(1000):
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail("still open")


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 4, 4\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "A: b\nTransfer-Encoding: chunked\r\n",
        f"Content-Length: {'9' * 5000}\r\n",
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(
    site: PageProcess, headers: str
) -> None:
    """No second request is hidden in a body: it is refused, and the connection closed."""
    hidden = b"0\r\n\r\n" + head("GET /livez")
    with connections(site, 1, head("POST /api/events", headers + JSON) + hidden) as [one]:
        answers = b"".join(iter(lambda: _received(one), b""))
    assert re.findall(rb"HTTP/1.\d (\d)", answers) in ([b"4"], [b"5"], [])
    assert b"200 OK" not in answers


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(10_000)
    except ConnectionError:
        return b""


def test_a_killed_page_leaves_nothing_behind(site: PageProcess) -> None:
    """Whatever of it was killed, no process and no open feed lives on."""
    main = psutil.Process(site.process.pid)
    everybody = [main, *main.children(recursive=True)]
    with connections(site, 1, head("GET /api/stream")) as [feed]:
        assert status(feed) == 200
        main.kill()
        site.process.wait(LONGEST_S)
        assert not psutil.wait_procs(everybody, timeout=LONGEST_S)[1]
        while _received(feed):
            pass
    with pytest.raises(ConnectionRefusedError), connections(site, 1):
        pass


def test_a_short_search_for_requests_finds_nothing(
    site: PageProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some waves of requests, made by a fixed seed, are all answered or closed, and never 500."""
    del capsys
    assert "Done 5 waves" in search(site, seed=1, seconds=0, runs=5)
