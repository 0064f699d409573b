"""The transactional producer, and what to do about each of its errors.

Rules, each learnt by others the hard way:

- retriable error: the same call again, until the deadline;
- error that requires an abort: abort, and tell the caller to rewind its consumer;
- any other error, an abort that fails, or a commit whose outcome is unknown because the deadline
  passed: a new producer with the same transactional id. Its `init_transactions()` makes the
  brokers finish or abort what the old one left, so that the committed offsets tell the truth.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from sentiment import kafka, logs, metrics
from sentiment.errors import BrokerError, FencedError
from sentiment.kafka_access import forbidden
from sentiment.settings import Settings
from sentiment.transactions import (
    FENCED_CODES,
    INIT_TIMEOUT_S,
    RETRY_BACKOFF_MAX_MS,
    RETRY_BACKOFF_MS,
)
from stream_worker.batch import Output

log = logs.get(__name__)

# Between two tries of a call that the library itself has already retried.
PAUSE_S = 0.05


class AbortedError(Exception):
    """Nothing of the transaction was committed: rewind to the committed offsets."""


class Transactions:
    """Publishes batches, each in one transaction with its input offsets.

    One thread at a time may call it. Each call has a deadline.

    Args:
        settings: Where Kafka is, and the worker's own settings.
        partitions: Number of partitions by output topic.

    Raises:
        BrokerError: Kafka doesn't let us begin.
        FencedError: See `reset`.
    """

    def __init__(self, settings: Settings, partitions: Mapping[str, int]) -> None:
        self._settings = settings
        self._partitions = partitions
        given = settings.worker.transactional_id
        self._id_is_ours_alone = not given
        self.transactional_id = given or f"{settings.worker.group_id}-{uuid.uuid4()}"
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        worker = self._settings.worker
        producer = kafka.new_producer(
            self._settings.kafka,
            transactional_id=self.transactional_id,
            transaction_timeout_ms=int(worker.transaction_timeout_s * 1000),
            # A record that can't be delivered fails its transaction before the brokers do.
            message_timeout_ms=int(worker.commit_timeout_s * 1000),
            # A batch is handed over as a whole: there is nothing to wait for.
            linger_ms=0,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            retry_backoff_max_ms=RETRY_BACKOFF_MAX_MS,
            # Two of the largest batches; a full queue makes `publish` wait, not grow.
            queue_buffering_max_messages=max(100_000, 3 * worker.max_batch),
            queue_buffering_max_kbytes=3 * worker.prefetch_kib,
        )
        try:
            self._until(time.monotonic() + INIT_TIMEOUT_S, producer.init_transactions)
        except KafkaException as error:
            self._raise_if_fenced(error)
            raise BrokerError(
                f"Transactions can't be begun as {self.transactional_id!r}: {error.args[0].str()}.",
                "Check that the brokers are up and that we may use this transactional id.",
            ) from None
        return producer

    def publish(self, outputs: Iterable[Output]) -> None:
        """Begin a transaction and hand its records over. Returns before they are delivered.

        Raises:
            AbortedError: Rewind.
        """
        deadline = self._deadline()
        try:
            self._producer.begin_transaction()
            for output in outputs:
                try:
                    self._produce(output)
                except BufferError:
                    self._wait_and_produce(output, deadline)
        except KafkaException as error:
            self._recover(error)

    def _produce(self, output: Output) -> None:
        # Results of one input partition stay in one output partition, in order.
        partition = output.partition % self._partitions[output.topic]
        if output.headers:
            self._producer.produce(
                output.topic, output.value, output.key, partition, headers=output.headers
            )
        else:
            # Even an empty list of headers costs as much as half of the call.
            self._producer.produce(output.topic, output.value, output.key, partition)

    def _wait_and_produce(self, output: Output, deadline: float) -> None:
        """The queue is full: go on as it empties."""
        while time.monotonic() < deadline:
            self._producer.poll(PAUSE_S)
            with suppress(BufferError):
                self._produce(output)
                return
        raise KafkaException(
            KafkaError(KafkaError._TIMED_OUT, "the queue stays full")  # noqa: SLF001
        )

    def commit(self, offsets: list[TopicPartition], group: Any) -> None:  # noqa: ANN401 - opaque
        """Commit the open transaction together with its input offsets.

        Args:
            offsets: The next offset to read, by input partition.
            group: The consumer's group metadata, fetched just now: it fences zombies (KIP-447).

        Raises:
            AbortedError: Rewind.
        """
        deadline = self._deadline()
        try:
            self._until(
                deadline,
                lambda left: self._producer.send_offsets_to_transaction(offsets, group, left),
            )
            self._until(deadline, self._producer.commit_transaction)
        except KafkaException as error:
            self._recover(error)
        # Without a poll now and then the library's own log lines never arrive.
        self._producer.poll(0)
        metrics.TRANSACTIONS.labels("committed").inc()

    def _deadline(self) -> float:
        return time.monotonic() + self._settings.worker.commit_timeout_s

    @staticmethod
    def _until(deadline: float, call: Callable[[float], object]) -> None:
        """Make a call, again while its error is retriable and time is left."""
        while True:
            try:
                call(max(deadline - time.monotonic(), PAUSE_S))
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() + PAUSE_S > deadline:
                    raise
                time.sleep(PAUSE_S)
            else:
                return

    def _recover(self, error: KafkaException) -> None:
        """End a failed transaction, by abort if possible, else with a new producer.

        Raises:
            AbortedError: Always, unless something worse is raised.
        """
        cause: KafkaError = error.args[0]
        log.warning("transaction failed", code=cause.name(), reason=cause.str())
        metrics.TRANSACTIONS.labels("aborted").inc()
        if cause.txn_requires_abort():
            try:
                self._until(self._deadline(), self._producer.abort_transaction)
            except KafkaException as abort_error:
                self._raise_if_fenced(abort_error)
                self.reset()
        else:
            self._raise_if_fenced(error)
            self.reset()
        if denied := forbidden(cause):
            raise denied from None
        raise AbortedError from error

    def _raise_if_fenced(self, error: KafkaException) -> None:
        """A name that we made up can't be taken over: its fencing means we were too slow."""
        if error.args[0].code() in FENCED_CODES and not self._id_is_ours_alone:
            raise FencedError(
                f"Another worker runs as WORKER_TRANSACTIONAL_ID={self.transactional_id!r}, or"
                " this one was stopped for longer than its transaction may last.",
                "Give each running worker a name of its own, then start this one again.",
            ) from None

    def reset(self) -> None:
        """Replace the producer by a new one with the same transactional id.

        Raises:
            BrokerError: The brokers don't let the new one begin.
            FencedError: Another worker has our name.
        """
        metrics.TRANSACTION_RESETS.inc()
        # What the old one still holds must not be sent any more.
        self._producer.purge()
        self._producer = self._new_producer()
