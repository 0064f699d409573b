"""What makes two commands the same replay, and how far each partition of it is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from msgspec import Struct

from sentiment.errors import InputError
from sentiment.kafka import clients, topics
from sentiment.kafka.clients import is_passing
from sentiment.kafka.lag import checked
from sentiment.kafka.retries import Deadline, retry
from sentiment.settings import Settings
from sentiment.wire import Model


@dataclass(frozen=True)
class Order:
    """What the command asks for; the range's ends are as written, and None is what is there now.

    Nobody joins the group, which keeps the offsets. The rate is in events a second.
    """

    since: str
    until: str | None
    uri: str
    output: str
    group_id: str
    rate: float | None = None


class Plan(Struct, frozen=True):
    """What was settled at a replay's first start, and stays, beside the words of the order.

    `2h` means the two hours before the first start. The range is in seconds since 1970, from the
    oldest event (None) to its exclusive end. An output topic that is made anew has another id.
    """

    since: str
    until: str | None
    uri: str
    model: Model
    from_s: float | None
    to_s: float
    topic_id: str

    @property
    def model_uri(self) -> str:
        """The address of the very version."""
        return f"models:/{self.model.name}/{self.model.version}"

    def __str__(self) -> str:
        begin = "the oldest event" if self.from_s is None else time_of(self.from_s)
        model = f"{self.model.name} version {self.model.version}"
        return f"{begin} to {time_of(self.to_s)} with {model}"


class Mark(Struct, frozen=True):
    """How far one input partition is, and what became of its events so far.

    Kept as the metadata of the committed offset, which is `next`, and so always true to what is in
    the topic. `end` is one after the last offset of the range; dead letters are by error code.
    """

    plan: Plan
    start: int
    next: int
    end: int
    results: int = 0
    tombstones: int = 0
    dead_letters: dict[str, int] = {}

    def advanced(
        self, reached: int, results: int, tombstones: int, dead_letters: Mapping[str, int]
    ) -> "Mark":
        """The mark after a further batch that ends before the offset `reached`."""
        return msgspec.structs.replace(
            self,
            next=reached,
            results=self.results + results,
            tombstones=self.tombstones + tombstones,
            dead_letters=dict(Counter(self.dead_letters) + Counter(dead_letters)),
        )

    def committed(self, topic: str, partition: int) -> TopicPartition:
        """As an offset to commit."""
        metadata = msgspec.json.encode(self).decode()
        return TopicPartition(topic, partition, self.next, metadata)


def mark_of(metadata: str | None) -> Mark | None:
    """The mark in a committed offset's metadata; None where there is none."""
    try:
        return msgspec.json.decode(metadata or "", type=Mark)
    except msgspec.DecodeError:
        return None


def topic_id(settings: Settings, name: str) -> str:
    """Kafka's id of a topic; empty where there is none of that name."""
    if name not in clients.describe_cluster(settings.kafka).topics:
        return ""
    return topics.identity(settings.kafka, name).id


def plan_of(marks: Mapping[int, Mark]) -> Plan:
    """The plan that all marks of a replay share."""
    return next(iter(marks.values())).plan


def require_same(order: Order, marks: Mapping[int, Mark]) -> None:
    """Raise an `InputError` unless an order asks to go on with the replay that was begun."""
    plan = plan_of(marks)
    other_model = order.uri not in {plan.uri, plan.model_uri}
    if other_model or (order.since, order.until) != (plan.since, plan.until):
        until = f" --to {plan.until}" if plan.until else ""
        model = plan.uri.removeprefix("models:/")
        raise InputError(
            f"Topic {order.output!r} holds another replay: {plan}.",
            "Give this one a topic of its own. The other one was begun with"
            f" --from {plan.since}{until} --model {model}.",
        )
    if all(mark.next >= mark.end for mark in marks.values()):
        raise InputError(
            f"This replay is finished: {order.output!r} has {plan}.",
            f"Compare it: `sentiment replay compare --output-topic {order.output}`. To do it again,"
            " name another topic, or delete this one first.",
        )


def summary(marks: Mapping[int, Mark]) -> dict[str, Any]:
    """The figures of a replay by now, for people and programs."""
    plan = plan_of(marks)
    codes = sum((Counter(mark.dead_letters) for mark in marks.values()), Counter[str]())
    results = sum(mark.results for mark in marks.values())
    tombstones = sum(mark.tombstones for mark in marks.values())
    return {
        "model": {"name": plan.model.name, "version": plan.model.version},
        "from": None if plan.from_s is None else time_of(plan.from_s),
        "to": time_of(plan.to_s),
        "finished": all(mark.next >= mark.end for mark in marks.values()),
        "events": results + tombstones + codes.total(),
        "results": results,
        "dead_letters": dict(codes),
        "tombstones": tombstones,
    }


def time_of(seconds: float) -> str:
    """Seconds since 1970 by RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


# Every command that asks for a replay finds it by its output topic.
PREFIX = "sentiment-replay-"
# Until the brokers, as while they start, are asked again.
PAUSE_S = 0.2


class Offsets:
    """Reads back what was committed."""

    def __init__(self, settings: Settings, group_id: str) -> None:
        self._settings = settings
        self._topic = settings.topics.events
        self._group_id = group_id
        self._consumer: Consumer = clients.new_consumer(settings.kafka, group_id=group_id)

    def told(self) -> dict[int, Mark]:
        """As `load`; a `BrokerError` where Kafka doesn't tell them."""
        try:
            return self.load()
        except KafkaException as error:
            raise clients.unreachable(self._settings.kafka, error) from None

    def load(self) -> dict[int, Mark]:
        """The marks by input partition; empty where no replay has begun.

        A coordinator that is being found or loaded is waited for; a `KafkaException` where it takes
        too long. Other offsets than a replay's are an `InputError`.
        """
        deadline = Deadline(self._settings.kafka.connect_timeout_s)
        return retry(self._marks, deadline, PAUSE_S, is_passing)

    def _marks(self, timeout: float) -> dict[int, Mark]:
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

    def __exit__(self, *error: object) -> None:
        self._consumer.close()
