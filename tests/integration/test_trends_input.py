"""What anybody writes on the topics that the trends read, and in their environment."""

import json
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from local.process import free_ports
from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.wire import Feedback, Model
from stream_worker.trends import book
from stream_worker.trends.book import Key, Row, Window
from stream_worker.trends.settings import TrendsSettings
from tests.integration import raw_records
from tests.integration.raw_records import batch, record
from tests.integration.trends_process import StartTrends, tally
from tests.integration.workers import PATIENCE_S

pytestmark = pytest.mark.kafka

DEEP = b"[" * 100_000


def changed(**fields: object) -> bytes:
    """A tally of which the fields, or those of its only count, are others."""
    whole = json.loads(tally(10_000, 7))
    for name, value in fields.items():
        (whole if name in whole else whole["counts"][0])[name] = value
    return json.dumps(whole).encode()


def deliver(producer: Producer, topic: str, *records: tuple[bytes | None, bytes | None]) -> None:
    """Send records, and wait until they are there."""
    there: list[bool] = []
    for key, value in records:
        producer.produce(
            topic, value, key, partition=0, on_delivery=lambda error, _: there.append(not error)
        )
    assert producer.flush(PATIENCE_S) == 0
    assert there == [True] * len(records)


TALLIES = {
    "tombstone": None,
    "nothing": b"",
    "no JSON": b"no tally",
    "no UTF-8": b'{"topic":"\xff"}',
    "no UTF-8 where it is not looked at": changed(other="?").replace(b"?", b"\xff"),
    "deep": DEEP,
    "deep where it is not looked at": b'{"other":' + DEEP,
    "other types": changed(counts={"a": 1}),
    "a huge number": changed(positive=10**30),
    "a huge interval": changed(interval=10**400),
    "a negative count": changed(positive=-1),
    "an interval before 1970": changed(interval=-(10**15)),
    "a negative offset": changed(next_offset=-1),
    "an offset beyond all": changed(next_offset=2**70),
    "a partition that can't be": changed(partition=-1),
    "a topic that can't be": changed(topic="t" * 100_000),
    "half of a pair": changed(source="?").replace(b"?", b"\\ud800"),
    "a source that no event has": changed(source="s" * 257),
    "a number beyond all": changed(score_sum=0).replace(b'"score_sum": 0', b'"score_sum": 1e999'),
}


def test_no_record_among_the_tallies_stops_them(
    settings: Settings, start_trends: StartTrends
) -> None:
    """Each record that is no tally is counted, told with its place and left out; others count."""
    producer = clients.new_producer(settings.kafka)
    topic = settings.topics.tallies
    records = [(None, value) for value in TALLIES.values()]
    deliver(producer, topic, (None, tally(0, 3)), *records, (None, tally(3, 4)))
    trends = start_trends()
    trends.wait_for(7)
    deliver(producer, topic, *records, (b"\xff", tally(7, 5)))
    trends.wait_for(12)
    trends.wait_for_metric(f"sentiment_trend_tallies_refused_total {2 * len(TALLIES)}.0")
    for offset in range(1, len(TALLIES) + 1):
        assert f'"offset": {offset},' in trends.log
    assert "Traceback" not in trends.log
    trends.wait_for_probe("/livez", 200, "ok")


def test_no_batch_stops_them(settings: Settings, start_trends: StartTrends) -> None:
    """One that aiokafka can't read is told, counted and passed over, at the end of a topic too."""
    tallies, windows = settings.topics.tallies, settings.of(TrendsSettings).windows
    # No UTF-8 in the name of a header.
    bad = batch(record(b"v", b"k", ((b"\xff", b"v"),)))

    def put(topic: str, *contents: bytes) -> None:
        for content in contents:
            assert raw_records.send(settings.kafka.bootstrap_servers, topic, 0, content) == 0

    put(tallies, batch(record(tally(0, 3))), bad, batch(record(tally(3, 4))))
    put(windows, bad)
    trends = start_trends()
    trends.wait_for(7)
    put(tallies, bad)
    name = "sentiment_unreadable_batches_total"
    # What comes while the table is recalled is read again.
    trends.wait_for_count(f'{name}{{partition="0",topic="{tallies}"}}', 2)
    put(tallies, batch(record(tally(7, 5))))
    trends.wait_for(12)
    trends.wait_for_count(f'{name}{{partition="0",topic="{windows}"}}', 1)
    assert "Traceback" not in trends.log
    trends.wait_for_probe("/livez", 200, "ok")


# A machine that is slow between two steps of Faust's: the consumer has gone back for a while before
# the recovery ends, and whoever merges the tallies takes none up to then.
SLOW = """
import asyncio
from faust.channels import Channel
from faust.tables.recovery import Recovery
from sentiment.cli import main
from stream_worker.trends import reading

has_ended = []
complete, take = Recovery.on_recovery_completed, Channel.__anext__

class Slow(reading._CommittedThread):
    async def seek_to_committed(self):
        committed = await super().seek_to_committed()
        await asyncio.sleep(2)
        return committed

async def completed(recovery, *arguments):
    await complete(recovery, *arguments)
    has_ended.append(True)

async def late(channel):
    while not has_ended:
        await asyncio.sleep(0.05)
    return await take(channel)

reading._CommittedThread = Slow
Recovery.on_recovery_completed, Channel.__anext__ = completed, late
main()
"""


def test_no_tally_is_lost_at_a_slow_start(settings: Settings, start_trends: StartTrends) -> None:
    """What is fetched after the consumer went back, and before its queue is emptied, is counted."""
    producer = clients.new_producer(settings.kafka)
    # With a table to recall, fetching begins before the consumer goes back.
    deliver(producer, settings.of(TrendsSettings).windows, (b"no key", b"no window"))
    for at in range(3):
        deliver(producer, settings.topics.tallies, (None, tally(at, 1)))
    trends = start_trends(program=("-c", SLOW))
    trends.wait_for(3)


def test_no_record_of_the_changelog_stops_them(
    settings: Settings, start_trends: StartTrends
) -> None:
    """Keys and values that are no windows, and tombstones, cost neither a window nor a tally."""
    producer = clients.new_producer(settings.kafka)
    hour = int(time.time()) // 3600 * 3600
    place = Key(3600, hour, "e", 0).encode()
    good = book.encode(Window(3, [Row("s", "1", positive=3)]))
    values = [
        b"", b"no window", b"\xff", DEEP, b"[]" * 9, b"[-1,[]]", b'[3,[["s","1",-4]]]',
        b'[3,[["s","1",' + b"9" * 400 + b"]]]", b"[" + b"9" * 30 + b",[]]", b'[4,[["\xff","1"]]]',
    ]  # fmt: skip
    keys = [
        b"", b"\xff", b"a", b":::", b"7:0:0:e", b"3600:x:0:e", b"3600:-1:0:e", b"3600:0:-1:e",
        b"9" * 5000 + b":0:0:e", b"3600:0:" + b"9" * 40 + b":e", b"3600:0:0:" + b"e" * 9000,
    ]  # fmt: skip
    records = [(place, value) for value in (good, *values)] + [(key, good) for key in keys]
    gone = [(key, None) for key in (b"\xff", Key(3600, hour, "e", 5).encode())]
    deliver(producer, settings.of(TrendsSettings).windows, *records, *gone)
    deliver(producer, settings.topics.tallies, (None, tally(0, 3)), (None, tally(3, 4)))
    trends = start_trends()
    trends.wait_for(7)
    assert trends.log.count("no window") >= len(values) + len(keys)
    assert "Traceback" not in trends.log


def test_no_feedback_stops_them(settings: Settings, start_trends: StartTrends) -> None:
    """A record that is no feedback, or names what can't be, costs no other label."""
    producer = clients.new_producer(settings.kafka)

    def label(version: str) -> bytes:
        return wire.encode(Feedback("a", "positive", Model("sentiment", version), "positive"))

    bad = [b"", b"no feedback", b"\xff", DEEP, b'{"id":' + DEEP, label("v" * 257), b'{"id":1}']
    deliver(
        producer,
        settings.topics.feedback,
        (b"a", label("1")),
        *[(bytes([98 + at]), value) for at, value in enumerate(bad)],
        *[(key, None) for key in (b"", b"\xfe")],
        (b"k" * 500_000, label("1")),
        (b"\xff", label("1")),
        (b"", label("2")),
    )
    trends = start_trends()
    trends.wait_for_accuracy({"1": (3, 1.0), "2": (1, 1.0)})
    assert "Traceback" not in trends.log


# In the place of a fault that nobody has thought of.
BROKEN = """
from sentiment.cli import main
from stream_worker.trends import app
class Broken(app.Book):
    def {method}(self, *arguments, **named):
        raise ZeroDivisionError("broken")
app.Book = Broken
main()
"""


@pytest.mark.parametrize("method", ["merge", "trends", "recall"])
def test_a_fault_of_ours_ends_the_process(
    settings: Settings, start_trends: StartTrends, method: str
) -> None:
    """Where tallies are no longer read, or trends no longer published, nothing says it is alive."""
    producer = clients.new_producer(settings.kafka)
    hour = int(time.time()) // 3600 * 3600
    left = book.encode(Window(3, [Row("s", "1", positive=3)]))
    deliver(producer, settings.of(TrendsSettings).windows, (Key(3600, hour, "e", 0).encode(), left))
    deliver(producer, settings.topics.tallies, (None, tally(3, 3)))
    trends = start_trends(program=("-c", BROKEN.format(method=method)))
    assert trends.wait() == 1
    assert "ZeroDivisionError('broken')" in trends.log
    assert "Traceback" not in trends.log


# Settings of Faust's own that would each break or open something; none is one of ours.
FAUSTS = {
    "APP_DATADIR": "/nowhere/data",
    "APP_ENV_PREFIX": "TRENDS_",
    "APP_VERSION": "7",
    "APP_WEB_ENABLED": "false",
    "BROKER_API_VERSION": "0.1",
    "BROKER_CREDENTIALS": "kafka://nobody",
    "BROKER_URL": "kafka://127.0.0.1:1",
    "CONSUMER_AUTO_OFFSET_RESET": "latest",
    "DJANGO_SETTINGS_MODULE": "nowhere.settings",
    "FAUST_LOOP": "gevent",
    "F_LOOP": "gevent",
    "NODE_CANONICAL_URL": "http://nowhere",
    "PROCESSING_GUARANTEE": "exactly_once",
    "PRODUCER_MAX_REQUEST_SIZE": "10",
    "STREAM_BUFFER_MAXSIZE": "1",
    "TIMEZONE": "Nowhere/Land",
    "TRENDS_WEB_BIND": "0.0.0.0",  # noqa: S104 - must not count
    "WEB_BIND": "0.0.0.0",  # noqa: S104 - must not count
    "WEB_HOST": "nowhere",
}


def test_only_our_own_settings_count(settings: Settings, start_trends: StartTrends) -> None:
    """With Faust's variables set they listen where TRENDS_HTTP_HOST says, and count as ever."""
    producer = clients.new_producer(settings.kafka)
    deliver(producer, settings.topics.tallies, (None, tally(0, 3)))
    [other] = free_ports(1)
    trends = start_trends(**FAUSTS, WEB_PORT=str(other))
    trends.wait_for(3)
    # The addresses that this machine's sockets listen on, in hexadecimal digits.
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A"}
    assert f"0100007F:{trends.port:04X}" in listening
    assert f"00000000:{trends.port:04X}" not in listening
    assert not any(address.endswith(f":{other:04X}") for address in listening)
