"""The loop of a replay: one partition after the other, each batch in one transaction."""

import threading
import time
from collections import Counter
from collections.abc import Sequence

from confluent_kafka import KafkaException, Message

from sentiment import logs
from sentiment.classify.assemble import classify
from sentiment.cli import Progress
from sentiment.errors import TopicError, TransactionError, UnreachableError, WorkerError
from sentiment.kafka import topics
from sentiment.kafka.reader import TopicReader
from sentiment.kafka.retries import backoff_s
from sentiment.kafka.transactions import AbortedError, Transactions
from sentiment.registry.registry import LoadedModel
from sentiment.settings import Settings
from stream_worker.replay.begin import fencing_told
from stream_worker.replay.plan import Mark, Offsets, Order

log = logs.get(__name__)

# How long a wait for records lasts before Ctrl-C is seen.
POLL_S = 0.2
# Without a record for so long, the brokers are asked whether they are there.
STALLED_S = 10.0
# With a rate, so many batches a second: even enough, and far from a transaction per event.
BATCHES_PER_S = 5


class Replay:
    """A replay that has begun.

    Args:
        settings: The settings tree.
        order: What is asked for.
        offsets: The replay's group.
        model: Classifies all of it.
        transactions: Ours alone.
        marks: By input partition, as committed.

    Attributes:
        marks: How far each partition is; never ahead of what is committed.
        stop: Ends the loop after its present batch.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what `begin` has settled
        self,
        settings: Settings,
        order: Order,
        offsets: Offsets,
        model: LoadedModel,
        transactions: Transactions,
        marks: dict[int, Mark],
    ) -> None:
        self._settings = settings
        self._topics = settings.topics.replace(results=order.output)
        self._order = order
        self._offsets = offsets
        self._model = model
        self._transactions = transactions
        self._progress = Progress(
            sum(mark.end - mark.start for mark in marks.values()), _done(marks)
        )
        self._aborts = 0
        self.marks = marks
        self.stop = threading.Event()

    def run(self) -> None:
        """Go on until all is done or `stop` is set.

        Raises:
            SentimentError: Why it can't go on. What is committed stays; the same command resumes.
        """
        try:
            with fencing_told(self._order.output):
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
            except TopicError:
                # Brokers that have just started may not know yet what there is.
                topics.require(self._settings, self._settings.topics.events)
                raise
        except AbortedError as error:
            self._aborts += not error.passing
            trouble = str(error)
        except UnreachableError as error:
            trouble = error.message
        else:
            return
        # Behind the handlers: an error holds the producer that was replaced, and that one would go
        # on trying to end its transaction.
        self._rewind(trouble)

    def _rewind(self, trouble: str) -> None:
        """Wait until the brokers tell the committed offsets, which tell the truth, and go on there.

        Raises:
            TransactionError: Too many aborts in a row, although the brokers answered.
        """
        limit = self._settings.worker.max_consecutive_aborts
        if self._aborts >= limit:
            raise TransactionError(
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
                self._transactions.prepare()
                marks = self._offsets.load()
            except UnreachableError as error:
                trouble = error.message
            except KafkaException as error:
                trouble = f"The offsets can't be read: {error.args[0].str()}."
            else:
                break
        else:
            return
        if marks.keys() != self.marks.keys():
            raise WorkerError(
                f"Somebody deleted offsets of group {self._order.group_id!r}.",
                "Delete the output topic and begin again.",
            )
        self.marks = marks

    def _read(self, partition: int) -> None:
        """Replay one partition from its mark on.

        Raises:
            AbortedError: Rewind.
            UnreachableError: The same, once they answer.
            TopicError: Events of the range have been deleted meanwhile.
        """
        mark = self.marks[partition]
        most, rate = self._settings.worker.max_batch, self._order.rate
        if rate:
            most = min(most, max(1, int(rate / BATCHES_PER_S)))
        topic = self._topics.events
        with TopicReader(self._settings.kafka, topic, {partition: mark.next}) as reader:
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
        """Publish a batch's results, and commit them with the new mark.

        Raises:
            AbortedError: Rewind.
        """
        if self._transactions.prepare():
            # Another replay may have had our transactional id meanwhile.
            raise AbortedError("a new producer begins", passing=True)
        results, codes, tombstones = [], Counter[str](), 0
        if records:
            worker = self._settings.worker
            batch = classify(
                records, self._model, self._topics, worker.max_event_bytes, worker.explain
            )
            results = [out for out in batch.outputs if out.topic == self._topics.results]
            # The live dead letters have these events already: here they are only counted.
            codes = batch.errors
            tombstones = sum(tally.tombstones for tally in batch.tallies.values())
        mark = self.marks[partition].advanced(reached, len(results), tombstones, codes)
        marks = self.marks | {partition: mark}
        self._transactions.publish(results)
        # All of them: brokers forget what nobody commits for a week, and some replays are slow.
        self._transactions.commit(
            [each.committed(self._topics.events, number) for number, each in marks.items()],
            self._offsets.group(),
        )
        self._aborts = 0
        self.marks = marks
        return mark


def _done(marks: dict[int, Mark]) -> int:
    return sum(mark.next - mark.start for mark in marks.values())
