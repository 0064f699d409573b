"""The loop: consume, decode, score, encode, publish, commit.

Three batches are under way at a time: while one is committed, which takes a few round trips to the
brokers, the next one is scored, in native code, and the one after it is read and decoded. Commits
and scores have a thread each; everything else, the consumer above all, stays on the loop's thread.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from confluent_kafka import KafkaException, Message, TopicPartition

from sentiment import kafka, logs, metrics, topics
from sentiment.errors import TransactionError
from sentiment.settings import Settings
from stream_worker.batch import Batch, assemble
from stream_worker.champion import Champion
from stream_worker.dead_letters import ShareLimit
from stream_worker.decoding import Decoded, decode
from stream_worker.intake import Intake
from stream_worker.scoring import Answers, Models, answer
from stream_worker.transaction import AbortedError, Transactions

log = logs.get(__name__)

# First and longest pause after an abort: brokers need a moment, and an operator sees it in time.
ABORT_PAUSE_S = 0.1
ABORT_PAUSE_MAX_S = 5.0
# Scrapes come every 15 s or so; looking at the lag more often only costs time.
LAG_INTERVAL_S = 2.0


class Worker:
    """One member of the classifying group.

    Args:
        settings: The settings tree.
        champion: The model, followed.

    Raises:
        BrokerError, FencedError, TopicError: Kafka isn't ready for us.
    """

    def __init__(self, settings: Settings, champion: Champion) -> None:
        self._settings = settings
        self._champion = champion
        names = settings.topics
        topics.require(settings, names.events, names.results, names.dead_letters, names.tallies)
        present = kafka.describe_cluster(settings.kafka).topics
        outputs = (names.results, names.dead_letters, names.tallies)
        self._transactions = Transactions(
            settings, {name: len(present[name].partitions) for name in outputs}
        )
        self._intake = Intake(settings, before_revoke=self._settle)
        self._share = ShareLimit(
            settings.worker.dead_letter_max_share, settings.worker.dead_letter_window
        )
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._scorer = ThreadPoolExecutor(1, thread_name_prefix="score")
        self._scoring: tuple[Decoded, Future[Answers]] | None = None
        self._in_flight: tuple[Batch, Future[None]] | None = None
        self._must_rewind = False
        self._aborts = 0
        self._lag_seen = 0.0
        self._last_progress = time.monotonic()
        self._commit_began = 0.0
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop` is called or an error ends it.

        Raises:
            SentimentError: Why it can't go on. Nothing uncommitted is lost.
        """
        log.info("worker starts", group=self._settings.worker.group_id)
        try:
            while not self._stopping.is_set():
                self._turn()
            self._settle()
        finally:
            self._intake.close()
            self._committer.shutdown()
            self._scorer.shutdown()
        log.info("worker has left the group")

    def stop(self) -> None:
        """End the loop after its present turn. Callable from a signal handler."""
        self._stopping.set()

    def stuck(self) -> str:
        """Why the loop counts as stuck; empty when it doesn't."""
        limit_s = self._settings.worker.stuck_timeout_s
        idle_s = time.monotonic() - self._last_progress
        if idle_s > limit_s:
            return f"no progress for {idle_s:.0f} s"
        # The loop turns on while a commit is under way, and librdkafka's calls may outlast the time
        # that they were given.
        commit_s = time.monotonic() - self._commit_began if self._in_flight else 0.0
        return f"a commit has not ended for {commit_s:.0f} s" if commit_s > limit_s else ""

    def not_ready(self) -> str:
        """Why this worker should get no work; empty when it should."""
        if self._stopping.is_set():
            return "stopping"
        return self.stuck() or ("" if self._aborts == 0 else "transactions fail")

    def _turn(self) -> None:
        self._progress()
        if self._must_rewind and not self._rewind():
            return
        with _phase("consume"):
            messages = self._intake.take(wait=self._scoring is None)
        if messages is None:
            self._must_rewind = True
            return
        begun = self._begin(messages) if messages else None
        if self._scoring:
            self._finish(*self._scoring)
        elif self._in_flight and self._in_flight[1].done():
            self._settle()
        self._scoring = begun

    def _begin(self, messages: list[Message]) -> tuple[Decoded, Future[Answers]]:
        """Decode a batch, and have it scored."""
        with _phase("decode"):
            decoded = decode(messages, self._settings.worker.max_event_bytes)
        return decoded, self._scorer.submit(_answer, decoded, self._champion.models)

    def _finish(self, decoded: Decoded, answers: Future[Answers]) -> None:
        """Publish a batch as soon as it is scored and the one before it is committed."""
        with _phase("wait_score"):
            answered = answers.result()
        with _phase("encode"):
            batch = assemble(decoded, answered, self._settings.topics)
        self._settle()
        if self._must_rewind:
            # The batch before this one was aborted, so this one would leave a gap.
            return
        self._share.check(batch.events, batch.errors.total())
        self._publish(batch)

    def _publish(self, batch: Batch) -> None:
        with _phase("produce"):
            try:
                self._transactions.publish(batch.outputs)
            except AbortedError:
                self._count_abort()
                return
        offsets = [
            TopicPartition(tally.topic, tally.partition, tally.next_offset)
            for tally in batch.tallies.values()
        ]
        self._commit_began = time.monotonic()
        commit = self._committer.submit(self._commit, offsets, self._intake.group())
        self._in_flight = batch, commit

    def _commit(self, offsets: list[TopicPartition], group: object) -> None:
        with _phase("commit"):
            self._transactions.commit(offsets, group)

    def _settle(self) -> None:
        """Wait for the batch in flight, if any; its own deadlines bound the wait."""
        if self._in_flight is None:
            return
        batch, commit = self._in_flight
        self._in_flight = None
        with _phase("wait_commit"):
            try:
                commit.result()
            except AbortedError:
                self._count_abort()
                return
        self._aborts = 0
        _count(batch)

    def _count_abort(self) -> None:
        self._must_rewind = True
        self._aborts += 1
        limit = self._settings.worker.max_consecutive_aborts
        if self._aborts >= limit:
            raise TransactionError(
                f"{limit} transactions in a row were aborted; the log has each reason.",
                "Nothing of the last batch was committed. Look at the brokers, then start again.",
            )

    def _rewind(self) -> bool:
        """Go back to the committed offsets; False when that has to be tried again."""
        # It is read again.
        self._scoring = None
        pause_s = min(ABORT_PAUSE_S * 2**self._aborts, ABORT_PAUSE_MAX_S)
        if self._aborts and self._stopping.wait(pause_s):
            return False
        try:
            self._intake.rewind()
        except KafkaException as error:
            log.warning("rewind failed", reason=error.args[0].str())
            self._count_abort()
            return False
        self._must_rewind = False
        return True

    def _progress(self) -> None:
        self._last_progress = time.monotonic()
        metrics.LAST_PROGRESS.set_to_current_time()
        if self._last_progress - self._lag_seen > LAG_INTERVAL_S:
            self._lag_seen = self._last_progress
            self._intake.observe_lag()


@contextmanager
def _phase(name: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        metrics.LOOP_SECONDS.labels(name).inc(time.perf_counter() - began)


def _answer(decoded: Decoded, models: Models) -> Answers:
    with _phase("score"):
        return answer(decoded, models)


def _count(batch: Batch) -> None:
    """Count a batch once it is committed, and not before."""
    for tally in batch.tallies.values():
        metrics.EVENTS.labels(tally.topic, str(tally.partition)).inc(tally.events)
        metrics.TOMBSTONES.inc(tally.tombstones)
    for (sentiment, version), count in batch.results.items():
        metrics.RESULTS.labels(sentiment, version).inc(count)
    _count_scores(batch.answers)
    for code, count in batch.errors.items():
        metrics.DEAD_LETTERS.labels(code).inc(count)
    metrics.BATCH_EVENTS.observe(batch.events)
    metrics.EVENT_LATENCY.observe(max(time.time() - batch.oldest_ms / 1000, 0))


def _count_scores(answers: Answers) -> None:
    for version, seconds in answers.seconds.items():
        metrics.SCORING_SECONDS.labels(version).inc(seconds)
        metrics.SCORED_TEXTS.labels(version).inc(answers.texts[version])
    for ours, theirs in answers.shadows:
        agree = (ours >= 0.5) == (theirs >= 0.5)  # noqa: PLR2004 - a probability's decision rule
        versions = [model.version for model in answers.models[:2] if model]
        metrics.SHADOW_TEXTS.labels(*versions, str(agree).lower()).inc()
        metrics.SHADOW_DIFFERENCE.labels(*versions).observe(abs(ours - theirs))
