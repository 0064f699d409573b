"""Sends events, counts what the brokers acknowledged, raises what they did not."""

import time
import uuid
from datetime import datetime
from typing import Any, Self

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message

from sentiment import tracing, wire
from sentiment.errors import BrokerError, InputError
from sentiment.kafka import clients, topics
from sentiment.kafka.clients import forbidden
from sentiment.settings import Settings
from sentiment.wire import NO_HEADERS, EventError, Headers, TextEvent

# A broker that restarts, or a partition that changes its leader, is back well within this.
DELIVERY_TIMEOUT_S = 30.0
# Two seconds of work for one broker on a laptop: full batches, and little to lose at a crash.
MAX_QUEUED = 20_000
# How long one wait for the queue or for acknowledgements lasts before a deadline or Ctrl-C is seen.
POLL_S = 0.1


class EventProducer:
    """Sends text events to Kafka; an idempotent producer, so that retries double nothing.

    Use it as a context manager: leaving it waits for every acknowledgement. An object belongs to
    one thread.

    Args:
        settings: How to reach Kafka; by default from the environment.
        topic: The topic; by default `TOPICS_EVENTS`.
        timeout_s: How long an event may take to be acknowledged, and how long a full queue may
            stay full, in seconds.

    Attributes:
        sent: Events that were put in the queue; `delivered` were acknowledged, `failed` refused.
        partitions: The partitions on which delivered events landed.

    Raises:
        BrokerError: Kafka can't be reached.
        TopicError: The topic doesn't exist.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        topic: str | None = None,
        timeout_s: float = DELIVERY_TIMEOUT_S,
    ) -> None:
        settings = settings or Settings()
        self.topic = topic or settings.topics.events
        self.sent = self.delivered = self.failed = 0
        self.partitions: set[int] = set()
        self._timeout_s = timeout_s
        self._max_event_bytes = settings.worker.max_event_bytes
        self._reason = ""
        self._told = 0
        self._spans = tracing.of("sentiment-produce")
        topics.require(settings, self.topic)
        self._producer = clients.new_producer(
            settings.kafka,
            message_timeout_ms=int(timeout_s * 1000),
            queue_buffering_max_messages=MAX_QUEUED,
            # As much as 1,000 events of the largest size allowed; librdkafka's default is 1 GiB.
            queue_buffering_max_kbytes=65_536,
        )

    def send(  # noqa: PLR0913 - the fields of an event, by name
        self,
        text: str,
        *,
        id: str | None = None,  # noqa: A002 - the field's name on the wire
        key: str | bytes | None = None,
        source: str | None = None,
        created_at: datetime | None = None,
        explain: bool = False,
        attributes: dict[str, Any] | None = None,
        headers: Headers | None = None,
    ) -> str:
        """Queue one text; returns before it is delivered.

        Args:
            text: The text; not empty, and not only white space.
            id: Names the event in its result; by default a new UUID, so that a consumer can tell
                an event that was sent twice from two events.
            key: Events of one key keep their order; by default the id.
            source: Where the text comes from.
            created_at: When it was written; with a time zone.
            explain: Ask for an explanation in the result.
            attributes: The caller's own data; has to be JSON.
            headers: Kafka headers; `traceparent`, `tracestate` and `ce_*` reach the result.

        Returns:
            The event's id.

        Raises:
            InputError: The event breaks a rule of the wire.
            BrokerError: An earlier event was not delivered, or the queue stayed full.
        """
        event = TextEvent(
            text=text,
            id=str(uuid.uuid4()) if id is None else id,
            source=source,
            created_at=created_at,
            explain=explain,
            attributes=attributes,
        )
        return self.send_event(encode(event), key=key, headers=headers) or ""

    def send_event(
        self, value: bytes, *, key: str | bytes | None = None, headers: Headers | None = None
    ) -> str | None:
        """Queue one event that is JSON already, unknown fields too; its id, if any; see `send`."""
        event = checked(value, self._max_event_bytes)
        self.send_raw(value, key=event.id if key is None else key, headers=headers)
        return event.id

    def send_raw(
        self, value: bytes | None, *, key: str | bytes | None = None, headers: Headers | None = None
    ) -> None:
        """Queue bytes as they are, whether or not they are an event; errors as of `send`."""
        if self._spans:
            headers = self._spans.create(self.topic, headers or NO_HEADERS)
        deadline = time.monotonic() + self._timeout_s
        while True:
            self._raise_failures()
            try:
                self._producer.produce(
                    self.topic,
                    value,
                    key,
                    headers=[*(headers or [])],
                    on_delivery=self._on_delivery,
                )
            except BufferError:
                # The queue is full: wait for acknowledgements rather than take more memory.
                self._poll(POLL_S)
                if time.monotonic() > deadline:
                    raise BrokerError(
                        f"Kafka took nothing for {self._timeout_s:g} s while"
                        f" {self._waiting():,} events wait for {self.topic!r}.",
                        "See whether the brokers are up, and whether the network reaches them.",
                    ) from None
            except KafkaException as error:
                raise _refused(error, self.topic) from None
            else:
                self.sent += 1
                self._poll(0)
                return

    def wait(self, seconds: float) -> None:
        """Let time pass, and take in acknowledgements meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._poll(min(left, POLL_S))

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything queued is acknowledged; by default as long as an event may take.

        Raises:
            BrokerError: Something was not delivered, or not acknowledged in time.
        """
        # A little longer than an event may take, so that its own error is raised and not ours.
        timeout = self._timeout_s + 5 if timeout_s is None else timeout_s
        end = time.monotonic() + timeout
        while self._waiting() > 0 and (left := end - time.monotonic()) > 0:
            self._poll(min(left, POLL_S))
        self._raise_failures()
        if (waiting := self._waiting()) > 0:
            raise BrokerError(
                f"{waiting:,} of {self.sent:,} events for {self.topic!r} were not acknowledged"
                f" within {timeout:g} s.",
                "They may still arrive; events that are sent again with the same id can be told.",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self.flush()
        except BrokerError:
            # What went wrong inside the block says more than what followed from it.
            if kind is None:
                raise

    def _waiting(self) -> int:
        """Events without an outcome; the client's own count has its errors among them."""
        return self.sent - self.delivered - self.failed

    def _poll(self, timeout_s: float) -> None:
        """Take in acknowledgements; a producer that is unusable for good says so here."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            raise _refused(error, self.topic) from None

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.delivered += 1
            self.partitions.add(message.partition() or 0)
            return
        if self.failed == self._told:
            self._reason = error.str()
        self.failed += 1

    def _raise_failures(self) -> None:
        new = self.failed - self._told
        if new:
            self._told = self.failed
            raise BrokerError(
                f"{new:,} of {self.sent:,} events were not delivered to {self.topic!r};"
                f" the first: {self._reason}.",
                "See whether the brokers are up and take our writes, then send them again.",
            )


def _refused(error: KafkaException, topic: str) -> BrokerError | InputError:
    cause = error.args[0]
    if cause.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return InputError(f"The value is larger than Kafka takes: {cause.str()}.")
    if denied := forbidden(cause):
        return denied
    return BrokerError(f"Kafka refuses events for {topic!r}: {cause.str()}.")


def encode(event: TextEvent | dict[str, Any]) -> bytes:
    """JSON of an event; an `InputError` where a value has none."""
    try:
        return wire.encode(event)
    except UnicodeEncodeError:
        raise InputError("The event is not valid: a string holds what is no character.") from None
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(f"The event is not valid: {error}.") from None


def checked(value: bytes, max_bytes: int) -> TextEvent:
    """The event, by the rules of the worker; an `InputError` here, else a dead letter there."""
    if len(value) > max_bytes:
        raise InputError(
            f"The event is not valid: {len(value):,} bytes, more than {max_bytes:,} (too_large).",
            "WORKER_MAX_EVENT_BYTES sets the limit, for the workers too.",
        )
    try:
        return wire.decode_event(value)
    except EventError as error:
        raise InputError(f"The event is not valid: {error.message} ({error.code}).") from None
