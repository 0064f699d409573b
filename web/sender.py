"""Puts events on the topic, and says so only once the brokers have them."""

import threading
import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message

from sentiment import kafka, metrics
from sentiment.errors import BrokerError
from sentiment.events import Headers
from sentiment.settings import Settings

# A person waits no longer for an acknowledgement; a broker that is there gives it in milliseconds.
DELIVERY_TIMEOUT_S = 5.0
POLL_S = 0.1


class _Receipt:
    """Counts the acknowledgements of one request."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._done = threading.Event()
        self.error = ""

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Called by the producer's thread, once per event."""
        del message
        metrics.WEB_EVENTS.labels("failed" if error else "delivered").inc()
        if error:
            self.error = error.str()
        self._left -= 1
        if self._left == 0:
            self._done.set()

    def wait(self) -> None:
        """Wait for all; the producer's own timeout makes sure that each one comes."""
        if not self._done.wait(2 * DELIVERY_TIMEOUT_S):
            self.error = "no answer in time"


class Sender:
    """Sends events for all requests of this process.

    Args:
        settings: Where they go.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.events
        self._producer = kafka.new_producer(
            settings.kafka,
            message_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
            # A person waits for each event: nothing is gained by waiting for more of them.
            linger_ms=0,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="sender", daemon=True)
        self._thread.start()

    def send(self, values: Sequence[tuple[str, bytes]], headers: Headers) -> None:
        """Send events and wait until the brokers have all of them.

        Args:
            values: Key and value of each event.
            headers: Kafka headers, for each of them.

        Raises:
            BrokerError: At least one was not acknowledged.
        """
        receipt = _Receipt(len(values))
        deadline = time.monotonic() + DELIVERY_TIMEOUT_S
        for key, value in values:
            while True:
                try:
                    self._producer.produce(
                        self._topic, value, key, headers=headers, on_delivery=receipt.delivered
                    )
                except BufferError:
                    if time.monotonic() > deadline:
                        raise _not_taken("too many events are waiting") from None
                    time.sleep(POLL_S)
                else:
                    break
        receipt.wait()
        if receipt.error:
            raise _not_taken(receipt.error)

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(POLL_S)

    def close(self) -> None:
        """Send what is queued, within the delivery timeout, and stop."""
        self._producer.flush(DELIVERY_TIMEOUT_S)
        self._stop.set()
        self._thread.join()


def _not_taken(reason: str) -> BrokerError:
    return BrokerError(
        f"Kafka did not acknowledge the event: {reason}.", "Try again in a few seconds."
    )
