"""The place of a run: a local Kafka, the bundled model, and processes measured from outside."""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.cimpl import NewTopic
from prometheus_client.parser import text_string_to_metric_families

from local import process
from local.broker import LocalKafka
from local.process import HOST
from local.settings import LocalSettings
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.registry.publish import ensure_published
from sentiment.settings import Settings

SHORT, LONG = "40-word texts", "full reviews"
# Fine enough for a candidate that is done in two seconds, rare enough to cost it nothing.
SAMPLE_S = 0.02
# To look through a candidate's processes takes milliseconds, which would be taken from it.
LOOK_S = 0.5
# Without a first result by then it doesn't work. Spark takes 20 s on a quiet machine.
START_S = 180.0
# Above a worker's own time for its open batch.
STOP_S = 20.0
SCRAPE_S = 5.0
# As much of a log as has the last traceback in it.
TAIL = 2000

Done = Callable[[], int]


class Backlog(NamedTuple):
    """Events that wait on a topic; the name is that of the tables."""

    name: str
    topic: str
    events: int


class Sample(NamedTuple):
    """Events done at one moment, and the processor time of candidate and brokers until then."""

    at_s: float
    done: int
    processor_s: float
    broker_s: float


class Pace(NamedTuple):
    """A candidate's rate; processor times are user and system, in s per million events."""

    events_per_second: float
    processor_s: float
    broker_s: float


class CandidateError(Exception):
    """A candidate doesn't work; its log's last line is part of the reason."""

    def __init__(self, why: str, log: str) -> None:
        super().__init__(f"{why}; its log ends:\n{log}")
        lines = log.strip().splitlines()
        self.reason = f"{why}: {lines[-1]}" if lines else why


class Bench(NamedTuple):
    """Where candidates run: a folder for logs and data, Kafka's settings, and its process."""

    work: Path
    settings: Settings
    broker: psutil.Process

    def name(self, what: str) -> str:
        """A name that nothing had before: a group, a topic, a folder."""
        return f"{what}-{uuid.uuid4().hex[:8]}"

    def topic(self, what: str, config: Mapping[str, str] | None = None) -> str:
        """A topic of its own for one candidate, with settings of its own."""
        name = self.name(what)
        # Kept by a name: a client that is let go of takes its open calls with it.
        admin = clients.new_admin(self.settings.kafka)
        new = NewTopic(name, self.settings.topics.partitions, 1, config=dict(config or {}))
        for future in admin.create_topics([new]).values():
            future.result(timeout=30)
        return name

    def own(self, *command: str, **environment: str) -> AbstractContextManager[psutil.Process]:
        """A module of our own environment as a process."""
        folder = self.work / self.name(command[1] if len(command) > 1 else command[0])
        return running([sys.executable, "-m", *command], folder, environment)

    def worker(
        self, events: str, group: str, results: str, port: int = 0
    ) -> AbstractContextManager[psutil.Process]:
        """Our worker's process, on these topics; its metrics are on the port."""
        return self.own(
            *("sentiment", "worker"),
            TOPICS_EVENTS=events,
            TOPICS_RESULTS=results,
            WORKER_GROUP_ID=group,
            WORKER_HTTP_PORT=str(port),
        )

    @contextmanager
    def load(
        self, topic: str, texts: Sequence[str], rate: float, seconds: float
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A steady load, in a process of its own; see `benchmarks.events`."""
        file = self.work / "texts.json"
        file.write_text(json.dumps(texts))
        arguments = (str(rate), str(seconds), topic, str(file))
        with subprocess.Popen([sys.executable, "-m", "benchmarks.events", *arguments]) as load:
            try:
                yield load
            finally:
                load.terminate()

    @contextmanager
    def working(self, backlog: Backlog, port: int = 0) -> Iterator[tuple[Done, psutil.Process]]:
        """A worker on a backlog, as a group of its own; what it has done, and its process."""
        group, results = self.name("worker"), self.topic("results")
        with (
            self.progress(backlog.topic, group) as done,
            self.worker(backlog.topic, group, results, port) as process,
        ):
            yield done, process

    def worker_pace(self, backlog: Backlog, longest_s: float) -> Pace:
        """How fast a worker works a backlog off."""
        with self.working(backlog) as (done, worker):
            return self.pace(worker, done, backlog, longest_s)

    def pace(self, process: psutil.Process, done: Done, backlog: Backlog, longest_s: float) -> Pace:
        """How fast a process works a backlog off; a `TimeoutError` if it doesn't."""

        def alive() -> int:
            if process.status() == psutil.STATUS_ZOMBIE:
                raise TimeoutError("the candidate ended by itself")
            return done()

        def look(count: int) -> Sample:
            at_s = time.monotonic()
            return Sample(at_s, count, processor_s(process), processor_s(self.broker))

        return watch(alive, backlog.events, longest_s, look)

    @contextmanager
    def progress(self, topic: str, group: str | None) -> Iterator[Done]:
        """A counter of events done, by asking the brokers only; begin it before its candidate.

        With a group, its committed offsets on the topic count, else the topic's own records do.
        Where a broker doesn't answer, it is as many as it said before.
        """
        parts = [TopicPartition(topic, n) for n in range(self.settings.topics.partitions)]
        consumer = clients.new_consumer(
            self.settings.kafka,
            group_id=group or "benchmark-observer",
            # In `read_committed` the brokers tell no offsets while a transaction with new ones is
            # open, and with a fast candidate one always is. These are committed ones either way.
            isolation_level="read_uncommitted",
        )
        told: list[int] = []

        def ask() -> int:
            try:
                if group:
                    found = sum(max(p.offset, 0) for p in consumer.committed(parts, 10))
                else:
                    found = sum(consumer.get_watermark_offsets(part, 10)[1] for part in parts)
                told[:] = [found]
            except KafkaException as error:
                if error.args[0].fatal():
                    raise
            return sum(told)

        # Else the look-up of coordinator or leaders would last until a fast candidate is through.
        deadline = time.monotonic() + START_S
        while not told and time.monotonic() < deadline:
            ask()
            time.sleep(SAMPLE_S)
        try:
            yield ask
        finally:
            consumer.close()


@contextmanager
def opened() -> Iterator[Bench]:
    """Start Kafka, create the topics, publish the model."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = LocalKafka(work / "kafka", LocalSettings().cache_dir, say)
        [broker] = stack.enter_context(kafka).processes
        assert broker  # noqa: S101 - it has just come up
        os.environ |= {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "MLFLOW_TRACKING_URI": f"sqlite:///{work}/mlflow.db",
            "MODEL_CACHE_DIR": str(work / "models"),
            # A version: what following an alias costs at a start, MLflow's import above all, is
            # spread over days and would fall into seconds here.
            "MODEL_URI": "models:/sentiment/1",
        }
        ensure_published(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
        settings = Settings()
        topics.create(settings)
        yield Bench(work, settings, psutil.Process(broker.pid))


@contextmanager
def running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A process, ended with the block; its folder has its log, told at a `TimeoutError`."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    started = process.start(command, log, folder=folder, environment=environment)
    try:
        yield psutil.Process(started.pid)
    except TimeoutError as error:
        raise CandidateError(str(error), log.read_text(errors="replace")[-TAIL:]) from error
    finally:
        process.stop([started], STOP_S)
        # What it has started itself, where it ended without it.
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


def pace(first: Sample, last: Sample) -> Pace:
    """What two samples of one candidate say; a `TimeoutError` if it did nothing in between."""
    done = last.done - first.done
    if done <= 0 or last.at_s <= first.at_s:
        raise TimeoutError("the candidate showed one sign of work and no second one")
    return Pace(
        events_per_second=done / (last.at_s - first.at_s),
        processor_s=(last.processor_s - first.processor_s) * 1e6 / done,
        broker_s=(last.broker_s - first.broker_s) * 1e6 / done,
    )


def watch(done: Done, total: int, longest_s: float, look: Callable[[int], Sample]) -> Pace:
    """How fast all was done, or what was in time; a `TimeoutError` if nothing was, or no more."""
    began = time.monotonic()
    while not (count := done()):
        if time.monotonic() - began > START_S:
            raise TimeoutError(f"the candidate did nothing in {START_S:.0f} s")
        time.sleep(SAMPLE_S)
    first = last = look(count)
    while last.done < total and time.monotonic() - first.at_s < longest_s:
        time.sleep(SAMPLE_S)
        count = done()
        # Candidates that commit every few seconds stand still in between: a sample counts when
        # something was done, or the wait for the next commit would count as work.
        due = count >= total or time.monotonic() - last.at_s > LOOK_S
        if count > last.done and due:
            last = look(count)
    return pace(first, last)


def wait_until(done: Callable[[], bool], otherwise: str, pause_s: float = SAMPLE_S) -> None:
    """Wait for something to be so; after `START_S` a `TimeoutError` says what was not."""
    deadline = time.monotonic() + START_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise}: not in {START_S:.0f} s")
        time.sleep(pause_s)


def first_record(reader: TopicReader, longest_s: float) -> None:
    """Wait for the next record of a topic; a `TimeoutError` if none comes in time."""
    deadline = time.monotonic() + longest_s
    # A poll also ends, without a record, when the end of a partition is reached.
    while not reader.poll(max(deadline - time.monotonic(), 0), 1):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no result in {longest_s:.0f} s")


def shown(port: int, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """The samples of a metric that a process shows: labels and value of each."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=SCRAPE_S) as answer:
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        yield from ((one.labels, one.value) for one in family.samples if one.name == name)


def processor_s(process: psutil.Process) -> float:
    """Processor time of a process and all that it started, user and system, in seconds."""
    seconds = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(one.cpu_times()[:4])
    return seconds


def percentiles(milliseconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99; a `TimeoutError` if there is nothing to take them from."""
    if not milliseconds:
        raise TimeoutError("no result came back")
    p50, p99 = np.percentile(milliseconds, [50, 99]).tolist()
    return p50, p99


def describe() -> dict[str, str | int | None]:
    """What a reader of the figures has to know of the machine."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


def save(report: Mapping[str, object], output: Path) -> None:
    """Write figures as JSON."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2) + "\n")


def say(what: str) -> None:
    """Tell the person who waits, on standard error, what happens now."""
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)
