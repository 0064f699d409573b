"""Compressed batches that can't be read, and those that are far more than they look."""

import json
import signal
import time
import urllib.error
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from sentiment import wire
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from tests.integration import raw_records
from tests.integration.commands import sentiment
from tests.integration.conftest import StartWorker
from tests.integration.dead_letters import bury, listed
from tests.integration.pages import page, result
from tests.integration.raw_records import GZIP, ZSTD, batch, halved, large, record
from tests.integration.workers import PATIENCE_S, monitored, read_dead_letters, read_results, send

pytestmark = pytest.mark.kafka

GOOD = b'{"text":"a good film"}'
# More than librdkafka unpacks, in 4 kB.
UNREADABLE = large(110, ZSTD, 5)
UNAVAILABLE = 503
# 541 MB were seen, with librdkafka's 350 bytes for each record; the container's limit is 1 GiB.
MOST_KB = 750_000


def good(count: int) -> bytes:
    """A batch of events."""
    return batch(b"".join(record(GOOD, number=number) for number in range(count)), count)


def put(settings: Settings, topic: str, *contents: bytes) -> None:
    """Send batches to partition 1."""
    for content in contents:
        assert raw_records.send(settings.kafka.bootstrap_servers, topic, 1, content) == 0


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_what_cant_be_read_is_told_and_passed_over_where_somebody_says_so(
    kept_as_sent: Settings, start_worker: StartWorker, protocol: str
) -> None:
    """Not ready, a metric, lag and one line tell it; the others go on; only its name passes it."""
    settings = kept_as_sent
    topic = settings.topics.events
    put(settings, topic, good(3), UNREADABLE, good(2))
    send(settings, [GOOD])
    # It ends at another offset.
    wrong = f"{topic}:1:3-6"
    worker = start_worker(*ATTENTIVE, WORKER_GROUP_PROTOCOL=protocol, WORKER_SKIP_BATCHES=wrong)
    labels = f'{{partition="1",topic="{topic}"}}'
    worker.wait_for_log("probes and metrics")
    worker.wait_for_metric(f"sentiment_unreadable_partition{labels} 1.0")
    worker.wait_for_metric(f"sentiment_consumer_lag{labels} 7.0")
    send(settings, [GOOD])
    assert len(read_results(settings, 5)) == 5
    with pytest.raises(urllib.error.HTTPError) as refused:
        worker.get("/readyz")
    assert refused.value.code == UNAVAILABLE
    assert f"Partition 1 of '{topic}' can't be read from 3 to 7: " in refused.value.read().decode()
    assert worker.get("/livez") == "ok"
    name = f"{topic}:1:3-7"
    assert worker.log.count("can't be read") == worker.log.count(f"WORKER_SKIP_BATCHES={name} ") * 2
    assert worker.log.count(f"WORKER_SKIP_BATCHES={name} ") == 1
    assert "consumer error" not in worker.log
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0

    several = f"{wrong},{name}"
    workers = [
        start_worker(*ATTENTIVE, WORKER_GROUP_PROTOCOL=protocol, WORKER_SKIP_BATCHES=several)
        for _ in range(2)
    ]
    offsets = [result.input.offset for result in read_results(settings, 7)]
    assert sorted(offsets) == [0, 0, 1, 1, 2, 8, 9]
    letter, *others = read_dead_letters(settings, 1)
    assert (letter.key(), letter.value(), others) == (None, None, [])
    headers = dict(wire.headers_of(letter))
    assert headers[wire.ERROR_CODE] == b"unreadable_batch"
    assert headers[wire.ERROR_PARTITION] == b"1"
    assert headers[wire.ERROR_OFFSET] == b"3"
    assert b"from 3 to 7" in (headers[wire.ERROR_MESSAGE] or b"")
    assert sum("a batch was passed over" in worker.log for worker in workers) == 1
    for one in workers:
        one.wait_for_log("probes and metrics")
        deadline = time.monotonic() + PATIENCE_S
        while "sentiment_unreadable_partition{" in one.get("/metrics"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert one.get("/readyz") == "ok"


# The monitor would wait a minute, and look every fifteen seconds.
IMPATIENT = monitored(CHECK_S=0.5, UNREAD_S=3.0)
# So that a batch is told at once.
ATTENTIVE = monitored(CHECK_S=0.5)


def test_a_batch_without_an_error_is_told_too(
    kept_as_sent: Settings, start_worker: StartWorker
) -> None:
    """Kafka's client says nothing at all of some: where records wait and none comes, it is told."""
    settings = kept_as_sent
    topic = settings.topics.events
    put(settings, topic, good(1), halved(6), good(2))
    worker = start_worker(*IMPATIENT)
    # Those of the first half are read.
    worker.wait_for_log(f"Partition 1 of '{topic}' can't be read from offset 4 on")
    assert f"WORKER_SKIP_BATCHES={topic}:1:4-LAST " in worker.log
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    start_worker(*IMPATIENT, WORKER_SKIP_BATCHES=f"{topic}:1:4-6")
    offsets = [result.input.offset for result in read_results(settings, 6)]
    assert sorted(offsets) == [0, 1, 2, 3, 7, 8]
    assert len(read_dead_letters(settings, 1)) == 1


def test_idle_partitions_are_not_told(settings: Settings, start_worker: StartWorker) -> None:
    """Nothing waits behind the marks of transactions, aborted ones too: no alarm."""
    producer = clients.new_producer(settings.kafka, transactional_id=settings.topics.events)
    producer.init_transactions(PATIENCE_S)
    for number in range(4):
        producer.begin_transaction()
        producer.produce(settings.topics.events, GOOD, partition=number % 2)
        (producer.abort_transaction if number > 1 else producer.commit_transaction)(PATIENCE_S)
    worker = start_worker(*IMPATIENT)
    assert len(read_results(settings, 2)) == 2
    # Past three of its rare looks after the three seconds; they are 1.5 s apart.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert "can't be read" not in worker.log
        time.sleep(0.5)


def test_readers_pass_it_over_and_say_so(kept_as_sent: Settings, tmp_path: Path) -> None:
    """What only reads goes on behind it: results, dead letters, marks, feedback, page."""
    settings = kept_as_sent
    names = settings.topics
    # Of now: the page goes back by some minutes alone, and the module may have been read long ago.
    content = large(110, ZSTD, 5)
    for topic in (names.results, names.dead_letters, names.redriven, names.feedback):
        put(settings, topic, content)
    bury(settings, [b"no event"], partition=1)
    with TopicReader(settings.kafka, names.dead_letters, "beginning") as reader:
        assert [letter.offset() for letter in reader.rest()] == [5]
        assert reader.positions() == reader.ends()
    assert len(listed()) == 1
    # What is left where it is, as no event, is no success of a redrive.
    for code, arguments in ((0, ["dlq", "list"]), (1, ["dlq", "redrive", "--all"])):
        done = sentiment(*arguments)
        assert done.returncode == code
        assert f"Partition 1 of '{names.dead_letters}' can't be read from 0 to 4" in done.stderr
        assert "Traceback" not in done.stderr
    with page(tmp_path / "page.log") as shown:
        behind = record(wire.encode(result(id="behind")))
        put(settings, names.results, batch(behind))
        assert shown.outcome("behind")[0] == 200
        told, deadline = "", time.monotonic() + PATIENCE_S
        while f"Partition 1 of '{names.results}' can't be read from 0 to 4" not in told:
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
            told = shown.log.read_text()
        assert told.count(f"'{names.results}' can't be read") == 1
        assert shown.ask("/api/status")[0] == 200


def test_topics_of_our_own_bound_what_a_batch_is_in_memory(
    settings: Settings, start_worker: StartWorker
) -> None:
    """The brokers refuse what unpacks to more than `max.message.bytes`; all below that fits.

    That is most in memory as the smallest records that there are.
    """
    names, servers = settings.topics, settings.kafka.bootstrap_servers
    for topic in (names.events, names.tallies, names.feedback):
        for content in (large(100, GZIP), large(100, ZSTD)):
            assert len(content) < 150_000
            code = raw_records.send(servers, topic, 0, content)
            assert code == KafkaError.MSG_SIZE_TOO_LARGE
    count = 95_000
    small = b"".join(record(b"", number=number) for number in range(count))
    largest = batch(raw_records.gzip([small]), count, GZIP)
    for _ in range(2):
        assert raw_records.send(servers, names.events, 0, largest) == 0
    send(settings, [GOOD])
    worker = start_worker(WORKER_DEAD_LETTER_MAX_SHARE="1")
    labels = f'{{partition="0",topic="{names.events}"}}'
    worker.wait_for_log("probes and metrics")
    worker.wait_for_metric(f"sentiment_events_total{labels} {2 * count + 1}.0")
    assert worker.peak_kb() < MOST_KB


def test_a_topic_that_keeps_what_is_sent_is_told(kept_as_sent: Settings) -> None:
    """`sentiment topics` warns of one that was there before, and doesn't fail."""
    settings = kept_as_sent
    done = sentiment("topics", "--check")
    assert done.returncode == 0
    assert done.stdout.count("compression.type is 'producer', not 'uncompressed'") == 3
    told = {state.name for state in topics.check(settings) if state.warning}
    names = settings.topics
    assert told == {names.events, names.tallies, names.feedback}
    assert json.loads(sentiment("topics", "--json").stdout)[0]["warning"]
