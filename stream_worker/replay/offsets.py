"""The replay's own group: it keeps offsets, and is never joined."""

import time
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sentiment import kafka
from sentiment.errors import InputError
from sentiment.kafka_access import is_passing
from sentiment.lag import checked
from sentiment.settings import Settings
from stream_worker.replay.plan import Mark, mark_of

# Every command that asks for a replay finds it by its output topic.
PREFIX = "sentiment-replay-"
# Until the brokers, as while they start, are asked again.
PAUSE_S = 0.2


class Offsets:
    """Reads back what was committed.

    Args:
        settings: Where Kafka is.
        group_id: The group.

    Raises:
        SettingsError: Kafka's client refuses its configuration.
    """

    def __init__(self, settings: Settings, group_id: str) -> None:
        self._settings = settings
        self._topic = settings.topics.events
        self._group_id = group_id
        self._consumer: Consumer = kafka.new_consumer(settings.kafka, group_id=group_id)

    def load(self) -> dict[int, Mark]:
        """The marks by input partition; empty where no replay has begun.

        A coordinator that is being found or loaded is waited for.

        Raises:
            KafkaException: They don't tell them now.
            InputError: The group has other offsets.
        """
        deadline = time.monotonic() + self._settings.kafka.connect_timeout_s
        while True:
            try:
                return self._marks()
            except KafkaException as error:
                if not is_passing(error.args[0]) or time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)

    def _marks(self) -> dict[int, Mark]:
        timeout = self._settings.kafka.connect_timeout_s
        found = self._consumer.list_topics(self._topic, timeout=timeout).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        marks = {}
        parts = [TopicPartition(self._topic, number) for number in found.partitions]
        for part in checked(self._consumer.committed(parts, timeout)):
            if part.offset < 0:
                continue
            mark = mark_of(part.metadata)
            if mark is None:
                raise InputError(
                    f"Group {self._group_id!r} has offsets that are no replay's.",
                    "Give --group-id a name of its own, or none.",
                )
            marks[part.partition] = mark
        return marks

    def group(self) -> Any:  # noqa: ANN401 - opaque to us
        """The group's metadata, for `send_offsets_to_transaction`."""
        return self._consumer.consumer_group_metadata()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._consumer.close()
