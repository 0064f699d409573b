"""One dead letter, read where it stands, however long the topic is."""

import time
from dataclasses import dataclass

from sentiment import kafka, topics
from sentiment.dlq import letters, marks
from sentiment.dlq.letters import DeadLetter
from sentiment.errors import BrokerError, TopicError
from sentiment.events import Redriven
from sentiment.reader import POLL_S, TopicReader
from sentiment.settings import Settings


@dataclass(frozen=True)
class Found:
    """A dead letter and when it was redriven; `marks` is empty where it wasn't."""

    letter: DeadLetter
    marks: list[Redriven]


def look(settings: Settings, partition: int, offset: int) -> Found | None:
    """Read the dead letter at a place.

    Args:
        settings: Where Kafka is, and its topics.
        partition: Where it stands.
        offset: Where it stands.

    Returns:
        None where nothing stands there: it has expired, or never was.

    Raises:
        BrokerError: Kafka doesn't answer.
        TopicError: A topic doesn't exist.
    """
    name = settings.topics.dead_letters
    topics.require(settings, name, settings.topics.redriven)
    if partition not in kafka.describe_cluster(settings.kafka).topics[name].partitions:
        return None
    # From the beginning, so that a place that is gone is no error.
    with TopicReader(settings.kafka, name, "beginning") as reader:
        first, end = reader.positions()[partition], reader.ends()[partition]
    if not first <= offset < end:
        return None
    letter = _read(settings, partition, offset)
    if letter is None:
        return None
    topic_id = topics.identity(settings.kafka, name).id
    place = partition, offset
    known = marks.read(settings, topic_id)
    return Found(letter, [mark for mark in known if (mark.partition, mark.offset) == place])


def _read(settings: Settings, partition: int, offset: int) -> DeadLetter | None:
    deadline = time.monotonic() + settings.kafka.connect_timeout_s
    with TopicReader(settings.kafka, settings.topics.dead_letters, {partition: offset}) as reader:
        while time.monotonic() < deadline:
            try:
                records = reader.poll(POLL_S, 1)
            except TopicError:
                # It expired between two questions.
                return None
            for record in records:
                return letters.read(record) if record.offset() == offset else None
            if reader.positions()[partition] > offset:
                # The mark of a transaction, which is never returned.
                return None
    raise BrokerError(
        f"Reading {settings.topics.dead_letters!r} stopped: no broker sent anything for"
        f" {settings.kafka.connect_timeout_s:g} s.",
        "See whether the brokers are up, then look again.",
    )
