"""How many events `sentiment trends` keeps up with, by the tallies that this run's workers made."""

import time
import urllib.error
import urllib.request
from itertools import cycle, islice
from typing import TypedDict

from msgspec import structs

from benchmarks import measure
from benchmarks.bench import Bench
from benchmarks.measure import START_S, say
from local.process import HOST, free_ports
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from sentiment.wire import Tally, decode_tally, encode
from stream_worker.trends.settings import TrendsSettings

# As many as keep one process busy for some seconds.
TALLIES = 40_000
METRIC = b"sentiment_trend_tallies_total "
LOOK_S = 0.1
FLUSH_S = 60.0


class Pace(TypedDict):
    """What one process did.

    Attributes:
        tallies: How many there were.
        events: How many events they stand for.
        events_per_second: Rate of the events that they stand for.
        processor_s: Processor time for a million events, in seconds.
    """

    tallies: int
    events: int
    events_per_second: float
    processor_s: float


def pace(bench: Bench) -> Pace:
    """Have one process sum up this run's tallies, as often as it takes to see its rate.

    Raises:
        TimeoutError: It is too slow.
    """
    say("the trends over this run's tallies")
    own = _own(bench)
    [port] = free_ports(1)
    events = _fill(own, _made(bench))
    environment = {
        "TOPICS_TALLIES": own.topics.tallies,
        "TOPICS_TRENDS": own.topics.trends,
        "TRENDS_GROUP_ID": own.of(TrendsSettings).group_id,
        "TRENDS_HTTP_PORT": str(port),
    }
    command = measure.own("sentiment", "trends")
    seen: list[tuple[float, int, float]] = []
    with measure.running(command, bench.work / bench.name("trends"), environment) as process:
        deadline = time.monotonic() + START_S
        while not seen or seen[-1][1] < TALLIES:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the trends did {seen} in {START_S:.0f} s")
            time.sleep(LOOK_S)
            if count := _done(port):
                seen.append((time.monotonic(), count, measure.processor_s(process)))
    (began, first, before), (ended, last, after) = seen[0], seen[-1]
    done = (last - first) / TALLIES * events
    return Pace(
        tallies=TALLIES,
        events=events,
        events_per_second=done / (ended - began),
        processor_s=(after - before) * 1e6 / done,
    )


def _own(bench: Bench) -> Settings:
    """Topics and a group of their own."""
    name = bench.name("trends")
    own = Settings()
    own.topics = own.topics.replace(tallies=f"{name}-tallies", trends=f"{name}-out")
    own.use(own.of(TrendsSettings).replace(group_id=name))
    topics.create(own)
    return own


def _made(bench: Bench) -> list[Tally]:
    names = bench.settings.topics
    with TopicReader(bench.settings.kafka, names.tallies, "beginning") as reader:
        return [decode_tally(record.value() or b"") for record in reader.rest()]


def _fill(own: Settings, made: list[Tally]) -> int:
    """Put the tallies on the topic, again and again, each covering offsets that none has covered.

    Returns:
        How many events they stand for.
    """
    producer = clients.new_producer(own.kafka)
    reached: dict[int, int] = {}
    for tally in islice(cycle(made), TALLIES):
        begin = reached.get(tally.partition, 0)
        end = reached[tally.partition] = begin + tally.next_offset - tally.first_offset
        moved = structs.replace(tally, topic="events", first_offset=begin, next_offset=end)
        producer.produce(own.topics.tallies, encode(moved))
        producer.poll(0)
    if producer.flush(FLUSH_S):
        raise TimeoutError("the brokers don't take the tallies")
    return sum(reached.values())


def _done(port: int) -> int:
    """How many tallies it has summed up; 0 while it doesn't answer."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=LOOK_S * 50) as answer:
            text: bytes = answer.read()
    except (urllib.error.URLError, ConnectionError):
        return 0
    return int(float(text.partition(b"\n" + METRIC)[2].split()[0]))
