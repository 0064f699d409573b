"""The trends of real tallies on a real Kafka, and their sums after every kill."""

import json
import re
import signal
import time
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Message

from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.times import OLDEST_MS
from sentiment.wire import Feedback, Model, TallyCount, decode_tally
from stream_worker.trends import book
from stream_worker.trends.book import Key, Row, Window
from stream_worker.trends.settings import TrendsSettings
from tests.integration.conftest import StartWorker
from tests.integration.trends_process import StartTrends, tally
from tests.integration.workers import PATIENCE_S, read, read_results, send

pytestmark = pytest.mark.kafka


def test_trends_add_up_to_the_workers_results(
    settings: Settings, start_worker: StartWorker, start_trends: StartTrends
) -> None:
    """Windows by source and model on the topic and in the views, with the results' own sums."""
    start_worker()
    trends = start_trends()
    texts = (
        [b'{"text":"a good film","source":"shop"}'] * 30 + [b'{"text":"bad"}'] * 10 + [b"no"] * 5
    )
    send(settings, texts)
    results = read_results(settings, 40)
    trends.wait_for(40)
    for window in (10, 60, 3600):
        assert trends.events(window) == 40
    [shop] = trends.get("/trends?window=3600&source=shop")["trends"]
    assert shop["total"]["events"] == shop["models"]["1"]["events"] == 30
    expected = sum(result.score for result in results if result.source == "shop") / 30
    assert shop["total"]["mean_score"] == pytest.approx(expected)
    [everything] = trends.get("/trends?window=3600")["trends"]
    assert everything["total"]["dead_letters"] == 5
    assert everything["total"]["positive"] == sum(r.sentiment == "positive" for r in results)
    assert trends.get("/sources") == {"sources": ["", "shop"]}
    records = read(settings, settings.topics.trends, lambda seen: len(seen) >= 9)
    latest = {record.key(): json.loads(record.value() or b"") for record in records}
    hours = {t["source"]: t["total"]["events"] for t in latest.values() if t["window_s"] == 3600}
    assert hours == {None: 40, "": 10, "shop": 30}
    assert trends.end(signal.SIGTERM) == 0


def test_wrong_clocks_break_no_figure(
    settings: Settings, start_worker: StartWorker, start_trends: StartTrends
) -> None:
    """A producer that is 50 minutes ahead counts now, an event of 1970 in no window, and no sum of
    tallies, trends or metrics is negative or counts in decades.
    """  # noqa: D205 - one claim
    worker = start_worker()
    trends = start_trends()
    now_ms = int(time.time() * 1000)
    send(settings, [b'{"text":"a good film"}'] * 20)
    send(settings, [b'{"text":"a good film"}'] * 10, timestamp=now_ms + 3_000_000)
    send(settings, [b'{"text":"a good film"}'] * 2, timestamp=1)
    results = read_results(settings, 32)
    trends.wait_for(30)
    ahead = [result for result in results if result.received_at > result.processed_at]
    assert {round(r.received_at.timestamp() * 1000) for r in ahead} == {now_ms + 3_000_000}

    def rows(records: list[Message]) -> list[TallyCount]:
        return [row for r in records for row in decode_tally(r.value() or b"").counts]

    def events_in(records: list[Message]) -> int:
        return sum(row.positive + row.negative for row in rows(records))

    counts = rows(read(settings, settings.topics.tallies, lambda seen: events_in(seen) >= 32))
    for row in counts:
        assert 0 <= row.latency_ms_sum <= OLDEST_MS * (row.positive + row.negative)
        assert row.interval <= time.time()
    for window in (10, 60, 3600):
        for trend in trends.get(f"/trends?window={window}&seconds=7200")["trends"]:
            # As long as the test takes at most, and far below what a wrong clock would make of it.
            assert 0 <= trend["total"]["mean_latency_ms"] < 600_000
    worker.wait_for_metric('sentiment_clock_skew_events_total{kind="ahead"} 10.0')
    worker.wait_for_metric('sentiment_clock_skew_events_total{kind="old"} 2.0')
    scraped = worker.get("/metrics")
    [line] = re.findall(r"^sentiment_event_latency_seconds_sum (.*)$", scraped, re.MULTILINE)
    assert 0 <= float(line) <= 3 * OLDEST_MS / 1000


def put_tallies(settings: Settings, count: int) -> None:
    """Tallies of three results each, of four partitions in turn."""
    producer = clients.new_producer(settings.kafka)
    for number in range(count):
        producer.produce(settings.topics.tallies, tally(number // 4 * 3, 3, number % 4))
    assert producer.flush(PATIENCE_S) == 0


def test_the_sums_are_exact_after_every_kill(settings: Settings, start_trends: StartTrends) -> None:
    """Killed in the middle of its work, again and again, it counts each tally once."""
    producer = clients.new_producer(settings.kafka)
    trends = start_trends()
    offsets = [0] * 4
    for kill in range(4):
        for number in range(3000):
            partition = number % 4
            producer.produce(settings.topics.tallies, tally(offsets[partition], 3, partition))
            offsets[partition] += 3
        assert producer.flush(PATIENCE_S) == 0
        # At another moment each time: while it starts, recovers, reads or writes.
        deadline = time.monotonic() + PATIENCE_S
        while trends.events() <= kill * 9000 and kill % 2:
            assert time.monotonic() < deadline, trends.log
        trends.end()
        trends.start()
    trends.wait_for(sum(offsets))


# Faust stops the flow of records at each rebalance and each recovery, and lets it go on again.
# A record that waits just then, as for a full buffer of what is to be sent, is what this is about.
INTERRUPTED = """
import asyncio
from sentiment.cli import main
from stream_worker.trends import process
class Interrupted(process.Trends):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.app.timer(0.05)(self.interrupt)
        self.app.flow_control.acquire = lambda: asyncio.sleep(0.001)
    async def interrupt(self):
        self.app.consumer.stop_flow()
        self.app.consumer.resume_flow()
process.Trends = Interrupted
main()
"""


def test_no_tally_is_skipped_where_the_flow_was_interrupted(
    settings: Settings, start_trends: StartTrends
) -> None:
    """The record that Faust was handing over when the flow stopped is handed over all the same."""
    put_tallies(settings, 9000)
    trends = start_trends(program=("-c", INTERRUPTED))
    trends.wait_for(27000)


# Faust reads tallies while it recovers the windows, and drops them; here the recovery takes long.
SLOWLY_RECOVERED = """
import time
from sentiment.cli import main
from stream_worker.trends import process
class Slow(process.Trends):
    def __init__(self, settings, cluster, is_same):
        super().__init__(settings, cluster, lambda: time.sleep(2) or is_same())
process.Trends = Slow
main()
"""


def test_no_tally_is_skipped_after_an_end_before_the_first_commit(
    settings: Settings, start_trends: StartTrends
) -> None:
    """With windows recovered and no offset committed, all tallies are read."""
    producer = clients.new_producer(settings.kafka)
    hour = int(time.time()) // 3600 * 3600
    # As left by two ends of a process; the second one's cluster has been rebuilt since.
    for partition, left in (
        (0, Window(3, [Row("s", "1", positive=3)])),
        (1, Window(3000, [Row("s", "1", positive=3000)], "another cluster")),
    ):
        key = Key(3600, hour, "e", partition).encode()
        producer.produce(settings.of(TrendsSettings).windows, book.encode(left), key, partition=0)
    assert producer.flush(PATIENCE_S) == 0
    put_tallies(settings, 40)
    trends = start_trends(program=("-c", SLOWLY_RECOVERED))
    trends.wait_for(120)


def test_aborted_tallies_do_not_count(settings: Settings, start_trends: StartTrends) -> None:
    """What a worker wrote in a transaction that was aborted is in no window."""
    producer = clients.new_producer(settings.kafka, transactional_id=settings.topics.tallies)
    producer.init_transactions()
    for outcome in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        producer.produce(settings.topics.tallies, tally(0, 7, 0))
        producer.flush(PATIENCE_S)
        outcome()
    producer.begin_transaction()
    producer.produce(settings.topics.tallies, tally(7, 100, 0))
    producer.flush(PATIENCE_S)
    producer.abort_transaction()
    trends = start_trends()
    trends.wait_for(7)


def test_wrong_questions_get_a_sentence(settings: Settings, start_trends: StartTrends) -> None:
    """A view says which parameter can't be, with status 400; records that are no tallies pass."""
    producer = clients.new_producer(settings.kafka)
    producer.produce(settings.topics.tallies, b"no tally")
    producer.produce(settings.topics.tallies, tally(0, 5, 0))
    assert producer.flush(PATIENCE_S) == 0
    trends = start_trends()
    trends.wait_for(5)
    for query in ("window=7", "window=x", "seconds=-1"):
        address = f"http://127.0.0.1:{trends.port}/trends?{query}"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(address, timeout=PATIENCE_S)
        with caught.value as answer:
            assert answer.code == 400
            assert query.partition("=")[0] in json.loads(answer.read())["error"]
    assert "no tally" in trends.log


def test_labels_become_live_accuracy(settings: Settings, start_trends: StartTrends) -> None:
    """The last label of each event counts for the version that answered, after a restart too."""
    producer = clients.new_producer(settings.kafka)

    def label(name: str, word: str, version: str) -> None:
        model = Model("sentiment", version)
        feedback = Feedback(name, word, model, "positive")  # type: ignore[arg-type]
        producer.produce(settings.topics.feedback, wire.encode(feedback), name)
        assert producer.flush(PATIENCE_S) == 0

    for name in "abcd":
        label(name, "negative", "1")
    trends = start_trends()
    trends.wait_for_accuracy({"1": (4, 0.0)})
    label("a", "positive", "1")
    label("e", "positive", "2")
    trends.wait_for_accuracy({"1": (4, 0.25), "2": (1, 1.0)})
    address = f"http://127.0.0.1:{trends.port}/metrics"
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
        scraped = answer.read().decode()
    of = 'label="negative",model_version="1",sentiment="positive"'
    assert f"sentiment_feedback_labels{{{of}}} 3.0" in scraped
    trends.end()
    trends.start()
    trends.wait_for_accuracy({"1": (4, 0.25), "2": (1, 1.0)})
