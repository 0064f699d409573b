"""What the page holds of results and dead letters, however large others make them."""

import json
from pathlib import Path

import pytest

from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.wire import Input
from tests.integration.conftest import StartWorker
from tests.integration.pages import PageProcess, page
from tests.integration.workers import peak_kb
from tests.waiting import LONGEST_S, until

pytestmark = pytest.mark.kafka

# The limit of the page's container; see `helm/sentiment-stream/values.yaml`.
LIMIT_KB = 384 * 1024


def wait_for(site: PageProcess, count: str, wanted: int) -> None:
    """Wait until a page has seen so many outcomes."""
    until(lambda: site.ask("/api/status")[1][count] >= wanted, site.log.read_text)


def test_explanations_are_bounded_in_bytes(
    site: PageProcess, start_worker: StartWorker, tmp_path: Path
) -> None:
    """Ten large requests that all ask for explanations fit in memory, also at a start."""
    # Of a batch of many texts each explanation is shorter.
    start_worker(WORKER_MAX_BATCH="50")
    text = "a good film and not a bad one " * 90
    batch = [{"text": text, "explain": True}] * (1_000_000 // (len(text) + 50))
    for _ in range(10):
        assert site.ask("/api/events", batch)[0] == 202
    wait_for(site, "results_seen", 10 * len(batch))
    assert peak_kb(site.process.pid) < LIMIT_KB
    with page(tmp_path / "second.log") as later:
        wait_for(later, "results_seen", 10 * len(batch))
        assert peak_kb(later.process.pid) < LIMIT_KB
    # Who asked last still has one.
    sent = site.ask("/api/events", {"text": text, "explain": True})[1]
    [event] = sent["events"]
    assert site.outcome(event["id"])[0] == 200
    found = site.ask(f"/api/results/{event['id']}?token={sent['token']}")[1]
    assert len(found["explanation"]["parts"]) > 1000


@pytest.mark.parametrize("where", ["value", "header"])
def test_dead_letters_are_bounded_in_bytes(
    settings: Settings, site: PageProcess, tmp_path: Path, where: str
) -> None:
    """Of a megabyte each, they fit in the page's memory, also at a start."""
    much = "a" * 900_000
    own: wire.Headers = [("h", much)] if where == "header" else []
    producer = clients.new_producer(settings.kafka)
    for number in range(300):
        place = Input(settings.topics.events, 0, number)
        producer.produce(
            settings.topics.dead_letters,
            json.dumps({"id": f"{number:07}" + (much if where == "value" else "")}),
            headers=[*_headers(place, "b" * 50_000), *own],
        )
        producer.poll(0)
        if number % 5 == 4:
            assert producer.flush(LONGEST_S) == 0
    wait_for(site, "dead_letters_seen", 300)
    assert peak_kb(site.process.pid) < LIMIT_KB
    name = f"{number:07}" if own else wire.name_of(place)
    code, answer = site.outcome(name)
    assert (code, answer["error"]["code"]) == (422, "invalid_field")
    with page(tmp_path / "second.log") as later:
        wait_for(later, "dead_letters_seen", 300)
        assert peak_kb(later.process.pid) < LIMIT_KB


def _headers(place: Input, message: str) -> list[tuple[str, str | bytes | None]]:
    return [
        (wire.ERROR_CODE, "invalid_field"),
        (wire.ERROR_MESSAGE, message),
        (wire.ERROR_TOPIC, place.topic),
        (wire.ERROR_PARTITION, str(place.partition)),
        (wire.ERROR_OFFSET, str(place.offset)),
    ]
