import time
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.cimpl import NewTopic

from sentiment.errors import BrokerError, TopicError
from sentiment.kafka import clients, topics
from sentiment.kafka.lag import LATEST, offsets_at
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from tests.waiting import until


class Writer:
    """Writes transactions to one topic, spread over its partitions."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.results
        self._producer: Producer = clients.new_producer(
            settings.kafka, transactional_id=uuid.uuid4().hex
        )
        self._producer.init_transactions(30)
        kinds = ("read_committed", "read_uncommitted")
        self._readers = [
            clients.new_consumer(settings.kafka, group_id="writer", isolation_level=kind)
            for kind in kinds
        ]

    def write(self, name: str, count: int, *, end: str = "commit") -> set[str]:
        """Write `count` records in a transaction that is committed, aborted or left open."""
        self._producer.begin_transaction()
        names = {f"{name}-{number}" for number in range(count)}
        for number, value in enumerate(sorted(names)):
            self._producer.produce(self._topic, value.encode(), partition=number % 4)
        assert self._producer.flush(30) == 0
        if end == "commit":
            self._producer.commit_transaction(30)
        elif end == "abort":
            self._producer.abort_transaction(30)
        if end != "leave open":
            # The coordinator's word comes first; its marks reach the partitions a moment later.
            until(lambda: len({str(self._ends(reader)) for reader in self._readers}) == 1)
        return names

    def _ends(self, reader: Consumer) -> dict[int, int]:
        return offsets_at(reader, self._topic, range(4), LATEST, 30)

    def abort(self) -> None:
        """End a transaction that was left open."""
        with suppress(KafkaException):
            self._producer.abort_transaction(30)

    def close(self) -> None:
        """End what was left open, and the connections."""
        self.abort()
        for reader in self._readers:
            reader.close()


@pytest.fixture
def writer(settings: Settings) -> Iterator[Writer]:
    """A transactional writer to the results topic."""
    writer = Writer(settings)
    yield writer
    writer.close()


def rest(reader: TopicReader) -> list[str]:
    """Everything up to the present ends."""
    return [(record.value() or b"").decode() for record in reader.rest()]


def test_rest_ends_behind_the_marks_of_transactions(settings: Settings, writer: Writer) -> None:
    """Marks of commits and aborts and aborted records take offsets: reading passes them, ends."""
    first = writer.write("first", 10)
    writer.write("aborted", 10, end="abort")
    second = writer.write("second", 3)
    writer.write("aborted", 10, end="abort")
    with TopicReader(settings.kafka, settings.topics.results, "beginning") as reader:
        found = rest(reader)
        assert len(found) == 13
        assert set(found) == first | second
        assert reader.positions() == reader.ends()


def test_rest_goes_on_where_it_ended(settings: Settings, writer: Writer) -> None:
    """A second call returns what has come since, and nothing twice."""
    with TopicReader(settings.kafka, settings.topics.results, "beginning") as reader:
        assert rest(reader) == []
        for name in ("a", "b"):
            assert set(rest(reader)) == set()
            assert writer.write(name, 5) == set(rest(reader))


def test_open_transactions_are_neither_shown_nor_waited_for(
    settings: Settings, writer: Writer
) -> None:
    """While a transaction is open, reading ends before it, and goes on when it is committed."""
    before = writer.write("before", 4)
    other = Writer(settings)
    other.write("open", 4, end="leave open")
    with TopicReader(settings.kafka, settings.topics.results, "beginning") as reader:
        assert set(rest(reader)) == before
        other.close()
        assert set(rest(reader)) == set()


def test_uncommitted_records_are_shown_on_demand(settings: Settings, writer: Writer) -> None:
    """`read_committed=False` shows aborted records too."""
    names = writer.write("aborted", 5, end="abort")
    topic = settings.topics.results
    with TopicReader(settings.kafka, topic, "beginning", read_committed=False) as reader:
        assert set(rest(reader)) == names


def test_nothing_after_the_start_is_missed(settings: Settings, writer: Writer) -> None:
    """A reader from the `end` sees what is written from its creation on, before its first poll."""
    writer.write("old", 5)
    with TopicReader(settings.kafka, settings.topics.results, "end") as reader:
        new = writer.write("new", 5)
        assert set(rest(reader)) == new


def test_reading_from_a_time(settings: Settings, writer: Writer) -> None:
    """A time starts at the first record that is not older; one ahead of all records at the end."""
    writer.write("old", 8)
    time.sleep(0.05)
    start = time.time()
    new = writer.write("new", 8)
    topic = settings.topics.results
    with TopicReader(settings.kafka, topic, start) as reader:
        assert set(rest(reader)) == new
    with TopicReader(settings.kafka, topic, time.time() + 3600) as reader:
        assert set(rest(reader)) == set()
        assert writer.write("newer", 8) == set(rest(reader))


def test_reading_from_offsets(settings: Settings, writer: Writer) -> None:
    """Offsets by partition start there and leave the others out; what is gone is an error."""
    writer.write("a", 40)
    topic = settings.topics.results
    with TopicReader(settings.kafka, topic, {1: 7, 2: OFFSET_BEGINNING}) as reader:
        places = [(record.partition(), record.offset()) for record in reader.rest()]
        assert sorted(places) == [(1, n) for n in range(7, 10)] + [(2, n) for n in range(10)]
    gone = TopicPartition(topic, 1, 8)
    # Its answer needs the client to be there.
    admin = clients.new_admin(settings.kafka)
    admin.delete_records([gone])[gone].result(30)
    with (
        TopicReader(settings.kafka, topic, {1: 7}) as reader,
        pytest.raises(TopicError, match="are gone"),
    ):
        rest(reader)


def test_follow_ends_when_idle(settings: Settings, writer: Writer) -> None:
    """`until_idle_s` ends following once nothing more comes."""
    names = writer.write("a", 20)
    with TopicReader(settings.kafka, settings.topics.results, "beginning") as reader:
        found = {(r.value() or b"").decode() for r in reader.follow(until_idle_s=5)}
    assert found == names


def test_order_holds_per_partition(settings: Settings, writer: Writer) -> None:
    """Records of one partition come by rising offset, and `poll` returns no more than asked."""
    writer.write("a", 400)
    with TopicReader(settings.kafka, settings.topics.results, "beginning") as reader:
        ends, batches = reader.ends(), [reader.poll(1, most=7)]
        while reader.positions() != ends:
            batches.append(reader.poll(1, most=7))
    found = [(r.partition(), r.offset()) for batch in batches for r in batch]
    assert max(map(len, batches)) <= 7
    assert len(found) == 400
    for number in range(4):
        offsets = [offset for partition, offset in found if partition == number]
        assert offsets == list(range(100))


def test_missing_topic_is_told(settings: Settings) -> None:
    """A topic that doesn't exist is an error with a hint, and isn't created by asking."""
    for _ in range(2):
        with pytest.raises(TopicError, match="'absent-topic'"):
            TopicReader(settings.kafka, "absent-topic", "beginning")


def test_new_topic_can_be_read_at_once(settings: Settings) -> None:
    """A topic whose partitions have no leader yet is waited for, not refused."""
    admin = clients.new_admin(settings.kafka)
    for _ in range(5):
        topic = uuid.uuid4().hex
        admin.create_topics([NewTopic(topic, 4)])[topic].result(timeout=30)
        topics.require(settings, topic)
        with TopicReader(settings.kafka, topic, "beginning") as reader:
            assert rest(reader) == []


def test_no_broker_is_told_in_time(settings: Settings) -> None:
    """Without a broker the wait ends after the setting's time, with the address."""
    nowhere = settings.kafka.replace(bootstrap_servers="127.0.0.1:1", connect_timeout_s=0.5)
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        TopicReader(nowhere, settings.topics.results, "beginning")


def test_only_the_last_records_are_read_back(settings: Settings) -> None:
    """A bound on records takes the last ones of each partition, whatever the time would find."""
    topic = settings.topics.results
    producer = clients.new_producer(settings.kafka)
    for number in range(40):
        producer.produce(topic, str(number).encode(), partition=number % 2)
    assert producer.flush(30) == 0
    for start, wanted in (("beginning", 6), (time.time() - 3600, 6), ("end", 0)):
        with TopicReader(settings.kafka, topic, start, most=3) as reader:  # type: ignore[arg-type]
            found = sorted(int(record.value() or b"") for record in reader.rest())
        assert found == list(range(40 - wanted, 40))
