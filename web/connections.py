"""The page's connections: what each may hold, and for how long, before a thread serves its request.

Waitress reads heads and bodies on one thread: a slow sender costs memory alone. Bounded here are
whole deadlines, bytes of all requests together, parts of a head, and threads that only probes get.
"""

import io
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import socket
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

from sentiment import logs
from web.access import REFUSED, Shares, forwarded, network
from web.feeds import FEED, FOLLOW, Feed
from web.settings import WebSettings

# Beyond the threads: idle connections of browsers and proxies, and senders that are slow.
IDLE_CONNECTIONS = 512
# For the head of a request, from the connection's begin or its first byte; a phone needs a second.
HEAD_S = 10.0
# For a body, and one more second for each `BODY_RATE` bytes that came: 0.5 Mbit/s is a slow line.
BODY_S = 20.0
BODY_RATE = 65_536
# For a sender to take in the next bytes of its answer.
SEND_S = 30.0
# Load balancers give up an idle connection after 60 s; whoever does so second loses no request.
IDLE_S = 65.0
# Of a head: four times what a browser with many cookies sends.
MAX_HEAD_BYTES = 32_768
# Headers, parameters and cookies of a head together; each becomes objects that a feed keeps.
MAX_PARTS = 500
# Requests that are sent before the first is answered, as no browser does; each is read beforehand.
MAX_PIPELINED = 10
# What is too large is read to its end, or browsers would show no answer; not more than this.
MAX_UNREAD_BYTES = 64 * 1024 * 1024
# Times the bytes of a body, while it is read, parsed, encoded and sent.
PARSED = 4
# Whatever is smaller is not counted: 768 of them are 12 MB.
UNCOUNTED_BYTES = 16_384
# Requests that wait for a thread: half a second's, of a page that answers 200 a second.
MAX_QUEUED = 128
# Connections that are taken in at a turn of the loop, which goes through all that it has.
ACCEPTED = 64
PROBES = {"/livez", "/readyz"}
UPLOADS, RESULTS = "/api/batches", "/api/results/"

log = logs.get(__name__)


class _Body:
    """The bytes of a body; those that may not be kept are only counted."""

    def __init__(self, keep: Callable[[int], bool]) -> None:
        self._keep = keep
        self._file = io.BytesIO()
        self._length = 0
        self.kept = True

    def append(self, data: bytes) -> None:
        self._length += len(data)
        if self.kept and not self._keep(self._length):
            self.kept = False
            self.close()
        if self.kept:
            self._file.write(data)

    def __len__(self) -> int:
        return self._length

    def getfile(self) -> io.BytesIO:
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file = io.BytesIO()


class _Request(HTTPRequestParser):  # type: ignore[misc]  # waitress publishes no types
    path: str

    def __init__(self, connection: "_Connection", adj: Adjustments) -> None:
        super().__init__(adj)
        self._connection = connection
        self.begun = time.monotonic()
        self.refused = False

    def parse_header(self, head: bytes) -> None:
        if sum(head.count(mark) for mark in (b"\n", b"&", b";", b",")) > MAX_PARTS:
            raise ParsingError("Too many headers, parameters or cookies")
        if len(self._connection.requests) >= MAX_PIPELINED:
            raise ParsingError("Too many requests before their answers")
        try:
            super().parse_header(head)
        except ValueError:
            # A number of thousands of digits, or an address that is none.
            raise ParsingError("A number or an address is malformed") from None
        if "TRANSFER_ENCODING" in self.headers or (
            self.chunked and "CONTENT_LENGTH" in self.headers
        ):
            # A proxy before us may have read the other one of the two lengths (RFC 9112, 6.3).
            raise ParsingError("The length of the body is ambiguous")
        # As the app has it, whose paths begin with one slash.
        if self.path.startswith("/"):
            self.path = "/" + self.path.lstrip("/")
        header, peer = self.headers.get("X_FORWARDED_FOR", ""), self._connection.addr[0]
        proxies = self._connection.server.trusted_proxies
        self._connection.caller = network(forwarded(peer, header, proxies))
        if self.body_rcv is not None:
            self.body_rcv.buf = _Body(self._keep)

    def _keep(self, length: int) -> bool:
        # What is too long has its answer by its length; it need not be kept for that.
        if max(length, self.content_length) > self._connection.server.largest(self.path):
            return False
        self.refused = not self._connection.hold(length)
        return not self.refused

    @property
    def deadline(self) -> float:
        """When it must have come, on the monotonic clock, as all times here."""
        if self.body_rcv is None:
            return self.begun + HEAD_S
        buf = self.body_rcv.buf
        return self.begun + BODY_S + (len(buf) / BODY_RATE if buf.kept else 0)


class _Task(WSGITask):  # type: ignore[misc]
    def get_environment(self) -> dict[str, Any]:
        request, body = self.request, self.request.body_rcv
        if body is not None and body.buf.kept and not self.channel.hold(len(body.buf) * PARSED):
            request.refused = True
        if request.refused and body is not None:
            # It is counted no more, and read by nobody.
            body.buf.close()
        environ: dict[str, Any] = super().get_environment()
        environ[REFUSED] = request.refused
        environ[FOLLOW] = self.channel.follow
        return environ

    def finish(self) -> None:
        feed = self.channel.feed
        if feed is None:
            super().finish()
            return
        # The app has written its first lines; the feed goes on with it.
        self.close_on_finish = False
        self.channel.chunked = self.chunked_response
        feed.begin(self.channel)


class _Connection(HTTPChannel):  # type: ignore[misc]
    """One connection, with the bytes that it holds in the budget of all."""

    task_class = _Task

    def __init__(self, server: "Server", sock: socket, addr: Any, *rest: Any, **more: Any) -> None:  # noqa: ANN401 - waitress's own
        super().__init__(server, sock, addr, *rest, **more)
        self.parser_class = partial(_Request, self)
        self.caller = network(addr[0])
        self._held = 0
        self._holder = self.caller
        self._served = False
        self.was_late = False
        # What is written to it from its answer's begin until either side ends.
        self.feed: Feed | None = None
        self.chunked = False
        # What to do once the request has its answer.
        self.leave_queue: Callable[[], None] | None = None
        self._idle_since = time.monotonic()

    def hold(self, amount: int) -> bool:
        """Hold so many bytes instead of those before; False: there are not so many left."""
        amount = amount if amount > UNCOUNTED_BYTES else 0
        with self.outbuf_lock:
            if amount == self._held:
                return True
            budget = self.server.budget
            budget.give(self._holder, self._held)
            self._held, self._holder = 0, self.caller
            if amount and budget.take(self.caller, amount):
                return False
            self._held = amount
        return True

    def follow(self, feed: Feed) -> None:
        """Be a feed's from now on: it is told when the peer has gone."""
        self.feed = feed
        if not self.connected:
            feed.leave()

    @property
    def behind(self) -> bool:
        """Whether its peer has yet to take in what was written; `Reader` says more of these."""
        return bool(self.total_outbufs_len)

    def push(self, data: bytes) -> None:
        with suppress(ClientDisconnected):
            self.write_soon(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def end(self) -> None:
        if self.chunked:
            with suppress(ClientDisconnected):
                self.write_soon(b"0\r\n\r\n")
        self.close_when_flushed = True
        self.server.pull_trigger()

    def received(self, data: bytes) -> bool:
        if self.feed:
            # No answer to it could come before the feed's end.
            self.will_close = True
            return False
        return bool(super().received(data))

    def write_soon(self, data: Any) -> int:  # noqa: ANN401 - bytes or waitress's own file
        unsent = self.total_outbufs_len + len(data)
        if unsent > self._held and not self.hold(unsent):
            log.warning("answer dropped", reason="too many bytes wait for slow readers")
            self.will_close = True
            raise ClientDisconnected
        return int(super().write_soon(data))

    def service(self) -> None:
        # The next request of the connection enters a queue of its own meanwhile.
        leave = self.leave_queue
        super().service()
        if leave:
            leave()
        self._served, self._idle_since = True, time.monotonic()
        self.hold(self.total_outbufs_len)

    def handle_write(self) -> None:
        # Waitress takes it only where a request is under way; feeds write without one.
        with self.outbuf_lock:
            super().handle_write()
        if not self.requests:
            self.hold(self.total_outbufs_len)

    def handle_close(self) -> None:
        super().handle_close()
        self.hold(0)
        if self.feed:
            self.feed.leave()

    @property
    def waits_since(self) -> float:
        return self.request.begun if self.request else self._idle_since

    def late(self, now: float) -> bool:
        if self.total_outbufs_len:
            # Waitress's own clock; it moves with each byte that is taken in.
            return bool(time.time() - self.last_activity > SEND_S)
        if self.requests or self.feed:
            return False
        if self.request is not None:
            return bool(now > self.request.deadline)
        return now > self._idle_since + (IDLE_S if self._served else HEAD_S)


def _threads(count: int) -> ThreadedTaskDispatcher:
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(count)
    return dispatcher


def _queue(threads: int) -> Shares:
    """Requests under way; one caller takes a quarter: the others are not refused for it."""
    total = threads + MAX_QUEUED
    return Shares(total, total // 4)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Waitress on a socket that is bound, with bounds."""

    channel_class = _Connection

    def __init__(self, app: object, listener: socket, settings: WebSettings) -> None:
        self._settings = settings
        self.trusted_proxies = settings.trusted_proxies
        self._connections = settings.threads + IDLE_CONNECTIONS
        self.budget = Shares(settings.max_bytes_in_flight, settings.max_bytes_in_flight // 4 * 3)
        # Each kind has threads of its own, so that none waits for another: probes least of all.
        self._probes, self._refusals = _threads(2), _threads(1)
        self._held = _threads(settings.threads - settings.quick_threads)
        dispatcher = _threads(settings.quick_threads)
        self._queues = {self._probes: _queue(2), dispatcher: _queue(settings.quick_threads)}
        largest = max(settings.max_upload_bytes, settings.max_request_bytes)
        adjustments = Adjustments(
            ident=None,
            # The app reads them, with the settings that say whose word counts.
            clear_untrusted_proxy_headers=False,
            # Never reached: before, the one that waits for longest goes.
            connection_limit=self._connections + IDLE_CONNECTIONS,
            asyncore_use_poll=True,
            cleanup_interval=1,
            max_request_header_size=MAX_HEAD_BYTES,
            max_request_body_size=max(MAX_UNREAD_BYTES, 2 * largest),
            # The budget bounds both; no files.
            outbuf_overflow=settings.max_bytes_in_flight,
        )
        super().__init__(
            app,
            {},
            _sock=listener,
            dispatcher=dispatcher,
            adj=adjustments,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )

    def largest(self, path: str) -> int:
        """The largest body that a path takes, in bytes."""
        web = self._settings
        return web.max_upload_bytes if path == UPLOADS else web.max_request_bytes

    def add_task(self, connection: _Connection) -> None:
        """Give a request that has come in whole to a thread."""
        if connection.feed:
            # It came together with the feed's: as in `received`.
            connection.will_close = True
            return
        request = connection.requests[0]
        threads = self._threads_for(request)
        queue, caller = self._queues.get(threads), connection.caller
        connection.leave_queue = None
        if queue and not queue.take(caller):
            connection.leave_queue = partial(queue.give, caller)
        elif queue or len(threads.queue) >= MAX_QUEUED:
            request.refused, threads = True, self._refusals
        threads.add_task(connection)

    def _threads_for(self, request: _Request) -> ThreadedTaskDispatcher:
        if request.error:
            return self._refusals
        if request.path in PROBES:
            return self._probes
        # A character of `wait` may be an escape.
        query = request.query
        waits = request.path.startswith(RESULTS) and ("wait" in query or "%" in query)
        # A browser whose feed is refused does not ask again: it has a place in the longer queue.
        return self._held if waits or request.path == FEED else self.task_dispatcher

    def handle_accept(self) -> None:
        """Take in a connection; where they are too many, the one that waits for longest goes."""
        for _ in range(ACCEPTED):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return
            if len(self.active_channels) <= self._connections:
                continue
            channels = self.active_channels.values()
            waiting = [one for one in channels if not (one.requests or one.feed)]
            min(waiting, key=lambda one: one.waits_since).handle_close()

    def maintenance(self, _: float) -> None:
        """Close what is late; waitress calls it once a second."""
        for connection in list(self.active_channels.values()):
            late = connection.late(time.monotonic())
            # Once is not enough: in between, all that has come was read. On a machine without a
            # moment to spare, that may be longer ago than the deadline.
            if late and connection.was_late:
                connection.will_close = True
            connection.was_late = late

    def run_until(self, ended: Callable[[], bool], grace_s: float) -> None:
        """Serve until told to end, and so many seconds longer for requests in flight."""
        while not ended():
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        # What has come by then is taken in: connections first, then what was sent on them.
        wasyncore.loop(timeout=0, use_poll=True, map=self._map, count=2)
        wasyncore.dispatcher.close(self)
        deadline = time.monotonic() + grace_s
        while self.active_channels and time.monotonic() < deadline:
            for connection in list(self.active_channels.values()):
                if not (connection.requests or connection.feed or connection.total_outbufs_len):
                    connection.handle_close()
            wasyncore.loop(timeout=0.1, use_poll=True, map=self._map, count=1)
