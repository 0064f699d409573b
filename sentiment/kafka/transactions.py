"""Transactions, whatever breaks in the middle of one: the worker's, a replay's, a redrive's.

Rules, each learnt by others the hard way:

- Retriable error: the same call again, until the deadline, which is one for the whole transaction.
- Error that requires an abort: abort, and tell the caller to go back to what is committed.
- Any other error, an abort that fails, or a commit whose outcome is unknown at the deadline: a new
  producer with the same transactional id. Its `init_transactions()` makes the brokers finish or
  abort what the old one left, so that the committed offsets tell the truth.
- While an exception is handled, nothing is asked of the client that may fail: with its error, that
  exception is never freed, nor the producers in its frames (seen with confluent-kafka 2.16).
- Nothing waits for the end of a producer that is replaced: a name server that doesn't answer may
  hold a thread of it for a minute.
- A connection that broke: a new producer before the next transaction. What was under way on it may
  reach the brokers later, and librdkafka speaks version 1 of the transaction protocol (its issue
  5423): an EndTxn that arrives late ends whatever transaction of this producer is open by then,
  with half of its records. What carries an older epoch than the new producer's is refused, late
  requests to add or commit offsets too. (Version 2, KIP-890, has an epoch for each transaction.)
- A record or a batch of them that its topic doesn't take: go on with half the size, then half of
  that, on this topic; a record above it is shortened by the caller's rule. How much a topic takes
  is not asked: that would need one more right on it. A new producer too: where one goes on, brokers
  miss the sequence numbers of what was never sent (seen with librdkafka 2.16).
"""

import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from msgspec import Struct

from sentiment import logs, metrics
from sentiment.errors import BrokerError, FencedError
from sentiment.kafka import clients
from sentiment.kafka.clients import Access, forbidden, is_passing
from sentiment.kafka.retries import Deadline, retry
from sentiment.settings import KafkaSettings, Settings
from sentiment.wire import Headers

log = logs.get(__name__)

# Between two tries of a call that the library itself has already retried.
PAUSE_S = 0.05
# What a topic that refused a record is taken to take, in bytes: at first half of what our clients
# take, below Kafka's default for a topic; nothing useful is smaller than the last.
FIRST_LIMIT, LAST_LIMIT = 1024 * 1024, 1024
# In place of a partition: the client's partitioner chooses one by the key.
BY_KEY = -1

# Another producer has begun with our transactional id.
FENCED_CODES = frozenset({
    KafkaError._FENCED,  # noqa: SLF001 - librdkafka's public name of a local error
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
})  # fmt: skip
# The brokers have forgotten the producer, as after `transactional.id.expiration.ms` without a
# transaction: only a new one helps.
FORGOTTEN_CODES = frozenset({
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
    KafkaError.UNKNOWN_PRODUCER_ID,
})  # fmt: skip

# How librdkafka tells that a connection ended: as "FAIL", with the state that it was in. Before
# "UP" it carries no requests of ours, and the first addresses ("/bootstrap") none but for metadata.
_IDLE_STATE = re.compile(r"\(after \d+ms in state (?!UP\b|REAUTH\b)|/bootstrap\]?: ")


class Output(Struct, frozen=True, gc=False):
    """A record to publish."""

    topic: str
    partition: int  # the input's, so that its results keep its order; or `BY_KEY`
    key: bytes | None
    value: bytes | None
    headers: Headers

    def size(self) -> int:
        """What it takes in a batch that is not compressed, in bytes; not less."""
        # Beside the data of a record, and of each header: lengths, offset and time, at their most.
        size = 40 + len(self.key or b"") + len(self.value or b"")
        for name, value in self.headers:
            size += 8 + len(name.encode()) + len(value or b"")
        return size


class AbortedError(Exception):
    """Nothing of the transaction was committed: go back to what is.

    It is `passing` where the next try is another one: the brokers were away, or had to be told anew
    who we are, or get smaller batches from now on.
    """

    def __init__(self, reason: str, *, passing: bool, too_large: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing
        self.too_large = too_large


class Connections(Access):
    """Also counts connections that broke and may have carried a request.

    Only librdkafka's log tells, and the ordinary one leaves out what it has said within 30 s: so
    these producers log all about brokers (`debug=broker`), some three lines for each transaction.
    A line about a connection is in the queue before the call that was retried over the next one
    returns, so that who polls after the call misses none.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings)
        self.broken = 0

    def log(self, level: int, line: str, *parts: object) -> None:
        """Pass a line on."""
        super().log(level, line, *parts)
        if parts[0] == "FAIL" and not _IDLE_STATE.search(str(parts[-1])):
            self.broken += 1


class Transactions:
    """Publishes batches of records, each in one transaction, with its input offsets.

    One thread at a time may call it. Nothing is asked of the brokers before `prepare`. The
    transactional id fences others that have the same; where it is empty, one is made up.
    `partitions` are numbers by output topic; `shorten` is for records that a topic doesn't take.
    """

    def __init__(
        self,
        settings: Settings,
        partitions: Mapping[str, int],
        transactional_id: str = "",
        shorten: Callable[[Output], Output] | None = None,
    ) -> None:
        self._settings = settings
        self._partitions = partitions
        self._is_made_up = not transactional_id
        self.transactional_id = transactional_id or f"{settings.worker.group_id}-{uuid.uuid4()}"
        self._connections = Connections(settings.kafka)
        self._producer: Producer | None = None
        self._deadline = Deadline(0)
        # Starts of producers that may reach the brokers yet, each of which would fence us once.
        self._late_starts = 0
        self._shorten = shorten
        # By topic, of those that have refused a record; and until when that is believed.
        self._limits: dict[str, int] = {}
        self._limits_end = 0.0
        self._refused_by = ""

    def prepare(self, deadline: Deadline | None = None) -> bool:
        """Have a producer that no late request of an earlier transaction can hurt.

        To be called before each transaction; costs a round trip only where a new one is needed, and
        then returns True: others with this transactional id are fenced from now on, and what they
        have committed meanwhile has to be read before anything is published.

        Raises:
            UnreachableError: The brokers don't answer now; try again.
            BrokerError: They don't allow it.
            FencedError: Another process begins at the same moment.
        """
        if self._producer is not None:
            # Have the client's callbacks called: its log lines and errors arrive by polls alone.
            if failed := _error_of(partial(self._producer.poll, 0)):
                self._let_go(failed.str(), "unusable")
            elif self._connections.broken:
                self._let_go("a connection broke", "connection")
            else:
                return False
        self._producer = self._new_producer()
        # A start may meet brokers that are still electing the coordinator's leader.
        self._begin(deadline or Deadline(30))
        return True

    def _new_producer(self) -> Producer:
        worker, access = self._settings.worker, self._settings.kafka
        # Beside what a user wants to see of them.
        told = f"{access.config.get('debug', '')},broker".lstrip(",")
        self._connections = Connections(access)
        return clients.new_producer(
            access.replace(config=access.config | {"debug": told}),
            self._connections,
            transactional_id=self.transactional_id,
            transaction_timeout_ms=int(worker.transaction_timeout_s * 1000),
            # We begin anew from the first addresses ourselves. Where librdkafka 2.16 does so in the
            # middle of a transaction, its request for a coordinator may wait for a broker that it
            # has let go of, whatever the time limit of the call.
            metadata_recovery_strategy="none",
            # A record that can't be delivered fails its transaction before the brokers do.
            message_timeout_ms=int(worker.commit_timeout_s * 1000),
            # A batch is handed over as a whole: there is nothing to wait for.
            linger_ms=0,
            # With librdkafka's 100 ms, a transaction that follows another at once waits out the
            # brokers' CONCURRENT_TRANSACTIONS; these made the median latency five times smaller.
            retry_backoff_ms=2,
            retry_backoff_max_ms=20,
            # Two of the largest batches; a full queue makes `publish` wait, not grow.
            queue_buffering_max_messages=max(100_000, 3 * worker.max_batch),
            queue_buffering_max_kbytes=3 * worker.prefetch_kib,
        )

    def _begin(self, deadline: Deadline) -> None:
        """Have the brokers let the new producer begin, and end what the old one left open."""
        assert self._producer is not None  # noqa: S101 - it was made
        failed = _error_of(partial(_until, deadline, self._producer.init_transactions))
        # Also for what the brokers said to the client as a whole, such as that they refuse it.
        said = _error_of(partial(self._producer.poll, 0))
        if failed := failed or said:
            self._drop()
            fenced = self._note_fencing(failed)
            if is_passing(failed):
                self._late_starts += 1
            if is_passing(failed) or fenced:
                raise self._connections.unreachable(KafkaException(failed))
            raise forbidden(failed) or BrokerError(
                f"Transactions can't be begun as {self.transactional_id!r}: {failed.str()}.",
                "Check WORKER_TRANSACTION_TIMEOUT_S, and the brokers' version and limits.",
            )
        # What broke up to here carried no transaction of this epoch, but perhaps its start.
        self._late_starts += self._connections.broken
        self._connections.broken = 0

    def publish(self, outputs: Iterable[Output]) -> None:
        """Begin a transaction and hand over its records, yet undelivered; errors as of `commit`."""
        assert self._producer is not None  # noqa: S101 - it was prepared
        self._deadline = Deadline(self._settings.worker.commit_timeout_s)
        if failed := _error_of(partial(self._publish, self._producer, outputs)):
            if failed.code() == KafkaError._STATE:  # noqa: SLF001 - a public name, as above
                # It takes no records as it has failed already; this tells why.
                failed = _error_of(self._producer.begin_transaction) or failed
            self._recover(failed)

    def _publish(self, producer: Producer, outputs: Iterable[Output]) -> None:
        producer.begin_transaction()
        if self._limits:
            outputs = self._limited(producer, outputs)
        for output in outputs:
            while not self._is_queued(producer, output):
                # The queue is full: go on as it empties.
                if not self._deadline.left():
                    raise KafkaException(
                        KafkaError(KafkaError._TIMED_OUT, "the queue stays full")  # noqa: SLF001
                    )
                producer.poll(PAUSE_S)

    def _limited(self, producer: Producer, outputs: Iterable[Output]) -> Iterator[Output]:
        """The same, with no record and no batch of them larger than its topic takes."""
        if time.monotonic() > self._limits_end:
            self._limits.clear()
        waiting, shortened = Counter[str](), Counter[str]()
        for output in outputs:
            limit = self._limits.get(topic := output.topic)
            if limit is None:
                yield output
                continue
            size = output.size()
            if size > limit and self._shorten:
                output = self._shorten(output)  # noqa: PLW2901 - the same record
                size = output.size()
                shortened[topic] += 1
            if waiting[topic] + size > limit:
                # The client makes batches of what waits; what is delivered is in none of them.
                producer.flush(self._deadline.left())
                waiting.clear()
            waiting[topic] += size
            yield output
        for topic, count in shortened.items():
            limit = self._limits[topic]
            log.warning("records shortened", topic=topic, records=count, limit_bytes=limit)
            metrics.SHORTENED_RECORDS.labels(topic).inc(count)

    def _limit(self, cause: KafkaError) -> bool:
        """Try less from now on, on the topic that didn't take something; whether less is left."""
        refused_by, self._refused_by = self._refused_by, ""
        # The brokers' refusals name the topic in words for people; one more does no harm.
        named = [topic for topic in self._partitions if topic in (refused_by or cause.str())]
        is_less = False
        for topic in named or self._partitions:
            before = self._limits.get(topic, 2 * FIRST_LIMIT)
            self._limits[topic] = max(before // 2, LAST_LIMIT)
            is_less = is_less or before > LAST_LIMIT
        # A topic's limit is rarely raised; finding it anew costs a few aborts.
        self._limits_end = time.monotonic() + 600
        return is_less

    def _is_queued(self, producer: Producer, output: Output) -> bool:
        partition = output.partition
        if partition != BY_KEY:
            # Results of one input partition stay in one output partition, in order.
            partition %= self._partitions[output.topic]
        try:
            if output.headers:
                producer.produce(
                    output.topic, output.value, output.key, partition, headers=output.headers
                )
            else:
                # Even an empty list of headers costs as much as half of the call.
                producer.produce(output.topic, output.value, output.key, partition)
        except BufferError:
            return False
        except KafkaException:
            self._refused_by = output.topic
            raise
        return True

    def commit(self, offsets: list[TopicPartition] | None = None, group: Any = None) -> None:  # noqa: ANN401 - opaque
        """Commit the open transaction, together with the next offsets to read if there are any.

        The consumer's group metadata is fetched just now: it fences zombies (KIP-447).

        Raises:
            AbortedError: Go back to what is committed.
            FencedError: Another process has our transactional id.
        """
        if failed := _error_of(partial(self._commit, offsets, group)):
            self._recover(failed)
        metrics.TRANSACTIONS.labels("committed").inc()

    def _commit(self, offsets: list[TopicPartition] | None, group: Any) -> None:  # noqa: ANN401 - opaque
        producer = self._producer
        assert producer is not None  # noqa: S101 - a transaction is open
        # 1. The input offsets go into the transaction; a group that has moved on refuses them.
        if offsets:
            send = partial(producer.send_offsets_to_transaction, offsets, group)
            _until(self._deadline, send)
        # 2. The client delivers what it still holds, and the brokers end the transaction.
        _until(self._deadline, producer.commit_transaction)

    def abort(self) -> None:
        """Abort what is open, or have `prepare` make the brokers do it; may raise `FencedError`."""
        if self._producer is None:
            return
        if failed := _error_of(partial(_until, self._deadline, self._producer.abort_transaction)):
            self._note_fencing(failed)
            self._let_go(failed.str(), "unusable")

    def _recover(self, cause: KafkaError) -> None:
        """End a failed transaction, by an abort if possible, and raise `AbortedError` or worse."""
        # 3. Only of a transaction that failed: it is aborted, or a new producer takes over, before
        # which the brokers abort or finish it (`prepare`).
        log.warning("transaction failed", code=cause.name(), reason=cause.str())
        metrics.TRANSACTIONS.labels("aborted").inc()
        # Neither a transaction nor another process is to blame.
        ours = cause.code() in FORGOTTEN_CODES
        too_large = cause.code() == KafkaError.MSG_SIZE_TOO_LARGE
        is_less = too_large and self._limit(cause)
        if cause.txn_requires_abort() and not (ours or too_large):
            self.abort()
        else:
            ours = self._note_fencing(cause) or ours
            self._let_go(cause.str(), "unknown_outcome" if cause.retriable() else "unusable")
        if denied := forbidden(cause):
            raise denied
        passing = is_passing(cause) or ours or is_less
        raise AbortedError(cause.str(), passing=passing, too_large=too_large)

    def _note_fencing(self, cause: KafkaError) -> bool:
        """Whether a late request of our own has fenced us; raises where another process has."""
        if cause.code() not in FENCED_CODES:
            return False
        if self._late_starts:
            self._late_starts -= 1
            return True
        if self._is_made_up:
            # Nobody else has it: we were too slow.
            return False
        raise FencedError(
            f"Another process has the transactional id {self.transactional_id!r}, or this one"
            " was stopped for longer than its transaction may last.",
            "Give each running worker a WORKER_TRANSACTIONAL_ID of its own, or none, then start"
            " this one again.",
        ) from None

    def _let_go(self, reason: str, kind: str) -> None:
        """Have `prepare` make a new producer with the same transactional id."""
        log.info("a new producer takes over", reason=reason)
        metrics.TRANSACTION_RESETS.labels(kind).inc()
        if self._producer is not None:
            # What the old one still holds must not be sent any more.
            self._producer.purge(blocking=False)
        self._drop()

    def _drop(self) -> None:
        """Have a thread of its own wait for the producer's end; `close` waits for the brokers."""
        dropped, self._producer = [self._producer], None
        threading.Thread(target=dropped.clear, name="old-producer", daemon=True).start()


def _error_of(call: Callable[[], object]) -> KafkaError | None:
    """Make a call; its error, without what it was raised in, and behind the handler."""
    try:
        call()
    except KafkaException as error:
        return error.args[0]  # type: ignore[no-any-return]
    return None


def _until(deadline: Deadline, call: Callable[[float], object]) -> None:
    """Make a call, again while its error is retriable and time is left."""
    retry(call, deadline, PAUSE_S, KafkaError.retriable)
