"""Begin a replay, or go on with it: everything that is settled or refused before the first event.

Nothing is made on the cluster before the order has been found to make sense; after the
transactional id is ours, nobody else commits, and what was read before is read again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import click
import msgspec
from confluent_kafka import KafkaException

from sentiment import logs, wire
from sentiment.classify.assemble import shortened
from sentiment.cli import Progress
from sentiment.errors import FencedError, InputError, TransactionError, WorkerError
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.kafka.transactions import AbortedError, Transactions
from sentiment.registry.registry import LoadedModel, Registry
from sentiment.settings import Settings
from sentiment.times import parse_since
from sentiment.wire import Model
from stream_worker.replay.plan import PREFIX, Mark, Offsets, Order, Plan, plan_of, require_same

log = logs.get(__name__)

Begun = tuple[LoadedModel, Transactions, dict[int, Mark]]


def begin(settings: Settings, order: Order, offsets: Offsets) -> Begun:
    """Settle what is to be done.

    Returns:
        The model, transactions that are ours alone, and the marks by input partition, committed.

    Raises:
        InputError: The order is refused; nothing has changed.
        SentimentError: Kafka or the registry isn't ready for it.
    """
    _check_names(settings, order)
    topics.require(settings, settings.topics.events)
    found = _known(settings, order, offsets)
    plan, marks = _planned(settings, order) if not found else (plan_of(found), found)
    registry = Registry(settings.model.replace(uri=plan.model_uri))
    # What an earlier start has loaded serves again: the registry may be down by now.
    model = (registry.cached() if found else None) or registry.load(plan.model.version)
    partitions = create(settings, order.output)
    with fencing_told(order.output):
        transactions = Transactions(
            settings,
            {order.output: partitions},
            PREFIX + order.output,
            partial(shortened, topics=settings.topics.replace(results=order.output)),
        )
        transactions.prepare()
        now = _known(settings, order, offsets)
        if bool(now) != bool(found):
            raise WorkerError(
                f"Another replay into {order.output!r} began at the same moment.",
                "Give the same command again, to go on with it.",
            )
        check_content(settings, order.output, now)
        if not now:
            # Only now does the topic have an id.
            plan = msgspec.structs.replace(plan, topic_id=topic_id(settings, order.output))
            now = {p: msgspec.structs.replace(mark, plan=plan) for p, mark in marks.items()}
            _remember(settings, transactions, offsets, now)
    log.info("replay goes on" if found else "replay begins", plan=str(plan), topic=order.output)
    return model, transactions, now


@contextmanager
def fencing_told(topic: str) -> Iterator[None]:
    """Tell in a replay's words that another one has its transactional id.

    Raises:
        FencedError: It has.
    """
    try:
        yield
    except FencedError:
        raise FencedError(
            f"Another replay into {topic!r} has taken over, or this one was asleep for longer than"
            " a transaction may last.",
            "Nothing is lost or doubled: the other one goes on, or else the same command does.",
        ) from None


def _check_names(settings: Settings, order: Order) -> None:
    if order.output in {topic.name for topic in topics.wanted(settings)}:
        raise InputError(
            f"Topic {order.output!r} belongs to the live system.",
            "Give --output-topic a name that nothing else uses.",
        )
    if order.group_id == settings.worker.group_id:
        raise InputError(
            f"Group {order.group_id!r} is the live workers'.",
            "Give --group-id a name of its own, or none.",
        )


def _known(settings: Settings, order: Order, offsets: Offsets) -> dict[int, Mark]:
    """The marks of the replay that the topic holds, if it is the one that is asked for.

    Raises:
        BrokerError: Kafka doesn't tell them.
        InputError: It is another one, or finished.
    """
    try:
        marks = offsets.load()
    except KafkaException as error:
        raise clients.unreachable(settings.kafka, error) from None
    if not marks or plan_of(marks).topic_id != topic_id(settings, order.output):
        return {}
    require_same(order, marks)
    return marks


def _planned(settings: Settings, order: Order) -> tuple[Plan, dict[int, Mark]]:
    """Look up the range and the model's version."""
    now, tell = time.time(), partial(click.echo, err=True)
    since = parse_since(order.since, now, "--from", tell)
    until = now if order.until is None else parse_since(order.until, now, "--to", tell)
    if until == "beginning" or (since != "beginning" and since >= until):
        raise InputError("--to is not after --from.", "Nothing stands between them.")
    registry = Registry(settings.model)
    model = Model(registry.name, registry.resolve())
    topic = settings.topics.events
    with TopicReader(settings.kafka, topic, since) as reader:
        starts = reader.positions()
        # By time, one event from a clock that is ahead would end what ends now.
        ends = reader.ends()
    if order.until is not None:
        with TopicReader(settings.kafka, topic, until) as reader:
            ends = reader.positions()
    from_s = None if since == "beginning" else since
    plan = Plan(order.since, order.until, order.uri, model, from_s, min(until, now), "")
    marks = {p: Mark(plan, start, start, max(start, ends[p])) for p, start in starts.items()}
    if all(mark.start == mark.end for mark in marks.values()):
        raise InputError(f"Topic {topic!r} has no event from {plan}.", "Look at --from and --to.")
    return plan, marks


def _remember(
    settings: Settings, transactions: Transactions, offsets: Offsets, marks: dict[int, Mark]
) -> None:
    """Commit the plan, before the first result."""
    topic = settings.topics.events
    try:
        transactions.publish([])
        transactions.commit(
            [mark.committed(topic, p) for p, mark in marks.items()], offsets.group()
        )
    except AbortedError as error:
        raise TransactionError(
            f"The replay could not be begun: its first transaction was aborted: {error}.",
            "Give the same command again.",
        ) from None


# The topic that takes a replay's results: made when missing, and never shared.


def create(settings: Settings, name: str) -> int:
    """Create the output topic if it is not there; returns its number of partitions."""
    present = clients.describe_cluster(settings.kafka).topics
    count = len(present[settings.topics.events].partitions)
    # As long as the live results are kept: comparing needs both.
    kept = {"retention.ms": str(7 * topics.DAY_MS)}
    return topics.create(settings, [topics.Topic(name, count, kept)])[0].partitions


def topic_id(settings: Settings, name: str) -> str:
    """Kafka's id of a topic; empty where there is none of that name."""
    if name not in clients.describe_cluster(settings.kafka).topics:
        return ""
    return topics.identity(settings.kafka, name).id


def check_content(settings: Settings, output: str, marks: dict[int, Mark]) -> None:
    """Make sure that the topic holds this replay's results and nothing else.

    Raises:
        InputError: It holds something else.
    """
    seen = {partition: mark.start - 1 for partition, mark in marks.items()}
    progress = Progress(sum(mark.results for mark in marks.values()))
    with TopicReader(settings.kafka, output, "beginning") as reader:
        for count, record in enumerate(reader.rest(), 1):
            place = _place(record.value() or b"", settings.topics.events, marks)
            if place is None or not seen[place.partition] < place.offset:
                raise InputError(
                    f"Topic {output!r} holds what is not of this replay: partition"
                    f" {record.partition()}, offset {record.offset()}.",
                    "Give --output-topic a name that nothing else uses.",
                )
            seen[place.partition] = place.offset
            progress.update(count)
    progress.clear()


def _place(value: bytes, topic: str, marks: dict[int, Mark]) -> wire.Input | None:
    """Which event a record of the output topic answers; None if it is none of this replay's."""
    try:
        result = wire.decode_result(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    mark = marks.get(result.input.partition)
    ours = (
        mark is not None
        and result.input.topic == topic
        and result.model == mark.plan.model
        and mark.start <= result.input.offset < mark.next
    )
    return result.input if ours else None
