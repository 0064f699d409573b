"""What the brokers say of a worker's topics and offsets, asked beside its loop.

A consumer that gets nothing can't tell an idle topic from a broken one. So this asks with clients
of its own: how far the partitions really go, how far the group has committed, whether a transaction
holds readers back for longer than it may last, whether a batch can't be read, and whether the
topics are still those of the start.

It is consumers that ask for offsets: librdkafka 2.16 aborts the process when a broker goes while an
admin client asks a group's coordinator, or asks for offsets.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection

from sentiment import logs, metrics
from sentiment.errors import SentimentError, TopicError, WorkerError
from sentiment.kafka import clients, unreadable
from sentiment.kafka.clients import result_of
from sentiment.kafka.lag import EARLIEST, LATEST, committed_offsets, offsets_at
from sentiment.kafka.unreadable import Unreadable
from sentiment.settings import Settings

log = logs.get(__name__)

# Scrapes come every 15 s or so; asking more often only costs requests.
CHECK_S = 5.0
# How long the brokers have for each answer.
ANSWER_S = 3.0
# The topics' ids are checked once in so many times.
RARELY = 3
# A broker that has just started learns of its topics within seconds.
GONE_S = 60.0
# Brokers search for transactions that have outlived their time every ten seconds.
OVERDUE_S = 30.0
# A partition may stand still so long though events arrive: a rebalance after a kill is over then.
UNREAD_S = 60.0
# The loop's consumer may reach no broker so long though others do: it reconnects within seconds.
NO_ANSWER_S = 60.0
# What the loop reads at a start and after an abort.
OFFSETS = "the group's committed offsets"


class Member(Protocol):
    """The loop's consumer; asked from the monitor's thread, nothing here may block."""

    # By partition, the error that came last in place of a batch that can't be read.
    unreadable: dict[int, Message]
    # Since when no broker answers it, by the monotonic clock; None: they do.
    unanswered_since: float | None

    def assigned(self) -> list[int]:
        """The partitions that it has."""

    def reached(self, partition: int) -> tuple[int, int]:
        """To which offset there is nothing left to be returned, and the one after the last."""


class Monitor(threading.Thread):
    """Asks again and again until `stop`."""

    def __init__(self, settings: Settings, member: Member) -> None:
        super().__init__(name="monitor", daemon=True)
        self._settings = settings
        self._member = member
        self._stopping = threading.Event()
        group = settings.worker.group_id
        client = partial(clients.new_consumer, settings.kafka, group_id=group)
        # One sees what readers of committed records see, the other one everything.
        self._stable: Consumer = client()
        self._all: Consumer = client(isolation_level="read_uncommitted")
        self._admin = clients.new_admin(settings.kafka)
        self._ids: dict[str, str] = {}
        self._checks = 0
        # What a transaction holds back: as it is, and since when it has been so.
        self._held: dict[str, tuple[object, float]] = {}
        self._hanging: set[str] = set()
        # Committed offsets by partition, as of the last check that found some held back.
        self._offsets: dict[int, int] = {}
        # By partition: how far the group has committed, whether it is ours, how far it went then,
        # and since when the first two are so.
        self._still: dict[int, tuple[int, bool, int, float]] = {}
        self._told: dict[int, int] = {}
        # By partition of ours that stands still without an error, where.
        self._stalled: dict[int, int] = {}
        # By partition, the last batch that couldn't be read: it is logged once.
        self._known: dict[int, Unreadable] = {}
        self._skips = {name for name in settings.worker.skip_batches.split(",") if name}
        # By partition of ours, the batch that comes next and can't be read.
        self.unreadable: dict[int, Unreadable] = {}
        # Those of them that `WORKER_SKIP_BATCHES` names, for the loop to take from.
        self.skips: list[Unreadable] = []
        self._gone_since: float | None = None
        self._shown: set[int] = set()
        # Since when the brokers have answered each time; None where they did not the last time.
        self._answered_since: float | None = None
        # Why this worker can't do its work, by what the brokers say; empty where it can.
        self.trouble = ""
        # Why only a new start helps; None while the worker may go on.
        self.ended: SentimentError | None = None
        # Partitions that others should read and nobody does; joining the group anew may help.
        self.unread: list[int] = []

    def run(self) -> None:
        """Check until `stop`."""
        # At once: the topics of the start are what the worker begins with.
        while not self._stopping.is_set():
            try:
                self.check()
            except Exception:
                # Nobody else would notice a dead thread.
                log.exception("asking the brokers failed")
            self._stopping.wait(CHECK_S)
        self._stable.close()
        self._all.close()

    def stop(self) -> None:
        """Stop checking."""
        self._stopping.set()

    def check(self) -> None:
        """Ask once; a question without an answer is asked again at the next check."""
        partitions = self._member.assigned()
        for number in self._shown - set(partitions):
            metrics.LAG.remove(self._settings.topics.events, str(number))
        self._shown &= set(partitions)
        checks: list[Callable[[], None]] = [
            partial(self._check_lag, partitions),
            partial(self._find_hanging, partitions),
        ]
        if self._checks % RARELY == 0:
            checks = [self._check_topics, *checks, partial(self._find_stalled, partitions)]
        checks.append(self._find_unreadable)
        self._checks += 1
        for one in checks:
            try:
                one()
            except (KafkaException, TimeoutError) as error:
                # The loop says so itself, if it lasts.
                log.debug("the brokers don't tell", reason=str(error))
                self._answered_since = None
            else:
                self._answered_since = self._answered_since or time.monotonic()
        unanswered, answered = self._member.unanswered_since, self._answered_since
        # Brokers that come and go answer one of us and not the other.
        if unanswered and answered and time.monotonic() - max(unanswered, answered) > NO_ANSWER_S:
            self.ended = WorkerError(
                f"This worker's consumer has reached no broker for {NO_ANSWER_S:.0f} s, though"
                " another client does from here.",
                "Nothing uncommitted is lost: start the worker again.",
            )

    def _check_lag(self, partitions: list[int]) -> None:
        topic = self._settings.topics.events
        done = committed_offsets(self._all, topic, partitions, ANSWER_S)
        begins = offsets_at(self._all, topic, partitions, EARLIEST, ANSWER_S)
        ends = offsets_at(self._all, topic, partitions, LATEST, ANSWER_S)
        self._shown = set(partitions)
        for number, end in ends.items():
            reached = max(done[number], begins[number])
            # What is read and committed may be followed by marks of transactions, which are no lag.
            up_to, following = self._member.reached(number)
            if following <= reached:
                reached = max(reached, up_to)
            metrics.LAG.labels(topic, str(number)).set(max(end - reached, 0))

    def _find_stalled(self, partitions: list[int]) -> None:
        """See whether partitions are read, by us or by others who have them.

        Of some batches librdkafka returns neither records nor an error. And a client that lost its
        partitions and got them again at the same moment may think that it has none, and the group
        that it has them (librdkafka 2.16): no other evidence tells.
        """
        topic = self._settings.topics.events
        still, self._still = self._still, {}
        known = self._stable.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
        done = committed_offsets(self._all, topic, known, ANSWER_S)
        begins = offsets_at(self._all, topic, partitions, EARLIEST, ANSWER_S)
        ends = offsets_at(self._stable, topic, known, LATEST, ANSWER_S)
        now = time.monotonic()
        for number in known:
            then = still.get(number)
            ours = number in partitions
            if then is None or then[:2] != (done[number], ours):
                then = done[number], ours, ends[number], now
            self._still[number] = then
        waits = {
            n: offset for n, (offset, _, _, since) in self._still.items() if now - since > UNREAD_S
        }
        reached = {number: self._member.reached(number) for number in partitions}
        self._stalled = {
            number: max(waits[number], begins[number])
            for number, (up_to, following) in reached.items()
            # What is in hand was read, and what is committed may be followed by marks alone.
            if number in waits and following <= waits[number] and up_to < ends[number]
            and max(waits[number], begins[number]) < ends[number]
        }  # fmt: skip
        unread = [
            number
            for number, offset in waits.items()
            # Once for each place where it stands still: whoever has it may be in trouble itself.
            if number not in partitions and ends[number] > self._still[number][2]
            and self._told.get(number) != offset
        ]  # fmt: skip
        self._told |= {number: done[number] for number in unread}
        if unread:
            self.unread = unread

    def _find_unreadable(self) -> None:
        """Log each batch that can't be read, once; decide whether it is skipped."""
        topic, found = self._settings.topics.events, dict[int, Unreadable]()
        for number, error in list(self._member.unreadable.items()):
            known = self._known.get(number)
            if known is None or known.last is None or known.first != error.offset():
                known = unreadable.located(self._settings.kafka, error)
            found[number] = known
        for number, offset in self._stalled.items():
            batch = self._known.get(number)
            if batch is None or not batch.first <= offset <= (batch.last or batch.first):
                said = "Kafka's client returns neither records nor an error"
                batch = Unreadable(topic, number, offset, None, said)
            found.setdefault(number, batch)
        for number, batch in found.items():
            if batch != self._known.get(number):
                self._known[number] = batch
                last = "LAST" if batch.last is None else batch.last
                log.error(
                    "a batch can't be read", reason=str(batch),
                    hint="Nothing behind it in this partition is classified. To pass it over, set"
                    f" WORKER_SKIP_BATCHES={topic}:{number}:{batch.first}-{last} for all workers;"
                    " docs/operations.md, SentimentBatchUnreadable, says more.",
                )  # fmt: skip
            metrics.UNREADABLE.labels(topic, str(number)).set(1)
        for number in self.unreadable.keys() - found.keys():
            metrics.UNREADABLE.remove(topic, str(number))
        self.unreadable = found
        self.skips = [skip for batch in found.values() if (skip := self._skip_of(batch))]

    def _skip_of(self, batch: Unreadable) -> Unreadable | None:
        """The batch as `WORKER_SKIP_BATCHES` has it; None where it doesn't."""
        begin = f"{batch.topic}:{batch.partition}:{batch.first}-"
        for name in self._skips:
            last = int(name.rpartition("-")[2])
            if name.startswith(begin) and batch.last in {None, last}:
                return batch._replace(last=last)
        return None

    def _find_hanging(self, partitions: list[int]) -> None:
        """Name transactions that hold readers back for longer than a transaction may last."""
        names = self._settings.topics
        # Without the brokers' answer the clock starts again: while they are down nothing ends.
        held, self._held = self._held, {}
        found: dict[str, object] = {}
        for number, offset in self._unstable_offsets(partitions).items():
            found[f"{OFFSETS} of partition {number}"] = offset
        for topic in (names.results, names.dead_letters, names.tallies):
            known = self._stable.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
            numbers = sorted({number % len(known) for number in partitions}) if known else []
            stable = offsets_at(self._stable, topic, numbers, LATEST, ANSWER_S)
            ends = offsets_at(self._all, topic, numbers, LATEST, ANSWER_S)
            found |= {f"{topic}-{n}": stable[n] for n in numbers if stable[n] < ends[n]}
        now = time.monotonic()
        # What has moved since the last check is held back by another transaction.
        self._held = {
            what: (state, held[what][1] if held.get(what, (None,))[0] == state else now)
            for what, state in found.items()
        }
        limit_s = self._settings.worker.transaction_timeout_s + OVERDUE_S
        hanging = {what for what, (_, since) in self._held.items() if now - since > limit_s}
        for what in sorted(hanging - self._hanging):
            log.error("a transaction hangs", holds_back=what, seconds=limit_s)
        self._hanging = hanging
        metrics.HANGING_TRANSACTIONS.set(len(hanging))
        stops = [what for what in sorted(hanging) if what.startswith(OFFSETS)]
        self.trouble = f"a transaction that hangs holds back {', '.join(stops)}" if stops else ""

    def _unstable_offsets(self, partitions: list[int]) -> dict[int, int]:
        """The committed offset of each partition where a transaction holds back the next one."""
        topic = self._settings.topics.events
        with suppress(KafkaException):
            committed_offsets(self._stable, topic, partitions, ANSWER_S)
            self._offsets = {}
            return {}
        # The same question without a care for open transactions: if that fails too, the brokers
        # are away, and say nothing of transactions.
        offsets = committed_offsets(self._all, topic, partitions, ANSWER_S)
        # Those that go on are held back by one transaction after the other.
        still = [number for number in partitions if self._offsets.get(number) == offsets[number]]
        self._offsets = offsets
        unstable = {}
        for number in still:
            try:
                committed_offsets(self._stable, topic, [number], ANSWER_S)
            except KafkaException:
                unstable[number] = offsets[number]
        return unstable

    def _check_topics(self) -> None:
        """See whether the topics are those of the start: others have other offsets."""
        names = self._settings.topics
        wanted = [names.events, names.results, names.dead_letters, names.tallies]
        asked = self._admin.describe_topics(TopicCollection(wanted), request_timeout=ANSWER_S)
        gone = []
        for name, answer in asked.items():
            try:
                found = str(result_of(answer, 2 * ANSWER_S).topic_id)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
                gone.append(name)
                continue
            if self._ids.setdefault(name, found) != found:
                self.ended = TopicError(
                    f"Topic {name!r} at {self._settings.kafka.bootstrap_servers} is another one"
                    " than at our start: it, or the whole cluster, was made anew.",
                    "Start again, to begin with what is there now.",
                )
        self._gone_since = (self._gone_since or time.monotonic()) if gone else None
        if self._gone_since and time.monotonic() - self._gone_since > GONE_S:
            self.ended = TopicError(
                f"Topic {', '.join(map(repr, gone))} is gone"
                f" from {self._settings.kafka.bootstrap_servers}.",
                "Create all topics with `sentiment topics`.",
            )
