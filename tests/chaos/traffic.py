"""Text events whose right outcome is known beforehand, and where Kafka said that it put each one.

Each record tells in the header `chaos` what has to become of it and its number, so that the checker
needs nothing but the topics: `positive:17`, `tombstone:18`, `not_json:19`.
"""

import json
import random
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sentiment.kafka import clients
from sentiment.settings import KafkaSettings

HEADER = "chaos"
# Words that the small models of the tests are sure about.
WORDS = {"positive": "excellent wonderful superb", "negative": "terrible awful boring"}
SENTIMENTS = tuple(WORDS)
# One byte more than the worker classifies by default.
TOO_LARGE = 65_537
INVALID: dict[str, Callable[[int], bytes]] = {
    "not_json": lambda n: b'{"text": "cut off %d' % n,
    "invalid_utf8": lambda n: b'{"text": "\xff\xfe %d"}' % n,
    "missing_text": lambda n: b'{"words": %d}' % n,
    "text_not_string": lambda n: b'{"text": %d}' % n,
    "empty_text": lambda n: b'{"id": "%d", "text": "  "}' % n,
    "not_object": lambda n: b"[%d]" % n,
    "invalid_field": lambda n: b'{"text": "good", "id": %d}' % n,
}
# Of each thousand events in quiet times; in a storm most of them are invalid.
TOMBSTONES, BAD, BAD_IN_A_STORM = 10, 20, 800
# Partition and offset of an acknowledged event in one number.
SHIFT = 40
UNKNOWN = -1
# Kafka has it, and doesn't say where: the answer to an earlier try was lost.
SOMEWHERE = -2
# How many may wait for their acknowledgement: bounds memory while the brokers are away.
MOST_UNACKNOWLEDGED = 20_000
# A broker that restarts and an election after it take seconds; all of them together minutes.
DELIVERY_S = 180.0
# The rate of what is left at the end, when nothing is broken any more.
REST_PER_S = 5000.0


@dataclass(frozen=True)
class Event:
    """One record to send."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, str | bytes | None]]


def event(number: int, *, invalid: bool, storm: bool = False) -> Event:
    """The event with a number, always the same one; it may be invalid, in a storm most are."""
    chance = random.Random(number)  # noqa: S311 - made data, not secrets
    key = f"key-{chance.randrange(97)}".encode() if number % 5 else None
    headers: list[tuple[str, str | bytes | None]] = []
    if number % 2:
        headers += [("traceparent", b"00-%032x-%016x-01" % (number, number)), ("private", b"x")]
    if number % 3 == 0:
        headers += [("ce_id", b"%d" % number), ("ce_type", None)]
    draw = chance.randrange(1000)
    value: bytes | None
    if draw < TOMBSTONES:
        expected, value = "tombstone", None
    elif invalid and draw < TOMBSTONES + (BAD_IN_A_STORM if storm else BAD):
        expected = chance.choice(list(INVALID))
        value = INVALID[expected](number)
    else:
        expected = chance.choice(SENTIMENTS)
        fields: dict[str, object] = {"text": f"{WORDS[expected]} {number}"}
        if number % 7:
            fields["id"] = f"event-{number}"
        if number % 4:
            fields["source"] = f"source-{number % 4}"
        value = json.dumps(fields).encode()
    return Event(key, value, [*headers, (HEADER, f"{expected}:{number}".encode())])


@dataclass
class Traffic:
    """Sends so many events, past the proxy, at a rate that may change, on a thread of its own."""

    settings: KafkaSettings
    topic: str
    count: int
    # Events a second at present.
    rate: float = 20.0
    # Whether invalid events are among them, and whether most of them are at present.
    invalid: bool = True
    storm: bool = False
    sent: int = 0
    acknowledged: int = 0
    # By number, partition and offset as acknowledged, `SOMEWHERE` or `UNKNOWN`.
    places: "array[int]" = field(init=False)
    # Why the client gave up on some.
    failed: list[str] = field(default_factory=list)
    _extra: list[Event] = field(default_factory=list)
    _is_broken: bool = False
    _hurry: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.places = array("q", [UNKNOWN]) * self.count
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def send_large(self) -> None:
        """Send an invalid event that is large, out of turn."""
        # Random, as a record that shrinks is a small one to the broker.
        noise = random.Random(self.sent).randbytes(TOO_LARGE // 4).hex()  # noqa: S311 - made data
        value = json.dumps({"text": 1, "more": noise}).encode()
        self._extra.append(
            Event(b"large", value, [(HEADER, f"text_not_string:{UNKNOWN}".encode())])
        )

    def finish(self) -> None:
        """Send the rest at once, and wait until all are acknowledged.

        Raises:
            TimeoutError: The brokers don't take them.
        """
        self._hurry.set()
        self._thread.join(DELIVERY_S + self.count / REST_PER_S)
        if self._error is not None:
            raise self._error
        if self._thread.is_alive():
            raise TimeoutError(f"only {self.acknowledged} of {self.sent} events were acknowledged")

    def stop(self) -> None:
        """End in the middle."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - told by `finish` on the main thread
            self._error = error

    def _send(self) -> None:
        producer = self._new_producer()
        due, last = 0.0, time.monotonic()
        while not self._stop.is_set():
            if self._hurry.is_set() and self.sent >= self.count and not self._extra:
                break
            time.sleep(0.005)
            now = time.monotonic()
            rate = max(self.rate, REST_PER_S) if self._hurry.is_set() else self.rate
            due, last = due + (now - last) * rate, now
            while self._extra:
                self._produce(producer, self._extra.pop(), UNKNOWN)
            waiting = self.sent - self.acknowledged - len(self.failed)
            # What the brokers don't take now is not made up for by a flood.
            due = min(due, float(MOST_UNACKNOWLEDGED - waiting))
            while due >= 1 and self.sent < self.count:
                due -= 1
                made = event(self.sent, invalid=self.invalid, storm=self.storm)
                self._produce(producer, made, self.sent)
                self.sent += 1
            producer.poll(0)
            if self._is_broken:
                # An idempotent producer that has lost a record takes no more.
                producer.flush(DELIVERY_S)
                producer, self._is_broken = self._new_producer(), False
        producer.flush(0 if self._stop.is_set() else DELIVERY_S)

    def _new_producer(self) -> Producer:
        return clients.new_producer(
            self.settings, message_timeout_ms=int(DELIVERY_S * 1000), retry_backoff_ms=20
        )

    def _produce(self, producer: Producer, made: Event, number: int) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if number == UNKNOWN:
                return
            if error is not None:
                self.failed.append(f"event {number}: {error.str()}")
                return
            self.acknowledged += 1
            partition, offset = message.partition(), message.offset()
            if partition is None or offset is None or offset < 0:
                self.places[number] = SOMEWHERE
            else:
                self.places[number] = partition << SHIFT | offset

        try:
            producer.produce(
                self.topic, made.value, made.key, headers=made.headers, on_delivery=delivered
            )
        except KafkaException as error:
            self.failed.append(f"event {number}: {error.args[0].str()}")
            self._is_broken = True
