"""What the brokers say of the worker's topics and offsets, asked beside the loop.

The loop knows only what its consumer tells it, and a consumer that gets nothing can't tell an idle
topic from a broken one. So this asks with clients of its own: how far the partitions really go, how
far the group has committed, whether a transaction holds readers back for longer than it may last,
and whether the topics are still those of the start.

It is consumers that ask for offsets: librdkafka 2.16 aborts the process when a broker goes while an
admin client asks a group's coordinator, or asks for offsets.
"""

import threading
import time
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection

from sentiment import kafka, logs, metrics
from sentiment.errors import TopicError, WorkerError
from sentiment.lag import EARLIEST, LATEST, committed_offsets, offsets_at
from sentiment.settings import Settings
from stream_worker.intake import Intake

log = logs.get(__name__)

# Scrapes come every 15 s or so; asking more often only costs requests.
LOOK_S = 5.0
# How long the brokers have for each answer.
ANSWER_S = 3.0
# The topics' ids and the loop's own client are looked at once in so many looks.
RARELY = 3
# For so long, and at least three looks: a client that reconnects needs seconds, and a broker that
# has just started learns of its topics meanwhile.
LOST_S = 60.0
# Brokers look for transactions that have outlived their time every ten seconds, and write their
# marks within milliseconds.
OVERDUE_S = 30.0


class Monitor(threading.Thread):
    """Asks again and again until `stop`.

    Args:
        settings: Where Kafka is, the group, and how long transactions may last.
        intake: The loop's consumer.

    Attributes:
        trouble: Why this worker can't do its work, by what the brokers say; empty where it can.
        ended: Why only a new start helps; None while the worker may go on.
    """

    def __init__(self, settings: Settings, intake: Intake) -> None:
        super().__init__(name="monitor", daemon=True)
        self._settings = settings
        self._intake = intake
        self._stopping = threading.Event()
        group = settings.worker.group_id
        client = partial(kafka.new_consumer, settings.kafka, group_id=group)
        # One sees what readers of committed records see, the other one everything.
        self._stable: Consumer = client()
        self._all: Consumer = client(isolation_level="read_uncommitted")
        self._admin = kafka.new_admin(settings.kafka)
        self._ids: dict[str, str] = {}
        self._looks = 0
        # When something was first seen as it still is; by what it is about.
        self._since: dict[tuple[str, int], tuple[int, float]] = {}
        self._told: set[tuple[str, int]] = set()
        self._deaf_since: float | None = None
        self._gone_since: float | None = None
        self._shown: set[int] = set()
        self.trouble = ""
        self.ended: WorkerError | TopicError | None = None

    def run(self) -> None:
        """Look until `stop`."""
        while not self._stopping.wait(LOOK_S):
            try:
                self.look()
            except KafkaException as error:
                # The loop says so itself, if it lasts.
                log.debug("the brokers don't tell", reason=error.args[0].str())
            except Exception:
                # The loop's consumer may be closed by now.
                if not self._stopping.is_set():
                    log.exception("looking at the brokers failed")
        self._stable.close()
        self._all.close()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()

    def look(self) -> None:
        """Ask once.

        Raises:
            KafkaException: The brokers don't tell now.
        """
        partitions = self._intake.assigned()
        self._look_at_lag(partitions)
        self._look_for_hanging(partitions)
        if self._looks % RARELY == 0:
            self._look_at_topics()
            self._look_at_client()
        self._looks += 1

    def _look_at_lag(self, partitions: list[int]) -> None:
        topic = self._settings.topics.events
        done = committed_offsets(self._all, topic, partitions, ANSWER_S)
        begins = offsets_at(self._all, topic, partitions, EARLIEST, ANSWER_S)
        ends = offsets_at(self._all, topic, partitions, LATEST, ANSWER_S)
        for number in self._shown - set(partitions):
            metrics.LAG.remove(topic, str(number))
        self._shown = set(partitions)
        for number, end in ends.items():
            reached = max(done[number], begins[number])
            # What is read and committed may be followed by marks of transactions, which are no lag.
            up_to, following = self._intake.reached(number)
            if following <= reached:
                reached = max(reached, up_to)
            metrics.LAG.labels(topic, str(number)).set(max(end - reached, 0))

    def _look_for_hanging(self, partitions: list[int]) -> None:
        """Name transactions that hold readers back for longer than a transaction may last."""
        names = self._settings.topics
        found = self._unstable(partitions)
        for topic in (names.results, names.dead_letters, names.tallies):
            known = self._stable.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
            numbers = sorted({number % len(known) for number in partitions}) if known else []
            stable = offsets_at(self._stable, topic, numbers, LATEST, ANSWER_S)
            ends = offsets_at(self._all, topic, numbers, LATEST, ANSWER_S)
            found |= {(topic, n): stable[n] for n in numbers if stable[n] < ends[n]}
        now = time.monotonic()
        self._since = {
            place: self._since[place]
            if place in self._since and self._since[place][0] == offset
            else (offset, now)
            for place, offset in found.items()
        }
        limit_s = self._settings.worker.transaction_timeout_s + OVERDUE_S
        hanging = {place for place, (_, since) in self._since.items() if now - since > limit_s}
        metrics.HANGING_TRANSACTIONS.set(len(hanging))
        for topic, number in sorted(hanging - self._told):
            log.error(
                "a transaction hangs", topic=topic, partition=number,
                hint="docs/operations.md says how to end it",
            )  # fmt: skip
        self._told = hanging
        offsets = [number for topic, number in hanging if topic == names.events]
        self.trouble = (
            f"the committed offsets of partitions {sorted(offsets)} are held back by a transaction"
            " that hangs"
            if offsets
            else ""
        )

    def _unstable(self, partitions: list[int]) -> dict[tuple[str, int], int]:
        """Partitions whose committed offsets a transaction holds back, with the one before it."""
        topic = self._settings.topics.events
        try:
            committed_offsets(self._stable, topic, partitions, ANSWER_S)
        except KafkaException:
            # The same question without a care for open transactions: if that fails too, the brokers
            # are away, and say nothing of transactions.
            known = committed_offsets(self._all, topic, partitions, ANSWER_S)
            return {(topic, number): offset for number, offset in known.items()}
        return {}

    def _look_at_topics(self) -> None:
        """See whether the topics are those of the start: others have other offsets."""
        names = self._settings.topics
        wanted = [names.events, names.results, names.dead_letters, names.tallies]
        asked = self._admin.describe_topics(TopicCollection(wanted), request_timeout=ANSWER_S)
        gone = []
        for name, answer in asked.items():
            try:
                found = str(answer.result(timeout=2 * ANSWER_S).topic_id)
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
        self._gone_since = _since(self._gone_since, bool(gone))
        if self._gone_since and time.monotonic() - self._gone_since > LOST_S:
            self.ended = TopicError(
                f"Topic {', '.join(map(repr, gone))} is gone"
                f" from {self._settings.kafka.bootstrap_servers}.",
                "Create all topics with `sentiment topics`.",
            )

    def _look_at_client(self) -> None:
        """See whether the loop's client reaches the brokers, who have just answered ours."""
        self._deaf_since = _since(self._deaf_since, not self._intake.hears(ANSWER_S))
        if self._deaf_since and time.monotonic() - self._deaf_since > LOST_S:
            self.ended = WorkerError(
                "The worker's own consumer reaches no broker, though others do from here, for"
                f" {LOST_S:.0f} s.",
                "Nothing uncommitted is lost: start the worker again.",
            )


def _since(before: float | None, is_so: bool) -> float | None:  # noqa: FBT001 - what it is about
    """When something began that is so now; None where it isn't."""
    return (before or time.monotonic()) if is_so else None
