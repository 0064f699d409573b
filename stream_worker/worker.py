"""The loop: consume, decode, score, encode, publish, commit.

With a backlog, three batches are under way: while one is committed, which takes a few round trips
to the brokers, the next one is scored, in native code, and the one after it is read and decoded.
Without one, what arrives during a commit is read and scored piece by piece, and all of it is
published as soon as the brokers are free again: nothing waits for two commits.

Commits and scores have a thread each; everything else, the consumer above all, stays on the loop's.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Message, TopicPartition

from sentiment import logs, times, tracing
from sentiment.classify.assemble import Batch, Piece, ShareLimit, assemble, error_headers, shortened
from sentiment.classify.decode import Decoded, decode
from sentiment.classify.score import Answers, Models, answer, decide
from sentiment.errors import TransactionError, UnreachableError, WorkerError
from sentiment.interrupts import end_in_time
from sentiment.kafka import clients, topics
from sentiment.kafka.transactions import AbortedError, Output, Transactions, pause_s
from sentiment.kafka.unreadable import Unreadable
from sentiment.metrics import UNREADABLE_BATCHES
from sentiment.settings import Settings
from sentiment.wire import EventError
from stream_worker import metrics
from stream_worker.drift import Sampler, Watch
from stream_worker.intake import Expired, Intake
from stream_worker.monitor import Monitor
from stream_worker.served_models import Champion

if TYPE_CHECKING:
    from stream_worker.traces import Traces


log = logs.get(__name__)

# How long a poll sleeps when there is nothing: the delay of a SIGTERM that nobody notices.
POLL_S = 0.1
# The same while a commit is under way, which takes a few milliseconds and lets the next batch go.
COMMIT_POLL_S = 0.001
# How often what hardly changes is looked at; more often only costs time.
LOOK_S = 2.0
# How long the brokers may take, in one try, to let a new producer begin: enough for a coordinator
# that is being elected, and far below the time after which the group counts us as dead.
PREPARE_S = 10.0
# Longest time without a transaction: soon enough that a member that the group has lost is noticed
# within a minute, and rare enough to cost nothing.
CHECK_IN_S = 15.0
# By so much librdkafka's calls may outlast the time that they were given; one was seen never to
# come back after its only broker had been away.
LATE_S = 30.0
# The loop's consumer hears of no broker for so long, though others answer here: a client reconnects
# within seconds.
DEAF_S = 60.0


class Worker:
    """One member of the classifying group.

    Args:
        settings: The settings tree.
        champion: The model, followed.
        stopping: Ends the loop after its present turn.

    Raises:
        UnreachableError: Kafka doesn't answer now.
        BrokerError, FencedError, TopicError: Kafka isn't ready for us.
    """

    def __init__(self, settings: Settings, champion: Champion, stopping: threading.Event) -> None:
        self._settings = settings
        self._champion = champion
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
        self._transactions.prepare(PREPARE_S)
        self._intake = Intake(settings, before_revoke=self._settle)
        self._monitor = Monitor(settings, self._intake)
        self._share = ShareLimit(
            settings.worker.dead_letter_max_share, settings.worker.dead_letter_window
        )
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._scorer = ThreadPoolExecutor(1, thread_name_prefix="score")
        self._sampler, self._watch = Sampler(), Watch()
        self._models = champion.models
        self._scoring: Future[Piece] | None = None
        self._pieces: list[Piece] = []
        # What is being committed; without a batch: offsets alone.
        self._in_flight: tuple[Batch | None, list[Expired], Future[None]] | None = None
        self._must_rewind = False
        # In a row: of transactions, and of tries to go on after one.
        self._aborts = self._tries = 0
        self._trouble = ""
        self._deaf_since: float | None = None
        self._looked = 0.0
        self._last_progress = self._last_commit = time.monotonic()
        self._commit_began = 0.0
        self._longest_commit_s = settings.worker.commit_timeout_s + LATE_S
        self._traces = _traces(settings)

    def run(self) -> None:
        """Work until `stopping` is set or an error ends it.

        Raises:
            SentimentError: Why it can't go on. Nothing uncommitted is lost.
        """
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
        # The loop turns on while a commit is under way, and librdkafka's calls may outlast the time
        # that they were given.
        commit_s = self._commit_s()
        return f"a commit has not ended for {commit_s:.0f} s" if commit_s > limit_s else ""

    def not_ready(self) -> str:
        """Why this worker should get no work; empty when it should."""
        if self._stopping.is_set():
            return "stopping"
        unreadable = " ".join(map(str, self._monitor.unreadable.values()))
        return self.stuck() or self._monitor.trouble or unreadable or self._trouble

    def _turn(self) -> None:
        self._progress()
        if self._is_committed() or self._commit_s() > self._longest_commit_s:
            self._settle()
        if self._monitor.unread and self._is_committed():
            log.warning("nobody reads partitions: joining anew", partitions=self._monitor.unread)
            self._monitor.unread = []
            self._must_rewind = True
            self._intake.join_anew()
        if self._must_rewind and not self._go_back():
            self._listen()
            return
        if self._monitor.skips and self._in_flight is None:
            self._skip(self._monitor.skips.pop())
            return
        if time.monotonic() - self._last_commit > CHECK_IN_S and self._is_idle():
            self._check_in()
        most = self._settings.worker.max_batch
        if self._scoring is None:
            most -= sum(len(piece.decoded.messages) for piece in self._pieces)
        with phase("consume"):
            messages = self._intake.take(most, self._patience_s())
        if messages is None:
            self._must_rewind = True
            return
        if not messages and self._is_idle():
            # Nothing waits to be done again, here or with another worker.
            self._trouble = ""
        with phase("decode"):
            worker = self._settings.worker
            decoded = decode(messages, worker.max_event_bytes, worker.explain)
        # Headers and keys count too, of which the client takes any number.
        held = sum(piece.decoded.size for piece in self._pieces) + decoded.size
        full = len(messages) == most or held > worker.prefetch_kib * 1024
        self._advance(decoded, full=full and bool(messages))

    def _advance(self, decoded: Decoded, *, full: bool) -> None:
        """Move what is under way on by a step, and what was just read into it."""
        scoring, self._scoring = self._scoring, None
        if full:
            # A backlog: a transaction of its own, scored while the one before it is published.
            self._scoring = self._scorer.submit(self._score, decoded, self._champion.models)
        if scoring:
            with phase("wait_score"):
                self._pieces.append(scoring.result())
        if self._pieces and (scoring or full):
            self._publish()
        if decoded.messages and not full:
            if not self._pieces:
                # A transaction has the same models throughout.
                self._models = self._champion.models
            self._pieces.append(self._score(decoded, self._models))
        if self._pieces and self._is_committed():
            self._publish()

    def _score(self, decoded: Decoded, models: Models) -> Piece:
        with phase("score"):
            answers = answer(decoded, models)
            answers.samples = self._sampler.look(decoded.texts, answers)
            return Piece(decoded, answers)

    def _patience_s(self) -> float:
        """How long to wait for the next record."""
        if self._scoring or (self._pieces and self._is_committed()):
            return 0
        return COMMIT_POLL_S if self._in_flight else POLL_S

    def _is_committed(self) -> bool:
        """Whether the brokers are free for the next transaction."""
        return self._in_flight is None or self._in_flight[-1].done()

    def _commit_s(self) -> float:
        """For how long the present commit has been under way; 0 where none is."""
        return time.monotonic() - self._commit_began if self._in_flight else 0.0

    def _is_idle(self) -> bool:
        """Whether there is nothing under way and nothing in hand."""
        return not (self._in_flight or self._pieces or self._scoring or self._must_rewind)

    def _publish(self) -> None:
        """Publish what is gathered, as soon as the transaction before it is committed."""
        with phase("encode"):
            batch = assemble(self._pieces, self._settings.topics)
        self._settle()
        if self._must_rewind:
            # The batch before this one was aborted, so this one would leave a gap.
            return
        self._share.check(batch.events, batch.errors.total())
        with phase("produce"):
            try:
                expired = self._intake.read(batch.tallies.values())
                self._transactions.prepare(PREPARE_S)
                if self._traces:
                    self._traces.begin(batch, self._pieces)
                self._pieces = []
                self._transactions.publish(batch.outputs)
            except AbortedError as error:
                self._note_abort(error)
                return
            except (KafkaException, UnreachableError) as error:
                self._wait_for_brokers(error)
                return
        offsets = [
            TopicPartition(tally.topic, tally.partition, tally.next_offset)
            for tally in batch.tallies.values()
        ]
        self._begin_commit(batch, expired, offsets)

    def _begin_commit(
        self, batch: Batch | None, expired: list[Expired], offsets: list[TopicPartition]
    ) -> None:
        self._commit_began = time.monotonic()
        commit = self._committer.submit(self._commit, offsets, self._intake.group())
        self._in_flight = batch, expired, commit

    def _commit(self, offsets: list[TopicPartition], group: object) -> None:
        with phase("commit"):
            self._transactions.commit(offsets, group)

    def _settle(self) -> None:
        """Wait for the commit in flight, if any, for as long as it may take.

        Raises:
            WorkerError: It takes longer.
            TransactionError: As `_note_abort`.
        """
        if self._in_flight is None:
            return
        patience_s = max(self._longest_commit_s - self._commit_s(), 0.0)
        batch, expired, commit = self._in_flight
        self._in_flight = None
        with phase("wait_commit"):
            try:
                commit.result(patience_s)
            except AbortedError as error:
                self._note_abort(error)
                return
            except TimeoutError:
                raise WorkerError(
                    "A commit did not come back in time, and not when its time was long over.",
                    "Nothing uncommitted is lost: start the worker again.",
                ) from None
            finally:
                # Else its error and this frame hold one another, and with them the producer that
                # was replaced: it would go on trying to end its transaction.
                del commit
        self._last_commit = time.monotonic()
        if batch or not self._aborts:
            # Offsets alone say nothing of a batch that is refused again and again.
            self._aborts = self._tries = 0
            self._trouble = ""
        if batch is None:
            return
        self._intake.count_expired(expired)
        if self._traces:
            self._traces.end()
        self._share.keep()
        count(batch)
        for answers in batch.answers:
            self._watch.add(answers.samples)

    def _note_abort(self, error: AbortedError) -> None:
        """Go back before anything else is done.

        Raises:
            TransactionError: Too often in a row, and not since brokers are away.
        """
        self._must_rewind = True
        if not (error.too_large and error.passing):
            # Else smaller batches are tried at once.
            self._trouble = f"transactions fail: {error}"
        # Soon, where nothing else tells whether the brokers still know us.
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

    def _wait_for_brokers(self, error: KafkaException | UnreachableError) -> None:
        """They don't answer: try again, and say so, until they do."""
        self._must_rewind = True
        trouble = (
            error.message
            if isinstance(error, UnreachableError)
            else f"The brokers don't tell: {error.args[0].str()}."
        )
        if trouble != self._trouble:
            log.warning("waiting for Kafka", reason=trouble)
        self._trouble = trouble

    def _listen(self) -> None:
        """See whether any broker answers this consumer; behind handlers (see `transactions`)."""
        if self._stopping.is_set():
            return
        try:
            self._intake.ask()
        except KafkaException:
            self._deaf_since = self._deaf_since or time.monotonic()
        else:
            self._deaf_since = None

    def _go_back(self) -> bool:
        """Have a producer, and go back to the committed offsets; False: try again."""
        # It is read again.
        self._scoring = None
        self._pieces = []
        self._tries += 1
        try:
            # The group has to hear from us meanwhile. Nothing failed where partitions only moved.
            self._intake.idle(pause_s(self._tries) if self._trouble else 0)
            if self._stopping.is_set():
                return False
            self._transactions.prepare(PREPARE_S)
            self._intake.rewind()
        except (KafkaException, UnreachableError) as error:
            self._wait_for_brokers(error)
            return False
        self._must_rewind = False
        self._deaf_since = None
        return True

    def _check_in(self) -> None:
        """Commit the committed offsets again: the group's answer tells whether it still has us.

        A consumer whose client has lost the brokers can't tell. It also keeps the offsets and the
        transactional id of a worker without events from expiring.
        """
        self._last_commit = time.monotonic()
        try:
            offsets = self._intake.committed()
            if not offsets:
                # There is nothing to commit, as with more workers than partitions.
                self._intake.ask()
                return
            self._transactions.prepare(PREPARE_S)
            self._transactions.publish([])
        except AbortedError as error:
            self._note_abort(error)
        except (KafkaException, UnreachableError) as error:
            self._wait_for_brokers(error)
        else:
            self._begin_commit(None, [], offsets)

    def _skip(self, batch: Unreadable) -> None:
        """Commit the offset behind a batch that can't be read, with a dead letter that names it.

        It is for an operator to say so: `WORKER_SKIP_BATCHES`.
        """
        topic, partition, first, last, _ = batch
        # The setting names its end.
        assert last is not None  # noqa: S101
        error = EventError("unreadable_batch", str(batch))
        headers = error_headers(
            Message(topic=topic, partition=partition, offset=first),
            error,
            self._champion.models.champion.version,
        )
        letter = Output(self._settings.topics.dead_letters, partition, None, None, headers)
        try:
            ours = partition in self._intake.assigned()
            if not (ours and first <= self._intake.stands_at(partition) <= last):
                # What came before it is under way yet; the monitor's next look names it again.
                return
            self._transactions.prepare(PREPARE_S)
            self._transactions.publish([letter])
        except AbortedError as aborted:
            self._note_abort(aborted)
            return
        except (KafkaException, UnreachableError) as away:
            self._wait_for_brokers(away)
            return
        self._begin_commit(None, [], [TopicPartition(topic, partition, last + 1)])
        self._settle()
        if not self._must_rewind:
            log.warning("a batch was passed over", reason=str(batch))
            UNREADABLE_BATCHES.labels(topic, str(partition)).inc()
            metrics.DEAD_LETTERS.labels(error.code).inc()
        # The consumer asks for that batch yet.
        self._must_rewind = True

    def _progress(self) -> None:
        self._last_progress = time.monotonic()
        metrics.LAST_PROGRESS.set_to_current_time()
        if self._last_progress - self._looked > LOOK_S:
            self._looked = self._last_progress
            self._watch.tick(self._champion.models)
            self._end_if_lost()

    def _end_if_lost(self) -> None:
        """Raise where only a new start helps, by what the brokers say.

        Raises:
            TopicError, WorkerError: Why.
        """
        if self._monitor.ended:
            raise self._monitor.ended
        now, deaf_since, hears_since = time.monotonic(), self._deaf_since, self._monitor.hears_since
        if deaf_since is None or hears_since is None or now - self._monitor.heard_at > CHECK_IN_S:
            return
        # Brokers that come and go are heard by one and missed by the other.
        if now - max(deaf_since, hears_since) > DEAF_S:
            raise WorkerError(
                f"This worker's consumer has reached no broker for {DEAF_S:.0f} s, though another"
                " client does from here.",
                "Nothing uncommitted is lost: start the worker again.",
            )


def _traces(settings: Settings) -> "Traces | None":
    """What makes the spans, where traces are wanted."""
    spans = tracing.of("sentiment-worker")
    if spans is None:
        return None
    from stream_worker.traces import Traces

    return Traces(spans, settings)


# What a worker counts of its loop, and of a batch once it is committed.


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Count a block's time as one of the loop's phases."""
    began = time.perf_counter()
    try:
        yield
    finally:
        metrics.LOOP_SECONDS.labels(name).inc(time.perf_counter() - began)


def count(batch: Batch) -> None:
    """Count a batch once it is committed, and not before."""
    for tally in batch.tallies.values():
        metrics.EVENTS.labels(tally.topic, str(tally.partition)).inc(tally.events)
        metrics.TOMBSTONES.inc(tally.tombstones)
    for (sentiment, version), results in batch.results.items():
        metrics.RESULTS.labels(sentiment, version).inc(results)
    for answers in batch.answers:
        _count_scores(answers)
    for code, letters in batch.errors.items():
        metrics.DEAD_LETTERS.labels(code).inc(letters)
    metrics.BATCH_EVENTS.observe(batch.events)
    for kind, events in batch.skews.items():
        metrics.CLOCK_SKEW_EVENTS.labels(kind).inc(events)
    metrics.EVENT_LATENCY.observe(times.age_ms(batch.oldest_ms, time.time() * 1000) / 1000)


def _count_scores(answers: Answers) -> None:
    for version, seconds in answers.seconds.items():
        metrics.SCORING_SECONDS.labels(version).inc(seconds)
        metrics.SCORED_TEXTS.labels(version).inc(answers.texts[version])
    for ours, theirs in answers.shadows:
        agree = decide(ours)[0] == decide(theirs)[0]
        versions = [model.version for model in answers.models[:2] if model]
        metrics.SHADOW_TEXTS.labels(*versions, str(agree).lower()).inc()
        metrics.SHADOW_DIFFERENCE.labels(*versions).observe(abs(ours - theirs))
