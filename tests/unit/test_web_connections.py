"""Which threads serve a request, and who writes a feed.

A real server on a socket, with an app that can be held.
"""

import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from queue import SimpleQueue
from typing import Any

import pytest

from web.access import REFUSED
from web.connections import MAX_QUEUED, Server
from web.feeds import FEED, FOLLOW, Reader
from web.settings import WebSettings

# Far above what any of these waits takes; reached only when something is broken.
PATIENCE_S = 30.0
# Everybody else is 127.0.0.1.
ATTACKER = "127.0.0.66"


class Lines:
    """A feed that its test writes."""

    def __init__(self) -> None:
        self.readers: SimpleQueue[Reader] = SimpleQueue()
        self.left = threading.Event()
        self.begin, self.leave = self.readers.put, self.left.set


class Site:
    """A server whose answers to `ATTACKER` wait until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.feed = Lines()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.settimeout(0)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        """Answer a request, as a WSGI app."""
        if environ.get(REFUSED):
            start("503 Service Unavailable", [("Content-Length", "0")])
            return []
        if environ["REMOTE_ADDR"] == ATTACKER:
            self.go.wait(PATIENCE_S)
        if environ["PATH_INFO"] == FEED:
            environ[FOLLOW](self.feed)
            start("200 OK", [])
            return iter([b"first\n"])
        start("200 OK", [("Content-Length", "0")])
        return []

    @contextmanager
    def asked(self, count: int, path: str, source: str) -> Iterator[list[HTTPConnection]]:
        """So many connections of an address, each with a request under way."""
        with ExitStack() as opened:
            made = []
            for _ in range(count):
                port = self.listener.getsockname()[1]
                one = HTTPConnection("127.0.0.1", port, PATIENCE_S / 2, (source, 0))
                opened.callback(one.close)
                one.request("GET", path)
                made.append(one)
            yield made


@pytest.fixture
def site() -> Iterator[Site]:
    """A server in a thread."""
    site, ended = Site(), threading.Event()
    server = Server(site, site.listener, WebSettings())
    thread = threading.Thread(target=server.run_until, args=(ended.is_set, 1), daemon=True)
    thread.start()
    yield site
    site.go.set()
    ended.set()
    thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    "path",
    ["/api/results/x?wait=9", "/api/results/x?%77ait=9", "//api/results/x?wait=9", "//api/stream"],
)
def test_what_waits_takes_no_thread_of_others(site: Site, path: str) -> None:
    """However a wait or a feed is written, the quick threads are for all others."""
    with site.asked(50, path, ATTACKER), site.asked(1, "/", "127.0.0.1") as [other]:
        assert other.getresponse().status == 200


@pytest.mark.parametrize("path", ["/livez", "/"])
def test_one_address_has_a_part_of_the_queue(site: Site, path: str) -> None:
    """Beyond its part it is refused, and others are not: probes have such a queue too."""
    with (
        site.asked(2 * MAX_QUEUED, path, ATTACKER) as made,
        site.asked(1, path, "127.0.0.1") as [other],
    ):
        refused = made[-1].getresponse().status
        site.go.set()
        assert (refused, other.getresponse().status) == (503, 200)
        statuses = Counter(one.getresponse().status for one in made[:-1])
    assert 0 < statuses[200] <= MAX_QUEUED / 2
    assert statuses[503] == len(made) - 1 - statuses[200]


def test_a_feed_is_written_by_its_own_thread(site: Site) -> None:
    """What another thread writes comes whole and in order, while the server's flushes it too."""
    lines = [b"%d %b\n" % (number, b"a" * 5_000) for number in range(2_000)]
    with site.asked(1, FEED, "127.0.0.1") as [one]:
        answer = one.getresponse()
        reader = site.feed.readers.get(timeout=PATIENCE_S)

        def write() -> None:
            for line in lines:
                reader.push(line)
            reader.end()

        threading.Thread(target=write, daemon=True).start()
        assert answer.read() == b"first\n" + b"".join(lines)
    assert site.feed.left.wait(PATIENCE_S)


def test_a_feed_is_left_as_soon_as_its_browser_has_gone(site: Site) -> None:
    """Nothing need be written to learn that a connection is closed."""
    with site.asked(1, FEED, "127.0.0.1") as [one]:
        answer = one.getresponse()
        site.feed.readers.get(timeout=PATIENCE_S)
        assert not site.feed.left.is_set()
        answer.close()
    assert site.feed.left.wait(PATIENCE_S)


@pytest.mark.parametrize("together", [True, False])
def test_a_request_behind_a_feed_ends_it(site: Site, together: bool) -> None:  # noqa: FBT001 - a case
    """No answer to it could come before the feed's end: the connection is closed."""
    asked = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
    feed, other = asked % FEED.encode(), asked % b"/"
    with socket.create_connection(site.listener.getsockname(), PATIENCE_S) as one:
        one.sendall(feed + other if together else feed)
        site.feed.readers.get(timeout=PATIENCE_S)
        if not together:
            one.sendall(other)
        assert site.feed.left.wait(PATIENCE_S)
        answers = b"".join(iter(lambda: one.recv(10_000), b""))
    assert answers.count(b"HTTP/1.1 ") == 1
