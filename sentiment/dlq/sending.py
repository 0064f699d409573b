"""Dead letters back onto the events topic, each batch in one transaction with its marks.

All runs for one dead-letter topic, of the command and of the page, share one transactional id. A
run that begins makes the brokers finish or abort what the one before has left, and fences that one
off, before it reads the marks: so the marks that it reads are all there are, and nobody else adds
any while it goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sentiment import events, kafka
from sentiment.dlq.letters import DeadLetter
from sentiment.errors import FencedError, TransactionError
from sentiment.events import NO_HEADERS, Redriven
from sentiment.settings import Settings
from sentiment.transactions import BY_KEY, AbortedError, Output, Transactions


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
        self._topics = settings.topics
        present = kafka.describe_cluster(settings.kafka).topics
        self._partitions = len(present[settings.topics.events].partitions)
        self._transactions = Transactions(
            settings,
            {settings.topics.events: self._partitions},
            transactional_id=settings.topics.redriven,
        )
        self._transactions.prepare()

    def prepare(self) -> bool:
        """Be ready for a batch; True where another run may have added marks since the last one.

        None can add any from now on.

        Raises:
            BrokerError: Kafka doesn't let us go on.
            FencedError: See `send`.
        """
        return self._transactions.prepare()

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
        now = datetime.now(UTC)
        try:
            self._transactions.publish(
                output for ready in batch for output in self._outputs(ready, topic_id, now)
            )
            self._transactions.commit()
        except AbortedError as error:
            raise TransactionError(
                f"A transaction failed: {error}.",
                "Look at the brokers, then begin again: it goes on with what is left, and sends"
                " nothing twice.",
            ) from None
        except FencedError:
            raise FencedError(
                "Another redrive has begun and takes over from here, or this one was stopped for"
                " longer than a transaction may last.",
                "Nothing was sent twice. Begin this one again when the other has ended: it goes on"
                " with what is left.",
            ) from None
        except BaseException:
            # For the sake of the workers that wait behind it: the brokers would end it later.
            self._transactions.abort()
            raise

    def _outputs(self, ready: Ready, topic_id: str, now: datetime) -> Iterator[Output]:
        letter = ready.letter
        # The worker goes on counting from here.
        attempt = events.ERROR_ATTEMPT, str(letter.attempt).encode()
        yield Output(
            self._topics.events,
            self.partition(letter),
            letter.key,
            ready.value,
            [*letter.headers, attempt],
        )
        mark = Redriven(
            topic_id=topic_id,
            partition=letter.partition,
            offset=letter.offset,
            attempt=letter.attempt,
            mended=ready.value != letter.value,
            redriven_at=now,
        )
        yield Output(
            self._topics.redriven, BY_KEY, letter.id.encode(), events.encode(mark), NO_HEADERS
        )
