"""`python -m benchmarks.feeds`: many open feeds and many posts on one process of the page.

Kafka, a worker, the page and the one who measures share this machine. A feed shows a sample of ten
results a second; each one that it shows is timed from the moment when its post was due.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import click

from benchmarks import bench, events
from benchmarks.bench import SHORT, START_S, Bench, say
from local.process import HOST, free_port
from sentiment import logs

# Until code is warm and each feed has used up the burst that it begins with.
WARM_S = 5.0
# After the last post: a result that takes longer is lost.
LAST_S = 2.0
# How many posts may be under way: what the page has threads for beside 200 feeds.
CONNECTIONS = 24
# Less than the page keeps an idle connection: one that it closes just then would fail a post.
IDLE_S = 1.0
TICK_S = 0.005
# What a person who has just sent a text still takes for at once.
TARGET_MS = 250.0


class Visitors:
    """Feeds that read a page, and one who posts texts over and over, on one event loop."""

    def __init__(self, url: str, texts: Sequence[str]) -> None:
        self._url = url
        self._bodies = [{"text": text, "source": "feeds"} for text in texts]
        self._due: dict[str, float] = {}
        self._measured_from = float("inf")
        self.posts_ms: list[float] = []
        self.feeds_ms: list[float] = []
        self.refused = 0

    async def run(self, feeds: int, rate: float, seconds: float) -> None:
        """Open the feeds, wait for the first result, and post at a rate for a time."""
        no_limit = aiohttp.ClientTimeout(total=None, sock_read=START_S)
        any_number = aiohttp.TCPConnector(limit=0)
        few = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_S)
        async with (
            aiohttp.ClientSession(connector=any_number, timeout=no_limit) as watching,
            aiohttp.ClientSession(connector=few) as posting,
        ):
            readers = [asyncio.create_task(self._read(watching)) for _ in range(feeds)]
            await self._first_result(posting)
            say(f"{feeds} feeds, {rate:g} posts a second, for {seconds:g} s")
            await self._post_at(posting, rate, WARM_S + seconds)
            await asyncio.sleep(LAST_S)
            for reader in readers:
                if reader.done():
                    # A feed that ended by itself: its reason is the run's.
                    reader.result()
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{self._url}/api/stream?source=feeds") as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if not line.startswith(b'data: {"id"'):
                    continue
                due = self._due.get(json.loads(line[len(b"data: ") :])["id"])
                if due is not None and due >= self._measured_from:
                    self.feeds_ms.append((time.monotonic() - due) * 1000)

    async def _first_result(self, session: aiohttp.ClientSession) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                await self._post(session, "first", time.monotonic())
                async with session.get(f"{self._url}/api/results/first?wait=5") as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(1)
            if time.monotonic() > deadline:
                raise TimeoutError("no result came back")

    async def _post_at(self, session: aiohttp.ClientSession, rate: float, seconds: float) -> None:
        began = time.monotonic()
        self._measured_from = began + WARM_S
        posts: list[asyncio.Task[None]] = []
        while (gone_s := time.monotonic() - began) < seconds:
            for number in range(len(posts), int(gone_s * rate)):
                due = began + number / rate
                posts.append(asyncio.create_task(self._post(session, f"feeds-{number}", due)))
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*posts)

    async def _post(self, session: aiohttp.ClientSession, name: str, due: float) -> None:
        self._due[name] = due
        body = self._bodies[len(self._due) % len(self._bodies)]
        async with session.post(f"{self._url}/api/events", json={**body, "id": name}) as answer:
            await answer.read()
            if due < self._measured_from:
                return
            self.posts_ms.append((time.monotonic() - due) * 1000)
            self.refused += not answer.ok


def measure(place: Bench, feeds: int, rate: float, seconds: float) -> dict[str, object]:
    """Percentiles in milliseconds, and what they were taken from."""
    topic, results, port = place.topic("events"), place.topic("results"), free_port()
    visitors = Visitors(f"http://{HOST}:{port}", events.write()[SHORT])
    environment = {
        "TOPICS_EVENTS": topic,
        "TOPICS_RESULTS": results,
        # One address posts for all of them here, which the limit is there to forbid.
        "WEB_RATE_LIMIT": "",
        "WEB_MAX_OPEN_PER_CALLER": str(feeds + 1),
        "WEB_THREADS": str(max(256, feeds * 8 // 7 + 32)),
    }
    web = ("sentiment", "web", "--port", str(port))
    with (
        place.worker(topic, place.name("feeds"), results),
        place.own(*web, **environment) as page,
    ):
        # So that the feeds find it there.
        bench.wait_until(lambda: _is_ready(port), "the page did not start", 0.2)
        asyncio.run(visitors.run(feeds, rate, seconds))
        memory_mib = page.memory_info().rss / 2**20
    (post_p50, post_p99), (feed_p50, feed_p99) = (
        bench.percentiles(times) for times in (visitors.posts_ms, visitors.feeds_ms)
    )
    return {
        "feeds": feeds,
        "posts_per_second": rate,
        "posts": len(visitors.posts_ms),
        "refused": visitors.refused,
        "shown": len(visitors.feeds_ms),
        "post_p50_ms": post_p50,
        "post_p99_ms": post_p99,
        "feed_p50_ms": feed_p50,
        "feed_p99_ms": feed_p99,
        "memory_mib": memory_mib,
    }


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=bench.SCRAPE_S):
            return True
    except OSError:
        return False


@click.command()
@click.option("--feeds", type=int, default=200, show_default=True, help="Open feeds.")
@click.option("--rate", type=float, default=200.0, show_default=True, help="Posts a second.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="How long.")
@click.option("--output", type=Path, default=Path("build/feeds.json"), help="Where the JSON goes.")
def main(*, feeds: int, rate: float, seconds: float, output: Path) -> None:
    """See how long a visitor waits for a post, and for its result on the feeds of all others."""
    logs.configure()
    with bench.opened() as place:
        report = {**measure(place, feeds, rate, seconds), "machine": bench.describe()}
    bench.save(report, output)
    for name, value in report.items():
        print(f"{name:20} {value:,.1f}" if isinstance(value, float) else f"{name:20} {value}")
    reached = float(str(report["feed_p99_ms"])) < TARGET_MS
    print(f"{'target':20} feed_p99_ms below {TARGET_MS:g}: {'reached' if reached else 'missed'}")


if __name__ == "__main__":
    main()
