import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from local.broker import LocalKafka
from local.settings import LocalSettings
from sentiment import wire
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from tests.integration.pages import PageProcess, page, publish, result
from tests.integration.workers import WorkerProcess
from tests.waiting import LONGEST_S, until


def frames(site: PageProcess, query: str = "") -> Generator[tuple[str, Any], None, None]:
    """The events of a live feed, as their name and data."""
    address = f"{site.url}/api/stream{query}"
    with urllib.request.urlopen(address, timeout=LONGEST_S) as lines:  # noqa: S310 - ours
        for line in lines:
            if line.startswith(b"event: "):
                name = line[len("event: ") :].decode().strip()
                yield name, json.loads(next(lines)[len("data: ") :])


def test_text_goes_through_a_worker_and_back(
    settings: Settings,
    site: PageProcess,
    start_worker: Callable[..., WorkerProcess],
    tmp_path: Path,
) -> None:
    """A text that is posted has its result by any replica; what can't be one has its error."""
    start_worker()
    with page(tmp_path / "second.log") as second:
        code, answer = site.ask("/api/events", [{"text": "I loved it."}, {"text": "Bad."}])
        assert code == 202
        for event in answer["events"]:
            for replica in (site, second):
                code, found = replica.outcome(event["id"])
                assert code == 200
                assert (found["id"], found["source"]) == (event["id"], "web")
    producer = clients.new_producer(settings.kafka)
    producer.produce(settings.topics.events, b'{"id": "no/text"}', partition=0)
    places: list[str] = []
    producer.produce(
        settings.topics.events,
        b"garbage",
        on_delivery=lambda _, at: places.append(f"{at.topic()}-{at.partition()}-{at.offset()}"),
    )
    assert producer.flush(LONGEST_S) == 0
    code, found = site.outcome("no%2Ftext")
    assert (code, found["error"]["code"]) == (422, "missing_text")
    code, found = site.outcome(places[0])
    assert (code, found["error"]["code"]) == (422, "not_json")


def test_what_is_sent_is_on_the_topic(settings: Settings, site: PageProcess) -> None:
    """202 means that the brokers have the events: whole, in order per key, keyed by their id."""
    sent = [{"text": f"text {number}", "id": f"id-{number}"} for number in range(500)]
    code, answer = site.ask("/api/events", {"events": sent})
    assert (code, [event["id"] for event in answer["events"]]) == (
        202,
        [event["id"] for event in sent],
    )
    with TopicReader(settings.kafka, settings.topics.events, "beginning") as reader:
        records = list(reader.rest())
    found = {record.key(): wire.decode_event(record.value() or b"") for record in records}
    assert len(records) == 500
    assert found == {
        event["id"].encode(): wire.TextEvent(event["text"], event["id"], "web") for event in sent
    }


def test_results_from_before_the_start_are_found(settings: Settings, tmp_path: Path) -> None:
    """A page that starts later answers for recent results; what is no result is passed over."""
    old = result()
    publish(settings, b"no result", old, b'{"id": "half"}')
    with page(tmp_path / "web.log") as site:
        assert site.outcome(old.id)[0] == 200
        assert site.ask("/api/results/half")[0] == 404
        status = site.ask("/api/status")[1]
        assert (status["results_seen"], status["model"]["version"]) == (1, "7")


def test_what_is_read_back_is_no_live_traffic(settings: Settings, tmp_path: Path) -> None:
    """Results of the last minute that a start reads back are in no rate, and no live count."""
    publish(settings, *(result() for _ in range(200)))
    with page(tmp_path / "web.log") as site:
        until(lambda: site.ask("/api/status")[1]["results_seen"] >= 200)
        # The rate is a mean over seconds, and told anew each second.
        for _ in range(15):
            assert site.ask("/api/status")[1]["results_per_second"] == 0
            time.sleep(0.1)
        publish(settings, result())
        until(lambda: site.ask("/api/status")[1]["results_per_second"] > 0)


def test_feed_filters_on_the_server(settings: Settings, site: PageProcess) -> None:
    """A feed shows the recent results first, then those that come, by sentiment and source."""
    before = result(source="shop", score=0.1)
    publish(settings, before, result(source="shop"), result(score=0.1))
    assert site.outcome(before.id)[0] == 200
    feed = frames(site, "?sentiment=negative&source=shop")
    assert next(feed)[1]["id"] == before.id
    after = result(source="shop", score=0.2)
    publish(settings, result(source="shop"), result(score=0.2), after)
    found = next(data for name, data in feed if name == "result")
    assert found == json.loads(wire.encode(after))
    feed.close()


def test_flood_is_kept_up_with_and_said(settings: Settings, site: PageProcess) -> None:
    """All of a flood is counted and can be asked for; a feed shows a sample, and says so."""
    feed = frames(site)
    assert next(feed)[0] == "status"
    flood = [result() for _ in range(30_000)]
    publish(settings, *flood)
    assert site.outcome(flood[-1].id)[0] == 200
    skipped = shown = 0
    deadline = time.monotonic() + LONGEST_S
    while skipped + shown < len(flood):
        assert time.monotonic() < deadline
        name, data = next(feed)
        shown += name == "result"
        skipped += data["skipped"] if name == "status" else 0
    assert skipped + shown == len(flood)
    assert shown < 1000
    assert site.ask("/api/status")[1]["results_seen"] == len(flood)
    feed.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end_does_not_wait_for_feeds(site: PageProcess, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end the page cleanly, though feeds and a wait for a result are open."""
    ended: list[bool] = []
    feeds = [frames(site) for _ in range(3)]
    for feed in feeds:
        assert next(feed)[0] == "status"
    browsers = [
        threading.Thread(target=lambda feed=feed: ended.append(all(feed))) for feed in feeds
    ]
    for browser in browsers:
        browser.start()
    with socket.create_connection(("127.0.0.1", site.port)) as waiting:
        waiting.sendall(b"GET /api/results/absent?wait=30 HTTP/1.1\r\nHost: x\r\n\r\n")
        site.process.send_signal(number)
        assert site.process.wait(LONGEST_S) == 0
        assert b"404 NOT FOUND" in waiting.recv(1000)
    for browser in browsers:
        browser.join(LONGEST_S)
    assert len(ended) == len(feeds)
    assert "Traceback" not in site.log.read_text()


def test_taken_port_is_told(settings: Settings) -> None:
    """A port that another program has is a sentence and a hint, without a traceback."""
    del settings
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "sentiment", "web", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 can't be opened" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_kafka_comes_goes_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page starts before Kafka, follows when it comes, says when it goes, and recovers."""
    with LocalKafka(tmp_path / "kafka", LocalSettings().cache_dir, print) as broker:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        topics.create(Settings())
        broker.kill(0)
        site = PageProcess(tmp_path / "web.log")
        try:
            site.wait_until(connected=False)
            assert site.ask("/api/events", {"text": "a"})[0] == 503
            for _ in range(2):
                broker.start(0)
                broker.wait_until_ready()
                site.wait_until(connected=True)
                mine = result()
                publish(Settings(), mine)
                assert site.outcome(mine.id)[0] == 200
                assert site.ask("/api/events", {"text": "a"})[0] == 202
                broker.kill(0)
                site.wait_until(connected=False)
                code, answer = site.ask("/api/events", {"text": "a"})
                assert (code, answer["error"]["code"]) == (503, "kafka_unavailable")
        finally:
            site.end()
