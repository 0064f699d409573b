"""What the tests of `sentiment replay` share: a registry with a challenger, and the command."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from sentiment import wire
from sentiment.kafka import clients
from sentiment.kafka.lag import LATEST, offsets_at
from sentiment.settings import Settings
from sentiment.wire import SentimentResult
from tests.integration.commands import PATIENCE_S, command, records, sentiment
from tests.waiting import until


class Replays:
    """Runs replays into one topic.

    Args:
        settings: The test's own.
        uri: The registry.

    Attributes:
        topic: Takes the results.
    """

    def __init__(self, settings: Settings, uri: str) -> None:
        self.settings = settings
        self.topic = f"{settings.topics.events}-again"
        self.uri = uri

    def arguments(self, *more: str) -> list[str]:
        """The command's, from the oldest event on with the challenger."""
        return [
            "replay", "--from", "beginning", "--model", "sentiment@challenger",
            "--output-topic", self.topic, *more,
        ]  # fmt: skip

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; an option that is given again wins."""
        return sentiment(*self.arguments(*more))

    def finish(self, *more: str) -> dict[str, Any]:
        """Run it to its good end, and return its figures."""
        done = self.run("--json", *more)
        assert done.returncode == 0, done.stderr
        figures: dict[str, Any] = json.loads(done.stdout)
        return figures

    def start(self, *more: str) -> "subprocess.Popen[str]":
        """Start it, and wait until it has committed further results."""
        before = len(self.results()) if self.exists() else 0
        process = subprocess.Popen(
            command(*self.arguments(*more)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        deadline = time.monotonic() + PATIENCE_S
        while not self.exists() or len(self.results()) == before:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        return process

    def exists(self) -> bool:
        """Whether the topic is there."""
        return self.topic in clients.describe_cluster(self.settings.kafka).topics

    def results(self) -> list[SentimentResult]:
        """Every committed result, in order per partition."""
        found = records(self.settings, self.topic)
        return [wire.decode_result(record.value() or b"") for record in found]

    def delete(self) -> None:
        """Delete the topic, and wait until it is gone."""
        admin = clients.new_admin(self.settings.kafka)
        admin.delete_topics([self.topic])[self.topic].result(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while self.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def event(number: int) -> bytes:
    """One good event."""
    text = "I loved it" if number % 2 else "I hated it"
    return json.dumps({"id": str(number), "text": text, "source": f"s{number % 3}"}).encode()


def committed(settings: Settings, group: str) -> list[int]:
    """A group's offsets on the events topic."""
    with _partitions(settings, group) as (consumer, parts):
        return [part.offset for part in consumer.committed(parts, PATIENCE_S)]


def ends(settings: Settings) -> list[int]:
    """The offsets after the last records of the events topic, once no transaction is open."""
    with _partitions(settings, "ends") as (consumer, parts):
        numbers = [part.partition for part in parts]

        def found() -> list[int]:
            last = [consumer.get_watermark_offsets(part, PATIENCE_S)[1] for part in parts]
            # Marks come a little after a transaction's end.
            stable = offsets_at(consumer, settings.topics.events, numbers, LATEST, PATIENCE_S)
            return last if last == list(stable.values()) else []

        return until(found)


@contextmanager
def _partitions(settings: Settings, group: str) -> Iterator[tuple[Consumer, list[TopicPartition]]]:
    consumer = clients.new_consumer(settings.kafka, group_id=group)
    topic = settings.topics.events
    try:
        yield consumer, [TopicPartition(topic, n) for n in range(settings.topics.partitions)]
    finally:
        consumer.close()
