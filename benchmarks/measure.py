"""Measuring a candidate from outside: how fast its work advances on the brokers."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition

from local import process
from sentiment.kafka import clients
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings

# Fine enough for a candidate that is done in two seconds, rare enough to cost it nothing.
SAMPLE_S = 0.02
# To look through a candidate's processes takes milliseconds, which would be taken from it.
LOOK_S = 0.5
# A candidate that shows no first result by then doesn't work. Spark takes 20 s on a quiet machine,
# and on a busy one many times that.
START_S = 180.0


class Progress:
    """Counts what a candidate has done, by asking the brokers only.

    Args:
        settings: Where Kafka is.
        topic: The topic to look at.
        group: With a group, its committed offsets on the topic count; without one, the
            topic's own records do.
    """

    def __init__(self, settings: Settings, topic: str, group: str | None) -> None:
        self._parts = [
            TopicPartition(topic, number) for number in range(settings.topics.partitions)
        ]
        self._by_group = group is not None
        self._done = 0
        self._consumer: Consumer = clients.new_consumer(
            settings.kafka,
            group_id=group or "benchmark-observer",
            # In `read_committed` the brokers tell no offsets while a transaction with new ones is
            # open, and with a fast candidate one always is. These are committed ones either way.
            isolation_level="read_uncommitted",
        )

        # The first answer takes a look-up of the coordinator or the leaders, in which a fast
        # candidate would be through: wait for it before that one starts.
        deadline = time.monotonic() + START_S
        while not self._answers() and time.monotonic() < deadline:
            time.sleep(SAMPLE_S)

    def _answers(self) -> bool:
        try:
            self._done = sum(self._by_partition())
        except KafkaException as error:
            if error.args[0].fatal():
                raise
            return False
        return True

    def __call__(self) -> int:
        """Events done so far; where a broker doesn't say now, as many as it said before."""
        self._answers()
        return self._done

    def _by_partition(self) -> Iterator[int]:
        if self._by_group:
            return (max(p.offset, 0) for p in self._consumer.committed(self._parts, 10))
        return (self._consumer.get_watermark_offsets(part, 10)[1] for part in self._parts)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment.

    Attributes:
        at_s: When, in seconds of a clock that only goes forward.
        done: Events done by then.
        processor_s: Processor time that the candidate had used, in seconds.
        broker_s: The same of the brokers.
    """

    at_s: float
    done: int
    processor_s: float
    broker_s: float


@dataclass(frozen=True)
class Pace:
    """How fast a candidate is, and at what cost.

    Attributes:
        events_per_second: From its first sign of work to its last one.
        processor_s: Processor time, user and system, of its processes, in seconds per million
            events.
        broker_s: The same of the brokers meanwhile.
    """

    events_per_second: float
    processor_s: float
    broker_s: float


def pace(first: Sample, last: Sample) -> Pace:
    """What two samples of one candidate say.

    Raises:
        TimeoutError: It did nothing in between.
    """
    done = last.done - first.done
    if done <= 0 or last.at_s <= first.at_s:
        raise TimeoutError("the candidate showed one sign of work and no second one")
    return Pace(
        events_per_second=done / (last.at_s - first.at_s),
        processor_s=(last.processor_s - first.processor_s) * 1e6 / done,
        broker_s=(last.broker_s - first.broker_s) * 1e6 / done,
    )


def watch(
    done: Callable[[], int], total: int, longest_s: float, look: Callable[[int], Sample]
) -> Pace:
    """Wait until all is done or the time is over, and say how fast it went.

    Args:
        done: Events done so far.
        total: Events that there are.
        longest_s: For slow candidates: measure this long at most, in seconds.
        look: A sample of this moment, given the events done.

    Raises:
        TimeoutError: Nothing was done in `START_S`, or nothing more after that.
    """
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


def first_record(reader: TopicReader, longest_s: float) -> None:
    """Wait for the next record of a topic.

    Raises:
        TimeoutError: None came in time.
    """
    deadline = time.monotonic() + longest_s
    # A poll also ends, without a record, when the end of a partition is reached.
    while not reader.poll(max(deadline - time.monotonic(), 0), 1):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no result in {longest_s:.0f} s")


def processor_s(process: psutil.Process) -> float:
    """Processor time of a process and all that it started, user and system, in seconds."""
    seconds = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            seconds += sum(one.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return seconds


# The machine that a run happens on, and the Kafka that it starts there.


# A cold start downloads the jars, which takes about half a minute.
STOP_S = 30.0


@contextmanager
def local_kafka(work: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A local Apache Kafka with its data in `work`; gives its address and its process."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "sentiment", "kafka", "--port", "0", "--json"),
            *("--data-dir", str(work / "kafka")),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError("the local Kafka did not start; its message stands above")
        yield json.loads(line)["bootstrap_servers"], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(STOP_S)


def describe() -> dict[str, str | int | None]:
    """What a reader of the figures has to know of the machine."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


# Progress of a run, for the person who waits for it.


def say(what: str) -> None:
    """Tell on standard error what happens now."""
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)


# Candidates as processes, which end with their block and leave nothing behind.


# Above a worker's own time for the open batch, so that its end is a clean one.
PROCESS_STOP_S = 20.0
# As much of a log as has the last traceback in it.
TAIL = 2000


class CandidateError(Exception):
    """A candidate doesn't work.

    Args:
        why: A sentence.
        log: How its log ends.
    """

    def __init__(self, why: str, log: str) -> None:
        super().__init__(f"{why}; its log ends:\n{log}")
        lines = log.strip().splitlines()
        self.reason = f"{why}: {lines[-1]}" if lines else why


@contextmanager
def running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A candidate's process, ended with the block.

    Args:
        command: Program and arguments.
        folder: Where it runs and leaves its log; made if missing.
        environment: What it has beside our own environment.

    Raises:
        CandidateError: It did nothing within a limit of time that the block has set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    started = process.start(command, log, folder=folder, environment=environment)
    try:
        yield psutil.Process(started.pid)
    except TimeoutError as error:
        raise CandidateError(str(error), log.read_text(errors="replace")[-TAIL:]) from error
    finally:
        process.stop([started], PROCESS_STOP_S)
        # What it has started itself, where it ended without it.
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


def own(module: str, *arguments: str) -> list[str]:
    """The command of a module in our own environment."""
    return [sys.executable, "-m", module, *arguments]
