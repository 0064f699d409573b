"""Following a topic that changes while it is read."""

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.cimpl import NewPartitions

from sentiment.kafka import clients
from sentiment.kafka.reader import Follower
from sentiment.settings import Settings
from tests.integration.workers import PATIENCE_S


class Stream(threading.Thread):
    """Something new on the first partition, several times between two polls of a reader."""

    def __init__(self, producer: Producer, topic: str) -> None:
        super().__init__(daemon=True)
        self._producer = producer
        self._topic = topic
        self.sent = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Send until `ended`."""
        while not self.ended.wait(0.05):
            self._producer.produce(self._topic, b"%d" % self.sent, partition=0)
            self.sent += 1
        self._producer.flush(30)


@pytest.fixture
def stream(settings: Settings) -> Iterator[Stream]:
    """On the topic of results."""
    made = Stream(clients.new_producer(settings.kafka), settings.topics.results)
    made.start()
    yield made
    made.ended.set()
    made.join()


def test_partitions_that_are_added_to_a_busy_topic_are_read(
    settings: Settings, stream: Stream
) -> None:
    """Whatever else arrives meanwhile, and each record once."""
    topic = settings.topics.results
    taken: list[bytes] = []

    def take(records: list[Message]) -> None:
        taken.extend(record.value() or b"" for record in records)

    follower = Follower(settings.kafka, topic, None, take)
    follower.start()
    _wait_until(taken, b"0")
    count = settings.topics.partitions + 1
    admin = clients.new_admin(settings.kafka)
    admin.create_partitions([NewPartitions(topic, count)])[topic].result(30)
    producer = clients.new_producer(settings.kafka)
    producer.produce(topic, b"from a new one", partition=count - 1)
    assert producer.flush(30) == 0
    _wait_until(taken, b"from a new one")
    stream.ended.set()
    stream.join()
    _wait_until(taken, b"%d" % (stream.sent - 1))
    follower.stop()
    follower.join(PATIENCE_S)
    assert taken.count(b"from a new one") == 1
    numbers = [int(value) for value in taken if value.isdigit()]
    assert numbers == list(range(stream.sent))


def _wait_until(taken: list[bytes], value: bytes) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while value not in taken:
        assert time.monotonic() < deadline, taken[-3:]
        time.sleep(0.1)
