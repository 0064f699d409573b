"""From an event that is handed to a producer to its result that a reader has in hand."""

import json
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TypedDict

import numpy as np
from confluent_kafka import Producer

from benchmarks import measure as benchmarks_measure
from benchmarks.bench import Bench
from benchmarks.measure import START_S, first_record, say
from sentiment.kafka import clients
from sentiment.kafka.reader import TopicReader

# Texts that the load goes through over and over.
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


class Latency(TypedDict):
    """Milliseconds from event to result, and what they were taken from."""

    events_per_second: float
    probes: int
    p50_ms: float
    p99_ms: float


def summary(milliseconds: Sequence[float], events_per_second: float) -> Latency:
    """The percentiles.

    Raises:
        TimeoutError: There is nothing to take them from.
    """
    if not milliseconds:
        raise TimeoutError("no result came back")
    p50, p99 = np.percentile(milliseconds, [50, 99]).tolist()
    return Latency(
        events_per_second=events_per_second, probes=len(milliseconds), p50_ms=p50, p99_ms=p99
    )


def measure(
    bench: Bench, texts: Sequence[str], rate: float, seconds: float, singles: int
) -> tuple[Latency, Latency]:
    """Under a steady load, and of single events on an idle topic; by one warm worker.

    Args:
        bench: The place.
        texts: What to send.
        rate: The load, in events a second.
        seconds: How long it lasts.
        singles: How many single events.
    """
    events, results = bench.topic("events"), bench.topic("results")
    with (
        bench.worker(events, bench.name("worker"), results),
        closing(TopicReader(bench.settings.kafka, results, "beginning")) as reader,
    ):
        producer = clients.new_producer(bench.settings.kafka)
        # Until the worker has its model and its partitions.
        _single(producer, reader, events, texts[0], START_S)
        say(f"latency at {rate:,.0f} events a second")
        loaded = _loaded(bench, reader, events, texts, rate, seconds)
        say(f"latency of {singles} single events")
        alone: list[float] = []
        for number in range(singles):
            time.sleep(PAUSE_S)
            alone.append(_single(producer, reader, events, texts[number], LOST_S))
        return loaded, summary(alone, 0.0)


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


def _loaded(  # noqa: PLR0913, PLR0917 - the parts of one measurement
    bench: Bench,
    reader: TopicReader,
    topic: str,
    texts: Sequence[str],
    rate: float,
    seconds: float,
) -> Latency:
    file = bench.work / "texts.json"
    file.write_text(json.dumps(texts[:TEXTS]))
    command = benchmarks_measure.own("benchmarks.events", str(rate), str(seconds), topic, str(file))
    milliseconds: list[float] = []
    seen, began_ns, last = 0, time.time_ns(), time.monotonic()
    with subprocess.Popen(command) as load:
        while load.poll() is None or time.monotonic() - last < IDLE_S:
            records = reader.poll(IDLE_S / 10, MOST)
            now_ns = time.time_ns()
            if records:
                seen, last = seen + len(records), time.monotonic()
            for record in records:
                key = record.key()
                if key is not None and int(key) - began_ns > WARM_S * 1e9:
                    milliseconds.append((now_ns - int(key)) / 1e6)
    return summary(milliseconds, seen / seconds)
