"""Sending events and feedback, each acknowledged or reported as not sent."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sentiment import logs, wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.wire import Feedback, Headers, Input, TextEvent
from web.metrics import WEB_EVENTS

# A person waits this long and no longer; a broker that changes its leader is back within it.
DELIVERY_TIMEOUT_S = 5.0
# librdkafka gives up an event at its timeout but checks only once a second.
GRACE_S = 1.5
# How long one wait for acknowledgements lasts before the end of the process is seen.
POLL_S = 0.1
# A few requests of the largest size allowed; more than that means that Kafka isn't taking them.
MAX_QUEUED_KIB = 16_384
# Nothing acknowledged for so long: the client may have lost a cluster that was made anew.
LOST_S = 20.0
# How long the end of the process waits for events in flight; their requests wait no longer.
FLUSH_S = 2.0

log = logs.get(__name__)

# The number of a record, and where it stands or why nowhere.
Reports = SimpleQueue[tuple[int, Input | str]]
Tell = Callable[[int, Input], None]


class Outbox:
    """Sends events with one idempotent producer that all requests share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._producer = self._new_producer()
        # Since when nothing was acknowledged that was sent; None: the last of it was.
        self._failing_since: float | None = None
        self._failed_at = 0.0
        self._renewing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="deliver", daemon=True)

    def _new_producer(self) -> Producer:
        return clients.new_producer(
            self._settings.kafka,
            message_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
            queue_buffering_max_kbytes=MAX_QUEUED_KIB,
        )

    def start(self) -> None:
        """Begin to take in acknowledgements."""
        self._thread.start()

    def close(self) -> None:
        """Wait a moment for events in flight, then end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(FLUSH_S)
        self._producer.flush(FLUSH_S)

    def send(
        self, batch: Sequence[TextEvent], headers: Headers, tell: Tell | None = None
    ) -> list[Input | None]:
        """Send events, each keyed by its id; where each then stands, or None: not acknowledged.

        `tell` is given each number and place at once: results may come before the last word.
        """
        records = [(event.id or "", wire.encode(event)) for event in batch]
        delivered = self._deliver(self._topics.events, records, headers, tell)
        WEB_EVENTS.labels("delivered").inc(len(delivered))
        WEB_EVENTS.labels("failed").inc(len(batch) - len(delivered))
        return [delivered.get(number) for number in range(len(batch))]

    def send_feedback(self, feedback: Feedback) -> bool:
        """Send a person's word on a result, and wait; whether the brokers have it."""
        records = [(feedback.id, wire.encode(feedback))]
        return bool(self._deliver(self._topics.feedback, records, []))

    def _deliver(
        self,
        topic: str,
        records: Sequence[tuple[str, bytes]],
        headers: Headers,
        tell: Tell | None = None,
    ) -> dict[int, Input]:
        """Send keys and values; the places of those that were acknowledged, by their numbers."""
        producer, reports = self._producer, Reports()
        queued = 0
        try:
            for number, (key, value) in enumerate(records):
                told = partial(_report, reports, number)
                producer.produce(topic, value, key, headers=[*headers], on_delivery=told)
                queued += 1
        except (BufferError, KafkaException) as error:
            log.warning("not queued", records=len(records) - queued, reason=str(error))
            self._renew_if_fatal(producer, error)
        began = time.monotonic()
        delivered = _acknowledged(reports, queued, tell)
        if delivered:
            self._failing_since = None
        elif queued:
            if self._failing_since is None or began - self._failed_at > LOST_S:
                # The first one, or the first one after a time in which nothing was tried.
                self._failing_since = began
            self._failed_at = time.monotonic()
            if time.monotonic() - self._failing_since > LOST_S:
                log.warning("producer replaced", reason="nothing is acknowledged")
                self._renew(producer)
        return delivered

    def _renew_if_fatal(self, producer: Producer, error: Exception) -> None:
        cause = error.args[0] if error.args else None
        if isinstance(cause, KafkaError) and cause.fatal():
            self._renew(producer)

    def _renew(self, producer: Producer) -> None:
        self._failing_since = None
        with self._renewing:
            if self._producer is not producer:
                return
            self._producer = self._new_producer()
        # Requests may still wait for what the old one holds.
        threading.Thread(target=_drain, args=(producer,), name="drain", daemon=True).start()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            producer = self._producer
            try:
                producer.poll(POLL_S)
            except KafkaException as error:
                # A right that we lack, or have lost: the next one may have it again.
                log.warning("producer replaced", reason=str(error))
                self._renew_if_fatal(producer, error)
                self._stopping.wait(POLL_S)


def _drain(producer: Producer) -> None:
    """Let a producer that was replaced acknowledge what it has, while anybody waits for it."""
    with suppress(KafkaException):
        producer.flush(DELIVERY_TIMEOUT_S)


def _report(reports: Reports, number: int, error: KafkaError | None, message: Message) -> None:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if error is None and topic and partition is not None and offset is not None:
        reports.put((number, Input(sys.intern(topic), partition, offset)))
    else:
        reports.put((number, error.str() if error else "it does not say where the record stands"))


def _acknowledged(reports: Reports, queued: int, tell: Tell | None) -> dict[int, Input]:
    deadline = time.monotonic() + DELIVERY_TIMEOUT_S + GRACE_S
    delivered: dict[int, Input] = {}
    for _ in range(queued):
        try:
            number, report = reports.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            log.warning("no acknowledgement in time", records=queued - len(delivered))
            break
        if isinstance(report, str):
            log.warning("not delivered", reason=report)
            continue
        delivered[number] = report
        if tell:
            tell(number, report)
    return delivered
