"""The loop: from a poll to a commit, one transaction for each batch.

A turn of the loop, and where each of its steps is:

1. Settle (`_settle`): take the outcome of the commit that is under way, if it has come back.
2. Go back (`_go_back`): after an abort, or when partitions moved, drop what is in hand and go on
   from the committed offsets.
3. Poll (`_poll`): take what has arrived.
4. Decode (`_poll`): JSON becomes events and their texts.
5. Score (`_score`): at once; with a backlog on a thread of its own, during the next steps.
6. Assemble (`_publish`): results, dead letters and tallies.
7. Settle once more, and wait: a batch is published after the one before it, or not at all.
8. Produce (`_publish`): begin a transaction and hand the outputs over.
9. Commit (`_commit`), on a thread of its own: the input offsets and the end of the transaction; its
   steps are numbered in `sentiment.kafka.transactions`.

A batch is counted when it is settled, and not before. Steps 4 to 6 are pure: `sentiment.classify`.

With a backlog, three batches are under way: while one is committed, which takes a few round trips
to the brokers, the next one is scored, in native code, and the one after it is read and decoded.
Without one, what arrives during a commit is read and scored piece by piece, and all of it is
published as soon as the brokers are free again: nothing waits for two commits.

Commits and scores have a thread each; everything else, the consumer above all, stays on the loop's.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicPartition

from sentiment import logs, tracing
from sentiment.classify.assemble import (
    Batch,
    Piece,
    ShareLimit,
    assemble,
    shortened,
    skipped,
)
from sentiment.classify.decode import Decoded, decode
from sentiment.classify.score import Models, answer
from sentiment.errors import TransactionError, UnreachableError, WorkerError
from sentiment.interrupts import end_in_time
from sentiment.kafka import clients, topics
from sentiment.kafka.monitor import Monitor
from sentiment.kafka.retries import Deadline, backoff_s
from sentiment.kafka.transactions import AbortedError, Transactions
from sentiment.kafka.unreadable import Unreadable
from sentiment.metrics import UNREADABLE_BATCHES
from sentiment.settings import Settings
from stream_worker import metrics
from stream_worker.drift import Sampler, Watch
from stream_worker.intake import Expired, Intake
from stream_worker.served_models import ServedModels

log = logs.get(__name__)

# How long a poll sleeps when there is nothing: the delay of a SIGTERM that nobody notices.
POLL_S = 0.1
# The same while a commit is under way, which takes a few milliseconds and lets the next batch go.
COMMIT_POLL_S = 0.001
# How often what hardly changes is checked; more often only costs time.
CHECK_S = 2.0
# For one try to let a new producer begin: a coordinator is elected, and we don't yet count as dead.
PREPARE_S = 10.0
# When partitions are given away: a commit or abort of 8 s by default, or PREPARE_S for a new
# producer. With the 38 s that a turn before may have waited, that is half of the group's 120 s for
# a rebalance (`max.poll.interval.ms`). A shutdown has 20 s. Heartbeats go on meanwhile.
REVOKE_S = 18.0
# Longest time without a transaction: a member that was lost is noticed within a minute, at no cost.
CHECK_IN_S = 15.0
# librdkafka's calls may outlast their time by so much; one never came back from its lost broker.
LATE_S = 30.0


class _Commit(NamedTuple):
    """A commit that is under way: of a batch, and of what expired before it; or of offsets alone.

    It began at a time of the monotonic clock, and past its deadline it never comes back.
    """

    batch: Batch | None
    expired: list[Expired]
    outcome: Future[None]
    began: float
    deadline: Deadline


class Worker:
    """One member of the classifying group; `stopping` ends the loop after its present turn."""

    def __init__(self, settings: Settings, served: ServedModels, stopping: threading.Event) -> None:
        self._settings = settings
        self._served = served
        self._stopping = stopping
        names = settings.topics
        topics.require(settings, names.events, names.results, names.dead_letters, names.tallies)
        present = clients.describe_cluster(settings.kafka).topics
        outputs = (names.results, names.dead_letters, names.tallies)
        self._transactions = Transactions(
            settings,
            {name: len(present[name].partitions) for name in outputs},
            settings.worker.transactional_id,
            partial(shortened, topics=names),
        )
        self._transactions.prepare(Deadline(PREPARE_S))
        self._intake = Intake(settings, before_revoke=self._before_revoke)
        self._monitor = Monitor(settings, self._intake)
        self._share = ShareLimit(
            settings.worker.dead_letter_max_share, settings.worker.dead_letter_window
        )
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._scorer = ThreadPoolExecutor(1, thread_name_prefix="score")
        self._sampler, self._watch = Sampler(), Watch()
        self._models = served.models
        # What is under way, from the last step to the first.
        self._in_flight: _Commit | None = None
        self._pieces: list[Piece] = []
        self._scoring: Future[Piece] | None = None
        self._must_rewind = False
        # In a row: of transactions, and of tries to go on after one.
        self._aborts = self._tries = 0
        self._trouble = ""
        self._checked = 0.0
        self._last_progress = self._last_commit = time.monotonic()
        self._traces = None
        if spans := tracing.of("sentiment-worker"):
            from stream_worker.traces import Traces

            self._traces = Traces(spans, settings)

    def run(self) -> None:
        """Work until `stopping` is set or an error ends it; nothing uncommitted is lost."""
        log.info("worker starts", group=self._settings.worker.group_id)
        self._monitor.start()
        try:
            while not self._stopping.is_set():
                self._turn()
            self._settle()
        except Exception as error:
            # Leaving the group may take longer than anybody waits, as may a call that hangs.
            log.error("worker ends", reason=str(error))  # noqa: TRY400 - it is raised
            end_in_time(self._settings.worker.shutdown_timeout_s)
            raise
        finally:
            # From here on, no producer is made: it could fence one that has taken our place.
            self._stopping.set()
            self._monitor.stop()
            self._intake.close()
            self._committer.shutdown()
            self._scorer.shutdown()
        log.info("worker has left the group")

    def stuck(self) -> str:
        """Why only a new start helps; empty where none is needed."""
        if self._monitor.ended:
            return self._monitor.ended.message
        limit_s = self._settings.worker.stuck_timeout_s
        idle_s = time.monotonic() - self._last_progress
        if idle_s > limit_s:
            return f"no progress for {idle_s:.0f} s"
        # The loop turns on while a commit is under way, whose calls may outlast their time.
        commit = self._in_flight
        commit_s = time.monotonic() - commit.began if commit else 0.0
        return f"a commit has not ended for {commit_s:.0f} s" if commit_s > limit_s else ""

    def not_ready(self) -> str:
        """Why this worker should get no work; empty when it should."""
        if self._stopping.is_set():
            return "stopping"
        unreadable = " ".join(map(str, self._monitor.unreadable.values()))
        return self.stuck() or self._monitor.trouble or unreadable or self._trouble

    def _turn(self) -> None:
        self._last_progress = time.monotonic()
        metrics.LAST_PROGRESS.set_to_current_time()
        if self._last_progress - self._checked > CHECK_S:
            self._checked = self._last_progress
            self._watch.tick(self._served.models)
            if self._monitor.ended:
                raise self._monitor.ended
        # 1. Settle.
        if self._is_committed() or (self._in_flight and not self._in_flight.deadline.left()):
            self._settle()
        if self._monitor.unread and self._is_committed():
            log.warning("nobody reads partitions: joining anew", partitions=self._monitor.unread)
            self._monitor.unread = []
            self._must_rewind = True
            self._intake.join_anew()
        # 2. Go back.
        if self._must_rewind and not self._go_back():
            if not self._stopping.is_set():
                # The monitor hears of it where none answers; behind handlers (see `transactions`).
                with suppress(KafkaException):
                    self._intake.ask()
            return
        if self._monitor.skips and self._in_flight is None:
            self._skip(self._monitor.skips.pop())
            return
        if time.monotonic() - self._last_commit > CHECK_IN_S and self._is_idle():
            self._check_in()
        self._poll()

    def _poll(self) -> None:
        """Take what has arrived a step further, and with it what is under way."""
        worker = self._settings.worker
        most = worker.max_batch
        if self._scoring is None:
            most -= sum(len(piece.decoded.messages) for piece in self._pieces)
        # 3. Poll.
        with phase("consume"):
            messages = self._intake.take(most, self._patience_s())
        if messages is None:
            self._must_rewind = True
            return
        if not messages and self._is_idle():
            # Nothing waits to be done again, here or with another worker.
            self._trouble = ""
        # 4. Decode.
        with phase("decode"):
            decoded = decode(messages, worker.max_event_bytes, worker.explain)
        # Headers and keys count too, of which the client takes any number.
        held = sum(piece.decoded.size for piece in self._pieces) + decoded.size
        full = len(messages) == most or held > worker.prefetch_kib * 1024
        self._advance(decoded, full=full and bool(messages))

    def _advance(self, decoded: Decoded, *, full: bool) -> None:
        """Move what is under way on by a step, and what was just read into it."""
        scoring, self._scoring = self._scoring, None
        # 5. Score.
        if full:
            # A backlog: a transaction of its own, scored while the one before it is published.
            self._scoring = self._scorer.submit(self._score, decoded, self._served.models)
        if scoring:
            with phase("wait_score"):
                self._pieces.append(scoring.result())
        if self._pieces and (scoring or full):
            self._publish()
        if decoded.messages and not full:
            if not self._pieces:
                # A transaction has the same models throughout.
                self._models = self._served.models
            self._pieces.append(self._score(decoded, self._models))
        if self._pieces and self._is_committed():
            self._publish()

    def _score(self, decoded: Decoded, models: Models) -> Piece:
        with phase("score"):
            answers = answer(decoded, models)
            answers.samples = self._sampler.sample(decoded.texts, answers)
            return Piece(decoded, answers)

    def _patience_s(self) -> float:
        if self._scoring or (self._pieces and self._is_committed()):
            return 0
        return COMMIT_POLL_S if self._in_flight else POLL_S

    def _is_committed(self) -> bool:
        """Whether the brokers are free for the next transaction."""
        return self._in_flight is None or self._in_flight.outcome.done()

    def _is_idle(self) -> bool:
        return not (self._in_flight or self._pieces or self._scoring or self._must_rewind)

    def _publish(self) -> None:
        """Publish what is gathered, as soon as the transaction before it is committed."""
        # 6. Assemble.
        with phase("encode"):
            batch = assemble(self._pieces, self._settings.topics)
        # 7. Settle.
        self._settle()
        if self._must_rewind:
            # The batch before this one was aborted, so this one would leave a gap.
            return
        self._share.check(batch.events, batch.errors.total())
        # 8. Produce.
        with phase("produce"), self._failures_noted():
            expired = self._intake.read(batch.tallies.values())
            self._transactions.prepare(Deadline(PREPARE_S))
            if self._traces:
                self._traces.begin(batch, self._pieces)
            self._pieces = []
            self._transactions.publish(batch.outputs)
            offsets = [
                TopicPartition(tally.topic, tally.partition, tally.next_offset)
                for tally in batch.tallies.values()
            ]
            self._begin_commit(batch, expired, offsets)

    def _begin_commit(
        self, batch: Batch | None, expired: list[Expired], offsets: list[TopicPartition]
    ) -> None:
        # 9. Commit.
        outcome = self._committer.submit(self._commit, offsets, self._intake.group())
        deadline = Deadline(self._settings.worker.commit_timeout_s + LATE_S)
        self._in_flight = _Commit(batch, expired, outcome, time.monotonic(), deadline)

    def _commit(self, offsets: list[TopicPartition], group: object) -> None:
        with phase("commit"):
            self._transactions.commit(offsets, group)

    def _settle(self) -> None:
        """Wait for the commit in flight, if any, and count its batch; a `WorkerError` if lost."""
        commit = self._in_flight
        if commit is None:
            return
        with phase("wait_commit"):
            wait([commit.outcome], commit.deadline.left())
        self._in_flight = None
        if not commit.outcome.done():
            raise WorkerError(
                "A commit did not come back in time, and not when its time was long over.",
                "Nothing uncommitted is lost: start the worker again.",
            )
        with self._failures_noted():
            commit.outcome.result()
            self._count(commit)
        # Else an error and this frame would hold one another.
        del commit

    def _count(self, commit: _Commit) -> None:
        self._last_commit = time.monotonic()
        if commit.batch or not self._aborts:
            # Offsets alone say nothing of a batch that is refused again and again.
            self._aborts = self._tries = 0
            self._trouble = ""
        if commit.batch is None:
            return
        self._intake.count_expired(commit.expired)
        if self._traces:
            self._traces.end()
        self._share.keep()
        metrics.count(commit.batch)
        for answers in commit.batch.answers:
            self._watch.add(answers.samples)

    def _before_revoke(self) -> None:
        """Commit or abort the open transaction before partitions are revoked, within `REVOKE_S`.

        Where that is not enough they go all the same: whoever gets them waits until the brokers
        know the outcome, and a commit that comes later still is refused by the group.
        """
        deadline = Deadline(REVOKE_S)
        if self._in_flight:
            with phase("wait_commit"):
                wait([self._in_flight.outcome], deadline.left())
        if not self._is_committed():
            self._must_rewind = True
            self._trouble = "A commit has not come back, and partitions were given away meanwhile."
            log.warning("partitions are given away", reason=self._trouble)
            return
        self._settle()
        if self._must_rewind and deadline.left() and not self._stopping.is_set():
            # Before a new producer begins, the brokers end what the old one has left open.
            with self._failures_noted():
                self._transactions.prepare(deadline)

    @contextmanager
    def _failures_noted(self) -> Iterator[None]:
        """Have the next turn go back where a transaction fails, or can't begin."""
        try:
            yield
        except AbortedError as error:
            self._note_abort(error)
        except UnreachableError as error:
            self._wait_for_brokers(error.message)
        except KafkaException as error:
            self._wait_for_brokers(f"The brokers don't tell: {error.args[0].str()}.")

    def _note_abort(self, error: AbortedError) -> None:
        """Go back before all else; a `TransactionError`: too often in a row, with brokers there."""
        self._must_rewind = True
        if not (error.too_large and error.passing):
            # Else smaller batches are tried at once.
            self._trouble = f"transactions fail: {error}"
        # Soon, where nothing else shows whether the brokers still know us.
        self._last_commit = 0.0
        if self._traces:
            self._traces.end("the transaction was aborted")
        self._aborts += not error.passing
        limit = self._settings.worker.max_consecutive_aborts
        if self._aborts >= limit:
            raise TransactionError(
                f"{limit} transactions in a row were aborted; the log has each reason.",
                "Nothing of the last batch was committed. Look at the brokers, then start again.",
            )

    def _wait_for_brokers(self, trouble: str) -> None:
        """They don't answer: try again, and say so, until they do."""
        self._must_rewind = True
        if trouble != self._trouble:
            log.warning("waiting for Kafka", reason=trouble)
        self._trouble = trouble

    def _go_back(self) -> bool:
        """Have a producer, and go back to the committed offsets; False: try again."""
        # It is read again.
        self._scoring = None
        self._pieces = []
        self._tries += 1
        with self._failures_noted():
            # The group has to hear from us meanwhile. Nothing failed where partitions only moved.
            self._intake.idle(backoff_s(self._tries) if self._trouble else 0)
            if self._stopping.is_set() or self._in_flight:
                return False
            self._transactions.prepare(Deadline(PREPARE_S))
            self._intake.rewind()
            self._must_rewind = False
        return not self._must_rewind

    def _check_in(self) -> None:
        """Commit the committed offsets again: the answer shows whether we are still a member.

        A consumer whose client has lost the brokers can't tell. It also keeps the offsets and the
        transactional id of a worker without events from expiring.
        """
        self._last_commit = time.monotonic()
        with self._failures_noted():
            offsets = self._intake.committed()
            if not offsets:
                # There is nothing to commit, as with more workers than partitions.
                self._intake.ask()
                return
            self._transactions.prepare(Deadline(PREPARE_S))
            self._transactions.publish([])
            self._begin_commit(None, [], offsets)

    def _skip(self, batch: Unreadable) -> None:
        """Commit past an unreadable batch, with a dead letter: `WORKER_SKIP_BATCHES` names it."""
        topic, partition, first, last, _ = batch
        # The setting names its end.
        assert last is not None  # noqa: S101
        version = self._served.models.champion.version
        with self._failures_noted():
            ours = partition in self._intake.assigned()
            if not (ours and first <= self._intake.stands_at(partition) <= last):
                # What came before it is under way yet; the monitor's next check names it again.
                return
            self._transactions.prepare(Deadline(PREPARE_S))
            self._transactions.publish([skipped(batch, self._settings.topics, version)])
            self._begin_commit(None, [], [TopicPartition(topic, partition, last + 1)])
        self._settle()
        if not self._must_rewind:
            log.warning("a batch was passed over", reason=str(batch))
            UNREADABLE_BATCHES.labels(topic, str(partition)).inc()
            metrics.DEAD_LETTERS.labels("unreadable_batch").inc()
        # The consumer asks for that batch yet.
        self._must_rewind = True


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Count a block's time as one of the loop's phases."""
    began = time.perf_counter()
    try:
        yield
    finally:
        metrics.LOOP_SECONDS.labels(name).inc(time.perf_counter() - began)
