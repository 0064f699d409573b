"""Claims about outputs that their topic or our client doesn't take: the partition goes on."""

import gzip
import hashlib
import os

import pytest

from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from tests.integration import raw_records
from tests.integration.commands import records, sentiment
from tests.integration.conftest import StartWorker
from tests.integration.dead_letters import bury, event, sent
from tests.integration.raw_records import Header, batch, record
from tests.integration.workers import changed, configure, read_dead_letters, read_results, send

pytestmark = pytest.mark.kafka

GOOD = b'{"text":"a good film"}'
# 61 kB, and 2.7 MB as objects of Python.
NESTED = b'{"text":"a good film","attributes":{"a":[%s0]}}' % (
    (b"[" * 900 + b"]" * 900 + b",") * 34
)
# The worker's container has 1 GiB.
MOST_KB = 700_000
THREE_MB = 3_000_000
# A worker whose pauses after a failure do not grow: smaller and smaller batches take many tries.
TIRELESS = changed("sentiment.kafka.retries", LONGEST_PAUSE_S=0.2)


def put(
    settings: Settings,
    value: bytes,
    key: bytes | None = None,
    headers: tuple[Header, ...] = (),
    topic: str = "",
) -> None:
    """A record on partition 1; it is stored as gzip, and so may be larger than the topic takes."""
    content = batch(gzip.compress(record(value, key, headers)), compression=raw_records.GZIP)
    brokers, topic = settings.kafka.bootstrap_servers, topic or settings.topics.events
    assert raw_records.send(brokers, topic, 1, content) == 0


def test_headers_are_passed_on_within_bounds(settings: Settings, start_worker: StartWorker) -> None:
    """A valid event with 1 MB in a header has its result, with the headers that are small."""
    worker = start_worker()
    small = ("traceparent", b"00-1"), ("ce_id", b"7")
    own = [small[0], ("ce_data", b"x" * 1_000_000), small[1]]
    send(settings, [GOOD, GOOD], headers=own)
    assert len(read_results(settings, 2)) == 2
    for result in records(settings, settings.topics.results):
        assert wire.headers_of(result) == [*small]
    worker.wait_for_metric("sentiment_large_headers_total 2.0")


def test_events_larger_than_any_topic_takes_have_an_outcome(
    kept_as_sent: Settings, start_worker: StartWorker
) -> None:
    """Sent as a few kB of gzip: a dead letter with the coordinates, size and digest of each."""
    settings = kept_as_sent
    value, much = b'{"text":1,"more":"%s"}' % (b"x" * THREE_MB), b"y" * THREE_MB
    put(settings, value)
    put(settings, GOOD, key=much)
    put(settings, b"no event", key=b"k", headers=((b"h", much),))
    put(settings, GOOD, key=b"k", headers=((b"ce_h", much),))
    worker = start_worker()
    (result,) = read_results(settings, 1)
    assert result.input.offset == 3
    letters = read_dead_letters(settings, 3)
    found = []
    for letter in letters:
        own = dict(wire.headers_of(letter))
        assert own.keys() == wire.ERROR_HEADERS
        assert letter.value() is None
        place = own[wire.ERROR_TOPIC], own[wire.ERROR_PARTITION]
        assert place == (settings.topics.events.encode(), b"1")
        size, digest = own[wire.ERROR_VALUE_BYTES], own[wire.ERROR_VALUE_SHA256]
        found.append((own[wire.ERROR_OFFSET], own[wire.ERROR_CODE], letter.key(), size, digest))
    assert found == [
        (b"%d" % offset, code, key, b"%d" % len(whole), hashlib.sha256(whole).hexdigest().encode())
        for offset, code, key, whole in (
            (0, b"too_large", None, value),
            (1, b"too_large", None, GOOD),
            (2, b"not_json", b"k", b"no event"),
        )
    ]
    topic = settings.topics.dead_letters
    worker.wait_for_metric(f'sentiment_shortened_records_total{{topic="{topic}"}} 3.0')
    redriven = sentiment("dlq", "redrive", "--all")
    assert redriven.stdout == "Redriven: 0; left: 3, see above.\n"
    assert "its value is only on" in redriven.stderr


def test_small_topics_have_all_of_it(settings: Settings, start_worker: StartWorker) -> None:
    """Topics that take a few kB: batches as small, long results and dead letters shortened."""
    topics = settings.topics
    for topic in (topics.results, topics.dead_letters):
        configure(settings, topic, "max.message.bytes", "4000")
    long = event(0, explain=True, text="a good film and a bad one " * 400, id="long")
    bad = b"no event"
    # Noise: what shrinks is small to the brokers.
    noise = os.urandom(20_000).hex().encode()
    send(settings, [long, noise] + [event(n, id=str(n)) for n in range(500)] + [bad] * 50)
    worker = start_worker(*TIRELESS)
    results = read_results(settings, 501)
    assert {result.id for result in results} == {"long", *map(str, range(500))}
    assert next(result for result in results if result.id == "long").explanation is None
    letters = read_dead_letters(settings, 51)
    assert [letter.value() for letter in letters].count(bad) == 50
    assert [letter.value() for letter in letters].count(None) == 1
    assert "worker ends" not in worker.log


@pytest.mark.parametrize("value", [b"no event", NESTED], ids=["headers", "attributes"])
def test_what_is_much_larger_in_memory_fits(
    settings: Settings, start_worker: StartWorker, value: bytes
) -> None:
    """Headers of a megabyte on hundreds of events, or attributes that nest, as a backlog."""
    producer = clients.new_producer(settings.kafka)
    headers: wire.Headers = [] if value is NESTED else [("h", b"x" * 900_000)]
    for number in range(500):
        producer.produce(settings.topics.events, value, partition=number % 4, headers=headers)
        if number % 10 == 0:
            producer.flush(60)
    assert producer.flush(60) == 0
    worker = start_worker(WORKER_DEAD_LETTER_MAX_SHARE="1")
    worker.wait_for_log("probes and metrics")
    for partition in range(4):
        labels = f'{{partition="{partition}",topic="{settings.topics.events}"}}'
        worker.wait_for_metric(f"sentiment_events_total{labels} 125.0")
    assert worker.peak_kb() < MOST_KB


def test_one_large_dead_letter_blocks_no_redrive(settings: Settings) -> None:
    """Of a batch, only what the events topic doesn't take with its headers is left."""
    small = [event(n) for n in range(40)]
    bury(settings, small[:20])
    # The events topic takes 1 MiB, and our client 2 MiB before it makes them small.
    at_limit: Header = (b"h", os.urandom(1_048_560))
    beyond: Header = (b"h", b"x" * THREE_MB)
    errors: list[Header] = [
        (wire.ERROR_TOPIC.encode(), settings.topics.events.encode()),
        (wire.ERROR_PARTITION.encode(), b"0"),
        (wire.ERROR_OFFSET.encode(), b"5"),
    ]
    for own in (at_limit, beyond):
        put(settings, event(99), headers=(own, *errors), topic=settings.topics.dead_letters)
    bury(settings, small[20:], partition=1)
    done = sentiment("dlq", "redrive", "--all")
    assert done.stdout == "Redriven: 40; left: 2, see above.\n", done.stderr
    assert sent(settings) == sorted(small)
    again = sentiment("dlq", "redrive", "--all")
    assert "left: 2" in again.stdout, again.stdout
