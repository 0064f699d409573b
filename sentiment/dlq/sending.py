"""Dead letters back onto the events topic, each batch in one transaction with its marks.

All runs for one dead-letter topic, of the command and of the page, share one transactional id. A
run that begins makes the brokers finish or abort what the one before has left, and fences that one
off, before it reads the marks: so the marks that it reads are all there are, and nobody else adds
any while it goes on.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import KafkaException, Producer

from sentiment import events, kafka
from sentiment.dlq.letters import DeadLetter
from sentiment.errors import BrokerError, FencedError, SentimentError, TransactionError
from sentiment.events import Redriven
from sentiment.settings import Settings
from sentiment.transactions import (
    FENCED_CODES,
    INIT_TIMEOUT_S,
    RETRY_BACKOFF_MAX_MS,
    RETRY_BACKOFF_MS,
)

# Lets the client's partitioner choose by the key.
BY_KEY = -1


@dataclass(frozen=True)
class Ready:
    """A dead letter that is ready to be put back.

    Attributes:
        letter: The dead letter.
        value: The value to send: its own or the mended one.
    """

    letter: DeadLetter
    value: bytes


class Sender:
    """Puts dead letters back.

    Args:
        settings: Where Kafka is, its topics, and how long transactions may take.

    Raises:
        BrokerError: Kafka doesn't let us begin.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        topics = kafka.describe_cluster(settings.kafka).topics
        self._partitions = len(topics[settings.topics.events].partitions)
        self._producer: Producer = kafka.new_producer(
            settings.kafka,
            transactional_id=settings.topics.redriven,
            # An open transaction hides what comes after it from the workers: a killed command may
            # do so for no longer than a killed worker may hide results.
            transaction_timeout_ms=int(settings.worker.transaction_timeout_s * 1000),
            message_timeout_ms=int(settings.worker.commit_timeout_s * 1000),
            retry_backoff_ms=RETRY_BACKOFF_MS,
            retry_backoff_max_ms=RETRY_BACKOFF_MAX_MS,
        )
        try:
            self._producer.init_transactions(INIT_TIMEOUT_S)
        except KafkaException as error:
            raise BrokerError(
                f"Transactions can't be begun as {settings.topics.redriven!r}:"
                f" {error.args[0].str()}.",
                "Check that the brokers are up and that we may use this transactional id.",
            ) from None

    def partition(self, letter: DeadLetter) -> int:
        """Where a dead letter goes: the partition that it came from, so that it stays behind the
        events that it was behind; by its key, where the topic has lost that partition.
        """  # noqa: D205 - one sentence
        came_from = letter.input.partition if letter.input else BY_KEY
        return came_from if came_from < self._partitions else BY_KEY

    def send(self, batch: Sequence[Ready], topic_id: str) -> None:
        """Put a batch back, whole or not at all.

        Args:
            batch: Dead letters of the events topic.
            topic_id: Id of the topic that they stand on.

        Raises:
            FencedError: Another run has begun; nothing of the batch was sent.
            TransactionError: The transaction failed, or its outcome isn't known.
        """
        producer, now = self._producer, datetime.now(UTC)
        try:
            producer.begin_transaction()
            for ready in batch:
                self._produce(ready, topic_id, now)
            producer.commit_transaction(self._settings.worker.commit_timeout_s)
        except BaseException as error:
            with suppress(KafkaException):
                # Best effort, for the sake of the workers that wait behind it: the next run ends
                # it for sure, and the brokers after its time.
                producer.abort_transaction(self._settings.worker.commit_timeout_s)
            if isinstance(error, KafkaException):
                raise _told(error) from None
            raise

    def _produce(self, ready: Ready, topic_id: str, now: datetime) -> None:
        letter, names = ready.letter, self._settings.topics
        # The time is now, as the events topic may keep nothing as old as the event's own.
        self._producer.produce(
            names.events,
            ready.value,
            letter.key,
            self.partition(letter),
            # The worker goes on counting from here.
            headers=[*letter.headers, (events.ERROR_ATTEMPT, str(letter.attempt).encode())],
        )
        mark = Redriven(
            topic_id=topic_id,
            partition=letter.partition,
            offset=letter.offset,
            attempt=letter.attempt,
            mended=ready.value != letter.value,
            redriven_at=now,
        )
        self._producer.produce(names.redriven, events.encode(mark), letter.id.encode())


def _told(error: KafkaException) -> SentimentError:
    cause = error.args[0]
    if cause.code() in FENCED_CODES:
        return FencedError(
            "Another redrive has begun and takes over from here, or this one was stopped for longer"
            " than a transaction may last.",
            "Nothing was sent twice. Begin this one again when the other has ended: it goes on with"
            " what is left.",
        )
    return TransactionError(
        f"A transaction failed: {cause.str()}.",
        "Look at the brokers, then begin again: it goes on with what is left, and sends nothing"
        " twice.",
    )
