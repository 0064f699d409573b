"""What a run measures: rates, phases, latency, starts, memory, two workers, the trends."""

import json
import statistics
import subprocess
import time
import urllib.error
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from itertools import cycle, islice
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from msgspec import structs

from benchmarks import bench, events
from benchmarks.bench import START_S, Backlog, Bench, CandidateError, Done, Pace, first_record, say
from benchmarks.candidates import COPY, WORKER, Ready
from local.process import free_port
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from sentiment.wire import Tally, decode_tally, encode
from stream_worker.trends.settings import TrendsSettings

# In the shape of the report.
Figures = dict[str, Any]


def ours(place: Bench, backlog: Backlog, rounds: int, longest_s: float) -> dict[str, Figures]:
    """The copy loop and the worker in turn, so that a drift of the machine meets both."""
    copies, workers = [_ours(place, COPY, backlog, longest_s)], []
    for _ in range(rounds):
        workers.append(_ours(place, WORKER, backlog, longest_s))
        copies.append(_ours(place, COPY, backlog, longest_s))
    return {COPY: summary(copies), WORKER: summary(workers)}


def peers(
    place: Bench,
    backlog: Backlog,
    ready: Sequence[Ready],
    longest_s: float,
    left_out: dict[str, str],
) -> dict[str, Figures]:
    """The peers, once each; one that doesn't work is left out with the reason."""
    found: dict[str, Figures] = {}
    for one in ready:
        try:
            found[one.peer.name] = summary([_peer(place, backlog, one, longest_s)])
        except CandidateError as error:
            left_out[one.peer.name] = error.reason
            say(f"{one.peer.name} is left out: {error}")
    return found


def summary(paces: Sequence[Pace]) -> Figures:
    """The median run by its rate, of two in the middle the slower one; and all rates."""
    rates = [pace.events_per_second for pace in paces]
    return {**paces[rates.index(statistics.median_low(rates))]._asdict(), "runs": rates}


def _ours(place: Bench, which: str, backlog: Backlog, longest_s: float) -> Pace:
    """A measurement, made once more where the machine stood still over a whole backlog."""
    measure = _copy if which == COPY else Bench.worker_pace
    say(f"{which} on {backlog.name}")
    try:
        return measure(place, backlog, longest_s)
    except CandidateError as error:
        say(f"once more, since {error.reason}")
        return measure(place, backlog, longest_s)


def _copy(place: Bench, backlog: Backlog, longest_s: float) -> Pace:
    group, output = place.name("copy"), place.topic("copied")
    with (
        place.progress(backlog.topic, group) as done,
        place.own("benchmarks.copy_loop", group, output, TOPICS_EVENTS=backlog.topic) as process,
    ):
        return place.pace(process, done, backlog, longest_s)


def _peer(place: Bench, backlog: Backlog, ready: Ready, longest_s: float) -> Pace:
    peer = ready.peer
    say(f"{peer.name} on {backlog.name}")
    name, output = place.name(peer.environment), place.topic("peer")
    topic, group = (backlog.topic, name) if peer.by_group else (output, None)
    servers = place.settings.kafka.bootstrap_servers
    command = ready.command(servers, backlog.topic, output, name)
    with (
        place.progress(topic, group) as done,
        bench.running(command, place.work / name) as process,
    ):
        return place.pace(process, done, backlog, longest_s)


# Phases count between these parts of the backlog: no start, and no last, smaller batches.
FIRST, LAST = 0.2, 0.9


def phases(place: Bench, backlog: Backlog) -> dict[str, float]:
    """Seconds per million events by phase, some at the same time; `elapsed` by the clock."""
    say(f"where a worker's time goes on {backlog.name}")
    port = free_port()
    seen: list[tuple[float, int, dict[str, float]]] = []
    with place.working(backlog, port) as (done, _):
        for share in (FIRST, LAST):
            _reach(done, share * backlog.events, bench.SAMPLE_S)
            spent = bench.shown(port, "sentiment_loop_seconds_total")
            phases = {labels["phase"]: seconds for labels, seconds in spent}
            seen.append((time.monotonic(), done(), phases))
    (began, first, before), (ended, last, after) = seen
    passed = {name: seconds - before.get(name, 0) for name, seconds in after.items()}
    passed["elapsed"] = ended - began
    return {name: seconds * 1e6 / (last - first) for name, seconds in passed.items()}


def _reach(done: Done, count: float, pause_s: float) -> None:
    bench.wait_until(lambda: done() >= count, "the worker is too slow", pause_s)


# Where memory is looked at, in shares of the events, and how often it is seen whether they are
# done: a twentieth of the tenth of a million events, at a rate that no worker has yet.
SHARES = (0.1, 0.5, 1.0)
LOOK_S = 0.03


def memory(place: Bench, backlog: Backlog) -> dict[str, float]:
    """Resident memory of a worker at full rate, in MB, by the number of events done."""
    say(f"a worker's memory over {backlog.events:,} events")
    seen: dict[str, float] = {}
    with place.working(backlog) as (done, process):
        for count in (round(share * backlog.events) for share in SHARES):
            _reach(done, count, LOOK_S)
            seen[str(count)] = process.memory_info().rss / 1e6
    return seen


def together(
    place: Bench, texts: Sequence[str], count: int, workers: int, longest_s: float
) -> float:
    """Events a second of workers in one group; they hold their partitions before all is there."""
    say(f"{workers} worker{'s'[: workers - 1]} waiting for {count:,} events")
    backlog, release = events.held_backlog(place, f"{count:,} events", texts, count)
    group, results = place.name("workers"), place.topic("results")
    with place.progress(backlog.topic, group) as done, ExitStack() as stack:
        processes = [
            stack.enter_context(place.worker(backlog.topic, group, results)) for _ in range(workers)
        ]
        admin = clients.new_admin(place.settings.kafka)
        bench.wait_until(lambda: _members(admin, group) == workers, "workers don't come up")
        release()
        return place.pace(processes[0], done, backlog, longest_s).events_per_second


def _members(admin: AdminClient, group: str) -> int:
    described = admin.describe_consumer_groups([group])[group].result(timeout=START_S)
    return sum(
        bool(member.assignment and member.assignment.topic_partitions)
        for member in described.members
    )


def start(place: Bench, texts: Sequence[str], times: int) -> Figures:
    """Seconds from a start, with the model in the cache, to a waiting event's result in hand."""
    say(f"{times} starts of a worker")
    runs: list[float] = []
    for _ in range(times):
        waiting = events.backlog(place, "one event", texts, 1)
        results = place.topic("results")
        with closing(TopicReader(place.settings.kafka, results, "beginning")) as reader:
            began = time.monotonic()
            with place.worker(waiting.topic, place.name("start"), results):
                first_record(reader, START_S)
                runs.append(time.monotonic() - began)
    return {"seconds": statistics.median(runs), "runs": runs}


TEXTS = 5000
# In the first seconds the broker's Java compiles what it does most.
WARM_S = 2.0
# No result for this long, and the load is over: that was the last one.
IDLE_S = 1.0
# Most results that are looked at together, so that none waits long for the ones before it.
MOST = 10_000
# A single event whose result takes longer is lost.
LOST_S = 5.0
# Between single events: longer than a result takes, so that each meets an idle worker.
PAUSE_S = 0.05


def latency(
    place: Bench, texts: Sequence[str], rate: float, seconds: float, singles: int
) -> tuple[Figures, Figures]:
    """From a producer to a reader's hand, by a warm worker: under load, and single events."""
    topic, results = place.topic("events"), place.topic("results")
    with (
        place.worker(topic, place.name("worker"), results),
        closing(TopicReader(place.settings.kafka, results, "beginning")) as reader,
    ):
        producer = clients.new_producer(place.settings.kafka)
        # Until the worker has its model and its partitions.
        _single(producer, reader, topic, texts[0], START_S)
        say(f"latency at {rate:,.0f} events a second")
        with place.load(topic, texts[:TEXTS], rate, seconds) as load:
            loaded, count = _loaded(load, reader)
        say(f"latency of {singles} single events")
        alone: list[float] = []
        for text in texts[:singles]:
            time.sleep(PAUSE_S)
            alone.append(_single(producer, reader, topic, text, LOST_S))
        return of_probes(loaded, count / seconds), of_probes(alone, 0.0)


def of_probes(milliseconds: Sequence[float], events_per_second: float) -> Figures:
    """The percentiles of probes, and what they were taken from; a `TimeoutError` without any."""
    p50, p99 = bench.percentiles(milliseconds)
    of = {"events_per_second": events_per_second, "probes": len(milliseconds)}
    return {**of, "p50_ms": p50, "p99_ms": p99}


def _single(
    producer: Producer, reader: TopicReader, topic: str, text: str, longest_s: float
) -> float:
    """Milliseconds of one event that meets nothing else."""
    sent = time.monotonic()
    producer.produce(topic, json.dumps({"text": text, "source": "bench"}))
    # Sends at once what would wait for company.
    producer.flush(longest_s)
    first_record(reader, longest_s)
    return (time.monotonic() - sent) * 1000


def _loaded(load: subprocess.Popen[bytes], reader: TopicReader) -> tuple[list[float], int]:
    """Milliseconds of a load's probes, and how many results there were in all."""
    milliseconds: list[float] = []
    seen, began_ns, last = 0, time.time_ns(), time.monotonic()
    while load.poll() is None or time.monotonic() - last < IDLE_S:
        records = reader.poll(IDLE_S / 10, MOST)
        now_ns = time.time_ns()
        if records:
            seen, last = seen + len(records), time.monotonic()
        for record in records:
            key = record.key()
            if key is not None and int(key) - began_ns > WARM_S * 1e9:
                milliseconds.append((now_ns - int(key)) / 1e6)
    return milliseconds, seen


# As many tallies as keep one process of the trends busy for some seconds.
TALLIES = 40_000
TRENDS_LOOK_S = 0.1
FLUSH_S = 60.0


def trends(place: Bench) -> Figures:
    """How fast a process sums this run's tallies up, over and over; counted in their events."""
    say("the trends over this run's tallies")
    name, port = place.name("trends"), free_port()
    own = Settings()
    own.topics = own.topics.replace(tallies=f"{name}-tallies", trends=f"{name}-out")
    own.use(own.of(TrendsSettings).replace(group_id=name))
    topics.create(own)
    with TopicReader(own.kafka, place.settings.topics.tallies, "beginning") as reader:
        made = [decode_tally(record.value() or b"") for record in reader.rest()]
    count = _fill(own, made)
    seen: list[tuple[float, int, float]] = []
    with place.own(
        *("sentiment", "trends"),
        TOPICS_TALLIES=own.topics.tallies,
        TOPICS_TRENDS=own.topics.trends,
        TRENDS_GROUP_ID=name,
        TRENDS_HTTP_PORT=str(port),
    ) as process:

        def done() -> bool:
            if merged := _merged(port):
                seen.append((time.monotonic(), merged, bench.processor_s(process)))
            return bool(seen) and seen[-1][1] >= TALLIES

        bench.wait_until(done, "the trends are too slow", TRENDS_LOOK_S)
    (began, first, before), (ended, last, after) = seen[0], seen[-1]
    summed = (last - first) / TALLIES * count
    return {
        "tallies": TALLIES,
        "events": count,
        "events_per_second": summed / (ended - began),
        "processor_s": (after - before) * 1e6 / summed,
    }


def _fill(own: Settings, made: list[Tally]) -> int:
    """Put tallies on the topic, each with offsets that none has covered; returns their events."""
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


def _merged(port: int) -> int:
    """How many tallies it has summed up; 0 while it doesn't answer."""
    with suppress(urllib.error.URLError, ConnectionError):
        return int(sum(n for _, n in bench.shown(port, "sentiment_trend_tallies_total")))
    return 0
