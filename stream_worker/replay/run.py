"""A replay: begun or gone on with, then one partition after the other, a transaction per batch.

Nothing is made on the cluster before the order has been found to make sense; after the
transactional id is ours, nobody else commits, and what was read before is read again.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import click
import msgspec
from confluent_kafka import KafkaException, Message

from sentiment import errors, logs, wire
from sentiment.classify.assemble import classify, shortened
from sentiment.cli import Progress
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.kafka.retries import backoff_s
from sentiment.kafka.transactions import AbortedError, Transactions
from sentiment.registry.registry import LoadedModel, Registry
from sentiment.settings import Settings
from sentiment.times import parse_since
from sentiment.wire import Model
from stream_worker.replay.plan import (
    PREFIX,
    Mark,
    Offsets,
    Order,
    Plan,
    plan_of,
    require_same,
    topic_id,
)

log = logs.get(__name__)

# How long a wait for records lasts before Ctrl-C is seen.
POLL_S = 0.2
# Without a record for so long, the brokers are asked whether they are there.
STALLED_S = 10.0
# With a rate, so many batches a second: even enough, and far from a transaction per event.
BATCHES_PER_S = 5


def begin(settings: Settings, order: Order, offsets: Offsets) -> "Replay":
    """Settle what is to be done; from here on, transactions and marks are ours alone."""
    _check_names(settings, order)
    topics.require(settings, settings.topics.events)
    found = _known(settings, order, offsets)
    plan, marks = _planned(settings, order) if not found else (plan_of(found), found)
    registry = Registry(settings.model.replace(uri=plan.model_uri))
    # What an earlier start has loaded serves again: the registry may be down by now.
    model = (registry.cached() if found else None) or registry.load(plan.model.version)
    live = clients.describe_cluster(settings.kafka).topics[settings.topics.events]
    # As long as the live results are kept: comparing needs both.
    kept = {"retention.ms": str(7 * topics.DAY_MS)}
    output = topics.Topic(order.output, len(live.partitions), kept)
    partitions = topics.create(settings, [output])[0].partitions
    with _fencing_told(order.output):
        transactions = Transactions(
            settings,
            {order.output: partitions},
            PREFIX + order.output,
            partial(shortened, topics=settings.topics.replace(results=order.output)),
        )
        transactions.prepare()
        now = _known(settings, order, offsets)
        if bool(now) != bool(found):
            raise errors.WorkerError(
                f"Another replay into {order.output!r} began at the same moment.",
                "Give the same command again, to go on with it.",
            )
        _check_content(settings, order.output, now)
        if not now:
            # Only now does the topic have an id.
            plan = msgspec.structs.replace(plan, topic_id=topic_id(settings, order.output))
            now = {p: msgspec.structs.replace(mark, plan=plan) for p, mark in marks.items()}
            _remember(settings, transactions, offsets, now)
    log.info("replay goes on" if found else "replay begins", plan=str(plan), topic=order.output)
    return Replay(settings, order, offsets, model, transactions, now)


@contextmanager
def _fencing_told(topic: str) -> Iterator[None]:
    """The error, for a replay, that another one has its transactional id."""
    try:
        yield
    except errors.FencedError:
        raise errors.FencedError(
            f"Another replay into {topic!r} has taken over, or this one was asleep for longer than"
            " a transaction may last.",
            "Nothing is lost or doubled: the other one goes on, or else the same command does.",
        ) from None


def _check_names(settings: Settings, order: Order) -> None:
    if order.output in {topic.name for topic in topics.wanted(settings)}:
        raise errors.InputError(
            f"Topic {order.output!r} belongs to the live system.",
            "Give --output-topic a name that nothing else uses.",
        )
    if order.group_id == settings.worker.group_id:
        raise errors.InputError(
            f"Group {order.group_id!r} is the live workers'.",
            "Give --group-id a name of its own, or none.",
        )


def _known(settings: Settings, order: Order, offsets: Offsets) -> dict[int, Mark]:
    """The marks of the replay that the topic holds; an `InputError` if it is another, or done."""
    marks = offsets.told()
    if not marks or plan_of(marks).topic_id != topic_id(settings, order.output):
        return {}
    require_same(order, marks)
    return marks


def _planned(settings: Settings, order: Order) -> tuple[Plan, dict[int, Mark]]:
    now, tell = time.time(), partial(click.echo, err=True)
    since = parse_since(order.since, now, "--from", tell)
    until = now if order.until is None else parse_since(order.until, now, "--to", tell)
    if until == "beginning" or (since != "beginning" and since >= until):
        raise errors.InputError("--to is not after --from.", "Nothing stands between them.")
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
        raise errors.InputError(
            f"Topic {topic!r} has no event from {plan}.", "Look at --from and --to."
        )
    return plan, marks


def _remember(
    settings: Settings, transactions: Transactions, offsets: Offsets, marks: dict[int, Mark]
) -> None:
    topic = settings.topics.events
    try:
        transactions.publish([])
        transactions.commit(
            [mark.committed(topic, p) for p, mark in marks.items()], offsets.group()
        )
    except AbortedError as error:
        raise errors.TransactionError(
            f"The replay could not be begun: its first transaction was aborted: {error}.",
            "Give the same command again.",
        ) from None


def _check_content(settings: Settings, output: str, marks: dict[int, Mark]) -> None:
    """Raise an `InputError` if the topic holds anything but this replay's results."""
    seen = {partition: mark.start - 1 for partition, mark in marks.items()}
    progress = Progress(sum(mark.results for mark in marks.values()))
    with TopicReader(settings.kafka, output, "beginning") as reader:
        for count, record in enumerate(reader.rest(), 1):
            place = _place(record.value() or b"", settings.topics.events, marks)
            if place is None or not seen[place.partition] < place.offset:
                raise errors.InputError(
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


@dataclass
class Replay:
    """A replay that has begun, with marks never ahead of what is committed; `stop` ends it."""

    settings: Settings
    order: Order
    offsets: Offsets
    model: LoadedModel
    transactions: Transactions
    marks: dict[int, Mark]
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._topics = self.settings.topics.replace(results=self.order.output)
        events = sum(mark.end - mark.start for mark in self.marks.values())
        self._progress = Progress(events, _done(self.marks))
        self._aborts = 0

    def run(self) -> None:
        """Go on until all is done or `stop` is set; what is committed stays, whatever is raised."""
        try:
            with _fencing_told(self.order.output):
                while left := [p for p, mark in self.marks.items() if mark.next < mark.end]:
                    if self.stop.is_set():
                        return
                    self._attempt(left[0])
        finally:
            self._progress.clear()

    def _attempt(self, partition: int) -> None:
        """One partition, to its end or until something is in the way."""
        try:
            try:
                self._read(partition)
            except errors.TopicError:
                # Brokers that have just started may not know yet what there is.
                topics.require(self.settings, self.settings.topics.events)
                raise
        except AbortedError as error:
            self._aborts += not error.passing
            trouble = str(error)
        except errors.UnreachableError as error:
            trouble = error.message
        else:
            return
        # Behind the handlers: an error holds the producer that was replaced, which would try on.
        self._rewind(trouble)

    def _rewind(self, trouble: str) -> None:
        """Wait until brokers tell the committed offsets, which tell the truth, and go on there."""
        limit = self.settings.worker.max_consecutive_aborts
        if self._aborts >= limit:
            raise errors.TransactionError(
                f"{limit} transactions in a row were aborted; the log has each reason.",
                "What is committed stays. Look at the brokers, then give the same command again.",
            )
        tries, told = 0, ""
        while not self.stop.wait(backoff_s(tries)):
            tries += 1
            if trouble != told:
                log.warning("waiting for Kafka", reason=trouble)
                told = trouble
            try:
                self.transactions.prepare()
                marks = self.offsets.load()
            except errors.UnreachableError as error:
                trouble = error.message
            except KafkaException as error:
                trouble = f"The offsets can't be read: {error.args[0].str()}."
            else:
                break
        else:
            return
        if marks.keys() != self.marks.keys():
            raise errors.WorkerError(
                f"Somebody deleted offsets of group {self.order.group_id!r}.",
                "Delete the output topic and begin again.",
            )
        self.marks = marks

    def _read(self, partition: int) -> None:
        """Replay one partition from its mark on; a `TopicError`: events were deleted since."""
        mark = self.marks[partition]
        most, rate = self.settings.worker.max_batch, self.order.rate
        if rate:
            most = min(most, max(1, int(rate / BATCHES_PER_S)))
        topic = self._topics.events
        with TopicReader(self.settings.kafka, topic, {partition: mark.next}) as reader:
            progress_at = time.monotonic()
            while mark.next < mark.end and not self.stop.is_set():
                began = time.monotonic()
                records = [r for r in reader.poll(POLL_S, most) if (r.offset() or 0) < mark.end]
                reached = min(reader.positions()[partition], mark.end)
                if reached > mark.next:
                    mark = self._commit(partition, records, reached)
                    progress_at = time.monotonic()
                elif time.monotonic() - progress_at > STALLED_S:
                    # They answer, or raise what is waited for.
                    reader.ends()
                    progress_at = time.monotonic()
                self._progress.update(_done(self.marks))
                if rate:
                    # A batch may not take less time than its events have at this rate.
                    self.stop.wait(max(0.0, began + len(records) / rate - time.monotonic()))

    def _commit(self, partition: int, records: Sequence[Message], reached: int) -> Mark:
        if self.transactions.prepare():
            # Another replay may have had our transactional id meanwhile.
            raise AbortedError("a new producer begins", passing=True)
        results, codes, tombstones = [], Counter[str](), 0
        if records:
            worker = self.settings.worker
            batch = classify(
                records, self.model, self._topics, worker.max_event_bytes, worker.explain
            )
            results = [out for out in batch.outputs if out.topic == self._topics.results]
            # The live dead letters have these events already: here they are only counted.
            codes = batch.errors
            tombstones = sum(tally.tombstones for tally in batch.tallies.values())
        mark = self.marks[partition].advanced(reached, len(results), tombstones, codes)
        marks = self.marks | {partition: mark}
        self.transactions.publish(results)
        # All of them: brokers forget what nobody commits for a week, and some replays are slow.
        self.transactions.commit(
            [each.committed(self._topics.events, number) for number, each in marks.items()],
            self.offsets.group(),
        )
        self._aborts = 0
        self.marks = marks
        return mark


def _done(marks: dict[int, Mark]) -> int:
    return sum(mark.next - mark.start for mark in marks.values())
