"""`python -m tests.fuzz.page`: search for requests that the page doesn't stand.

Waves of connections, each of one kind: whole, cut off, dripped, never read, large, with odd bytes.
A page that is told where a Kafka is, by `KAFKA_BOOTSTRAP_SERVERS`, sends what it takes on.
"""

import asyncio
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import click

from tests.fuzz.options import options
from tests.integration.pages import PageProcess
from tests.integration.workers import peak_kb

# The limit of the page's container.
LIMIT_KIB = 384 * 1024
# Twice what the page gives the slowest of these: its body's 20 s and a second for each 64 KiB.
DEADLINE_S = 120.0
# For a probe: what Kubernetes gives it is 5 s; a machine that tests run on is slower.
PROBE_S = 30.0
METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"get", b"\xff", b"PRI"]
PATHS = [
    b"/", b"/livez", b"/readyz", b"/metrics", b"/api/events", b"/api/events/", b"/api/status",
    b"/api/feedback", b"/api/batches", b"/api/batches/%00", b"/api/batches/../events", b"/api/docs",
    b"/api/results/a", b"/api/results/%ff%fe", b"/api/results/a?wait=0.2", b"/api/stream",
    b"/api/stream?source=%0d%0a", b"/api/trends?window=60", b"/api/openapi.json",
    b"/static/page.css", b"/static/../../etc/passwd", b"/operators", b"/operators/",
    b"/operators/login",
    b"/operators/login?next=/operators/%0a", b"/operators/logout", b"/operators/dead-letters",
    b"//a", b"*", b"http://[", b"http://a/api/status", b"a:1", b"/\x00", b"/" + b"a" * 9000,
]  # fmt: skip
NAMES = [
    b"Host", b"Cookie", b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Expect",
    b"Connection", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Request-ID", b"Authorization",
    b"Origin", b"Sec-Fetch-Site", b"traceparent", b"tracestate", b"X-API-Key", b"Range", b"A_b",
]  # fmt: skip
VALUES = [
    b"", b"a", b"0", b"-1", b"1e3", b"9" * 5000, b"+1", b"1, 1", b"chunked", b"chunked, chunked",
    b"identity", b"100-continue", b"close", b"keep-alive", b"application/json", b"text/csv",
    b"multipart/form-data", b"multipart/form-data; boundary=X", b"text/plain; charset=\xff",
    b"application/x-www-form-urlencoded", b"Bearer a", b"Basic \xff", b"\xff\xfe", b"a\x00b", b"\r",
    b"same-origin", b"http://[", b"a=b; " * 50, b"sentiment-operator=.a.b", b"bytes=9-1",
    b"127.0.0.1, " * 40, b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"a\n b", b"\x80" * 300,
]  # fmt: skip
JSON = [
    b"", b"{}", b"[]", b"null", b'{"text":"Great."}', b'[{"text":"a"},{"text":"b","explain":true}]',
    b'{"events":0}', b"[" * 100_000, b"[" + b"0," * 400_000 + b"0]", b'{"a":[' + b"{}," * 300_000,
    b'{"text":"a","attributes":{"a":[' + b"{}," * 20_000 + b"{}]}}", b'{"text":"\\ud800"}', b"\xff",
    b'{"text":1e999}', b'{"id":"a","label":"positive"}', b'{"text":"' + b"a" * 900_000 + b'"}',
    b'{"id":"a","verdict":"wrong","sentiment":"positive","model":{"name":"m","version":"1"}}',
    b'{"id":"' + b"a" * 5000 + b'","text":"a"}', b'{"text":' + b"9" * 50_000 + b"}",
]  # fmt: skip
TABLES = [
    b"text\na\nb\n", b"a,b,c\n" * 5000, b"\n" * 500_000, b'"' * 100_000, b"a" * 1_500_000,
    b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ntext\na\r\n--X--',
    b"--X\r\n" * 2000, b"token=a&next=%0a&csrf_token=b", b"a&" * 200_000, b"\x00\xff" * 1000,
]  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """What one connection sends, in pieces with a pause after each."""

    pieces: list[bytes]
    pause_s: float
    # `read` the answer, `half` close first, `leave`, or `ignore` the answer for a while.
    then: str


def request(rng: random.Random) -> bytes:
    """A request, more or less."""
    method = rng.choice(METHODS[:2]) if rng.random() < 0.8 else rng.choice(METHODS)
    path = rng.choice(PATHS)
    if rng.random() < 0.1:
        path += b"?" + b"&".join(b"a%d=b" % number for number in range(rng.choice([3, 300, 3000])))
    body = rng.choice(JSON + TABLES) if method == b"POST" or rng.random() < 0.1 else b""
    headers = [(b"Host", b"a")] if rng.random() < 0.95 else []
    if rng.random() < 0.8:
        json = b"/batches" not in path and b"operators" not in path
        kinds = [b"text/csv", b"multipart/form-data; boundary=X", *VALUES[17:20]]
        headers.append((b"Content-Type", b"application/json" if json else rng.choice(kinds)))
    if body:
        headers, body = _framed(rng, headers, body)
    for _ in range(rng.choice([0, 0, 0, 1, 2, 5, 700])):
        headers.append((rng.choice(NAMES), rng.choice(VALUES)))
    version = (
        b"HTTP/1.1" if rng.random() < 0.9 else rng.choice([b"HTTP/1.0", b"HTTP/9.9", b"", b"a"])
    )
    lines = [b" ".join([method, path, version]), *(b"%b: %b" % header for header in headers)]
    raw = b"\r\n".join(lines) + b"\r\n\r\n" + body
    if rng.random() < 0.1:
        place = rng.randrange(len(raw))
        raw = raw[:place] + rng.randbytes(rng.choice([1, 4, 100])) + raw[place + 1 :]
    # Many small ones at once, too.
    return raw * rng.choice([1] * 9 + [30]) if len(raw) < 5000 else raw


def _framed(
    rng: random.Random, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    length = len(body) + rng.choice([0, 0, 0, 0, 0, 0, 1, -1, 10**6, 10**8])
    chunked = [(b"Transfer-Encoding", b"chunked")]
    form = rng.random()
    if form < 0.8:
        return [*headers, (b"Content-Length", b"%d" % length)], body
    size = rng.choice([b"%x" % len(body), b"0x1", b"-1", b"f" * 40, b"%x;a=b" % len(body)])
    framed = b"%b\r\n%b\r\n0\r\n%b\r\n" % (size, body, rng.choice([b"", b"A: b\r\n"]))
    if form < 0.97:
        return [*headers, *chunked], framed
    return [*headers, *chunked, (b"Content-Length", b"%d" % length)], framed


def visit(rng: random.Random, raw: bytes) -> Visit:
    """How a request is sent."""
    kind = rng.choice(["whole", "whole", "cut", "drip", "ignore", "half", "leave", "silent"])
    if kind == "silent":
        return Visit([], 0, "read")
    if kind == "cut":
        return Visit([raw[: rng.randrange(len(raw))]], 0, rng.choice(["read", "half", "leave"]))
    if kind == "drip":
        size = rng.choice([1, 7, 1000])
        # A hundred pieces, and then the rest never comes.
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)][:100]
        return Visit(pieces, rng.choice([0.01, 0.3]), "read")
    return Visit([raw], 0, "read" if kind == "whole" else kind)


async def perform(port: int, planned: Visit) -> str:
    """Visit the page once; what is wrong with how it ended, if anything is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(DEADLINE_S):
            with suppress(ConnectionError):
                for piece in planned.pieces:
                    writer.write(piece)
                    if planned.then != "leave":
                        await writer.drain()
                    await asyncio.sleep(planned.pause_s)
                if planned.then == "half":
                    writer.write_eof()
                if planned.then == "ignore":
                    await asyncio.sleep(2)
                if planned.then != "leave":
                    line = await reader.readline()
                    return "answered 500" if line.split(b" ")[1:2] == [b"500"] else ""
    except TimeoutError:
        return f"neither answered nor closed within {DEADLINE_S:g} s"
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return ""


async def _probe(port: int) -> float:
    """How long a probe takes, in seconds."""
    began = time.monotonic()
    async with asyncio.timeout(PROBE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            line = await reader.readline()
        finally:
            # The last one is given up in its midst.
            writer.transport.abort()
    assert line.split(b" ")[1:2] == [b"200"], f"/livez answered {line!r}"
    return time.monotonic() - began


async def _probing(port: int, took: list[float]) -> None:
    while True:
        took.append(await _probe(port))
        await asyncio.sleep(0.5)


async def wave(port: int, seed: int) -> tuple[int, float]:
    """Many connections at once, and probes; how many there were, and the slowest probe's seconds.

    Raises:
        AssertionError: The page didn't stand it; the message has the visit.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    many = rng.choice([1, 5, 40, 300])
    raw = request(rng)
    # Of one kind, or of many kinds.
    same = visit(rng, raw) if rng.random() < 0.5 else None
    planned = [same or visit(rng, request(rng)) for _ in range(many)]
    took: list[float] = []
    probing = asyncio.create_task(_probing(port, took))
    try:
        ends = await asyncio.gather(*(perform(port, one) for one in planned))
        for one, wrong in zip(planned, ends, strict=True):
            assert not wrong, f"seed {seed}: {wrong}: {one.then} {one.pieces!r:.3000}"
        took.append(await _probe(port))
    finally:
        if probing.done():
            # A probe that was not answered is the reason.
            probing.result()
        probing.cancel()
    return many, max(took)


def search(page: PageProcess, seed: int, seconds: float, runs: int) -> str:
    """Send waves, each of the next seed, until the time or their number is over.

    What they came to is a sentence. 0 seconds: by number alone; -1 runs: by time alone.

    Raises:
        AssertionError: The page didn't stand one of them.
    """
    began, number, connections, slowest = time.monotonic(), 0, 0, 0.0

    # A browser's tests before it may have left a loop on our own thread.
    def on_its_own(seed: int) -> tuple[int, float]:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(wave(page.port, seed))).result()

    while number != runs and (not seconds or time.monotonic() - began < seconds):
        many, took = on_its_own(seed + number)
        number, connections, slowest = number + 1, connections + many, max(slowest, took)
        assert page.process.poll() is None, f"seed {seed + number - 1}: the page has ended"
        peak = peak_kb(page.process.pid)
        assert peak < LIMIT_KIB, f"seed {seed + number - 1}: {peak:,} KiB"
    return (
        f"Done {number} waves of {connections} connections: at most {peak_kb(page.process.pid):,}"
        f" KiB, slowest probe {slowest:.2f} s"
    )


def main() -> None:
    """Search until the time or the number is over, or something is found."""
    given = options("tests.fuzz.page", __doc__, "waves", "where the page's log goes")
    given.folder.mkdir(parents=True, exist_ok=True)
    seed = given.seed or random.SystemRandom().randrange(1, 2**32)
    environment = {"OPERATORS_TOKEN": "a token of some length"}
    if "KAFKA_BOOTSTRAP_SERVERS" not in os.environ:
        environment |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_CONNECT_TIMEOUT_S": "1"}
    page = PageProcess(given.folder / "page.log", **environment)
    try:
        page.wait_until(connected="KAFKA_BOOTSTRAP_SERVERS" in os.environ)
        click.echo(f"Seed {seed}")
        click.echo(search(page, seed, given.seconds, given.runs))
    except AssertionError as found:
        sys.exit(str(found))
    finally:
        page.end()


if __name__ == "__main__":
    main()
