"""Faust on our Kafka: the settings in its words, and committed records only, and all of them."""

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import faust
from aiokafka.consumer import fetcher
from aiokafka.errors import IllegalGenerationError, KafkaConnectionError
from aiokafka.structs import ConsumerRecord
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport import producer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from faust.types.auth import CredentialsT
from yarl import URL

from sentiment import logs
from sentiment.errors import SettingsError
from sentiment.metrics import UNREADABLE_BATCHES
from sentiment.settings import KafkaSettings

log = logs.get(__name__)

# Between two tries to reach the brokers.
RETRY_S = 1.0
MECHANISMS = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}


async def _started(make: Callable[[], Any]) -> Any:  # noqa: ANN401 - aiokafka's clients
    """A client that has started, as soon as it can: brokers may go after they were there."""
    while True:
        client = make()
        try:
            await client.start()
        except KafkaConnectionError as error:
            log.warning("waiting for Kafka", reason=str(error))
            await client.stop()
            await asyncio.sleep(RETRY_S)
        else:
            return client


class _Batches:
    """What was fetched of a partition, batch by batch, and the batch that was taken last."""

    def __init__(self, batches: Any) -> None:  # noqa: ANN401 - aiokafka's
        self._batches = batches
        self.last: Any = None

    def has_next(self) -> bool:
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:  # noqa: ANN401 - aiokafka's
        self.last = self._batches.next_batch()
        return self.last


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # it has no types
    """Passes over a batch that can't be read, where aiokafka ends the whole of its reading.

    It takes no name of a header that is no UTF-8, and no compressed data that are cut off.
    """

    _records: _Batches
    next_fetch_offset: int

    def __init__(self, tp: TP, records: object, *others: Any) -> None:  # noqa: ANN401 - aiokafka's
        super().__init__(tp, _Batches(records), *others)

    def _unpack_records(self) -> Iterator[Any]:
        while True:
            try:
                yield from super()._unpack_records()
            except Exception as error:  # noqa: BLE001 - whatever a decoder says
                topic, partition = self._tp.topic, self._tp.partition
                UNREADABLE_BATCHES.labels(topic, str(partition)).inc()
                # A sentence; the traceback says no more.
                log.error(  # noqa: TRY400
                    "a batch can't be read and is passed over", topic=topic, partition=partition,
                    offset=self.next_fetch_offset, reason=str(error),
                )  # fmt: skip
                self.next_fetch_offset = self._records.last.next_offset
                # In its place nothing, at its last offset: a recovery waits until that has come.
                yield ConsumerRecord(
                    topic, partition, self.next_fetch_offset - 1, timestamp=0, timestamp_type=0,
                    key=None, value=None, checksum=None, serialized_key_size=-1,
                    serialized_value_size=-1, headers=(),
                )  # fmt: skip
            else:
                return


class _CommittedThread(driver.AIOKafkaConsumerThread):
    """Faust reads uncommitted records unless it writes in transactions; ours must not.

    Nor may it commit another cluster's offsets. aiokafka tries to commit while no broker answers,
    then as whoever it has become, and smaller offsets of a rebuilt cluster would never be read. So
    it commits as the confirmed member alone: a new cluster knows none of the old one's.
    """

    confirmed = ""

    @property
    def member_id(self) -> str:
        """Which member of the group we are; empty where we are none."""
        return str(self._ensure_consumer()._coordinator.member_id)  # noqa: SLF001 - no other way in

    async def on_start(self) -> None:
        """Start, as Faust's own does, as soon as the brokers are there."""
        self._consumer = await _started(lambda: self._create_consumer(loop=self.thread_loop))
        coordinator = self._consumer._coordinator  # noqa: SLF001
        commit = coordinator._do_commit_offsets  # noqa: SLF001

        async def commit_as_confirmed(assignment: object, offsets: object) -> None:
            if not self.confirmed or coordinator.member_id != self.confirmed:
                raise IllegalGenerationError(coordinator.group_id)
            await commit(assignment, offsets)

        coordinator._do_commit_offsets = commit_as_confirmed  # noqa: SLF001
        self.time_started = time.monotonic()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to what is committed, and to the beginning where nothing is.

        Faust reads while it recovers the table, and drops what is no change of it. aiokafka goes
        back only where an offset is committed: not so after an end before the first commit.
        """
        committed = await super().seek_to_committed()
        changelogs = self.consumer.app.tables.changelog_topics
        begun_anew = [
            tp for tp, offset in committed.items() if not offset and tp.topic not in changelogs
        ]
        if begun_anew:
            await self.call_thread(self._ensure_consumer().seek_to_beginning, *begun_anew)
        return committed

    def _create_worker_consumer(self, transport: Any) -> Any:  # noqa: ANN401 - Faust's and aiokafka's
        consumer = super()._create_worker_consumer(transport)
        # There is no other way in: it becomes an argument of the fetcher when the consumer starts.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        return consumer


class _CommittedConsumer(driver.Consumer):
    """Also hands over every record: Faust forgets the one that waits when its flow is stopped.

    It gives up handing it over then, but counts it as read; where the flow goes on at once, as at
    the end of a recovery, the next one follows.
    """

    _thread: _CommittedThread

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - Faust's
        super().__init__(*arguments, **named)
        self._hand_over = self.callback
        self.callback = self._take
        self._waiting: dict[TP, list[Message]] = {}

    def _take(self, message: Message) -> Coroutine[None, None, None]:
        """Note a record at once, for what this returns may be given up before its first step."""
        left = self._waiting.get(message.tp, [])
        # Those from here on come again: the consumer went back.
        waiting = [one for one in left if one.offset < message.offset]
        waiting.append(message)
        self._waiting[message.tp] = waiting
        return self._hand_all_over(waiting)

    async def _hand_all_over(self, waiting: list[Message]) -> None:
        while waiting:
            await self._hand_over(waiting[0])
            waiting.pop(0)

    async def perform_seek(self) -> None:
        """Go back to what is committed, and take nothing until the flow goes on.

        At a recovery's end, Faust goes back and empties the queues of what came before. Without the
        stop, what is taken in between is emptied too, and counts as read.
        """
        self.stop_flow()
        await super().perform_seek()

    async def confirm(self, is_same: Callable[[], bool]) -> None:
        """Ask until it is sure that the brokers are those of the start; then we may commit."""
        thread = self._thread
        while True:
            member_id = thread.member_id
            if await asyncio.to_thread(is_same):
                thread.confirmed = member_id
                return
            await asyncio.sleep(RETRY_S)

    def _new_consumer_thread(self) -> Any:  # noqa: ANN401 - Faust's
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)


class _Producer(driver.Producer):
    async def on_start(self) -> None:
        """Start, as Faust's own does, as soon as the brokers are there."""
        await producer.Producer.on_start(self)
        self._producer = await _started(self._new_producer)
        self.beacon.add(self._producer)


class _Transport(driver.Transport):
    Consumer = _CommittedConsumer
    Producer = _Producer


def brokers(settings: KafkaSettings) -> list[URL]:
    """The brokers' addresses, as Faust has them."""
    return [URL(f"kafka://{server.strip()}") for server in settings.bootstrap_servers.split(",")]


def credentials(settings: KafkaSettings) -> CredentialsT | None:
    """How to prove who we are; a `SettingsError` where Faust has no such way."""
    context = None
    if settings.security_protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=settings.ssl_ca_location or None)
        if settings.ssl_certificate_location:
            context.load_cert_chain(
                settings.ssl_certificate_location,
                settings.ssl_key_location or None,
                settings.ssl_key_password.get_secret_value() or None,
            )
    if not settings.security_protocol.startswith("SASL_"):
        return SSLCredentials(context) if context else None
    if settings.sasl_mechanism not in MECHANISMS:
        raise SettingsError(
            f"The trends can't use KAFKA_SASL_MECHANISM={settings.sasl_mechanism}.",
            f"Give them a user of their own with one of {', '.join(sorted(MECHANISMS))}.",
        )
    return SASLCredentials(
        username=settings.sasl_username,
        password=settings.sasl_password.get_secret_value(),
        mechanism=settings.sasl_mechanism,
        ssl_context=context,
    )


def read_committed(app: faust.App) -> None:
    """Make an app read records of committed transactions only, and all that can be read."""
    # There is no other way in: its fetcher makes them by this name.
    fetcher.PartitionRecords = _PartitionRecords
    app.transport = _Transport(app.conf.broker_consumer, app, loop=app.loop)
    app.producer_transport = _Transport(app.conf.broker_producer, app, loop=app.loop)
