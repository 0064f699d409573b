"""Which threads serve a request: a real server on a socket, with an app that can be held."""

import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from web.access import REFUSED
from web.connections import MAX_QUEUED, Server
from web.settings import WebSettings

# Far above what any of these waits takes; reached only when something is broken.
PATIENCE_S = 30.0
# Everybody else is 127.0.0.1.
ATTACKER = "127.0.0.66"


class Site:
    """A server whose answers to `ATTACKER` wait until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.settimeout(0)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        """Answer a request, as a WSGI app."""
        if environ.get(REFUSED):
            start("503 Service Unavailable", [("Content-Length", "0")])
            return []
        if environ["REMOTE_ADDR"] == ATTACKER:
            self.go.wait(PATIENCE_S)
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
