"""Measuring a candidate from outside: how fast its work advances on the brokers."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition

from sentiment import kafka
from sentiment.settings import Settings

# Fine enough for a candidate that is done in two seconds, rare enough to cost it nothing.
SAMPLE_S = 0.02
# A candidate that shows no first result by then doesn't work.
START_S = 60.0
STOP_S = 15.0


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
        self._consumer: Consumer = kafka.new_consumer(
            settings.kafka, group_id=group or "benchmark-observer"
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


def rate(done: Callable[[], int], total: int, longest_s: float) -> float:
    """Events a second from the first sign of work until all is done or the time is over.

    Args:
        done: Events done so far.
        total: Events that there are.
        longest_s: For slow candidates: measure this long at most, in seconds.
    """
    began = time.monotonic()
    while (first := done()) == 0:
        if time.monotonic() - began > START_S:
            raise TimeoutError("the candidate did nothing")
        time.sleep(SAMPLE_S)
    start = time.monotonic()
    count = first
    while count < total and time.monotonic() - start < longest_s:
        time.sleep(SAMPLE_S)
        count = done()
    return (count - first) / (time.monotonic() - start)


@contextmanager
def running(log: Path, *command: str) -> Iterator[psutil.Process]:
    """A candidate's process, `python -m …`, ended with the block; its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=output, stderr=output)
    try:
        yield psutil.Process(process.pid)
    except TimeoutError as error:
        raise RuntimeError(f"{command[0]}: {error}; its log ends:\n{_tail(log)}") from error
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
