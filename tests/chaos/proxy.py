"""A proxy in front of each broker, which passes Kafka's requests on and does harm to some.

It reads no more of the protocol than the length, the kind and the number of a request, so that it
can drop, delay or cut off a commit, or nothing but the answer to it.
"""

import asyncio
import random
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Self

from local.process import HOST, free_ports

# Kinds of requests, by Kafka's protocol.
FETCH, METADATA, API_VERSIONS = 1, 3, 18
PRODUCE, INIT_PRODUCER_ID, ADD_PARTITIONS = 0, 22, 24
ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT = 25, 26, 28
COMMITS = frozenset({ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT})
# From this version of Metadata on, lengths are varints and each structure ends with its tags.
FLEXIBLE_METADATA = 9
# An answer to that without brokers, topics or a controller: its tags, the time to wait, no brokers,
# no cluster's id, no controller, no topics, its tags.
NOBODY = b"\0" + struct.pack(">i", 0) + b"\1" + b"\0" + struct.pack(">i", -1) + b"\1" + b"\0"
# How often a connection that is held looks whether it may go on.
PAUSE_S = 0.02

Kind = Literal[
    "drop_request",  # the broker never hears of it
    "drop_answer",  # the broker does it, the client never hears of it
    "delay_request",
    "delay_answer",
    "reset_before",  # the connection ends, the broker never hears of it
    "reset_after",  # the broker does it, and the connection ends in place of the answer
    "late_request",  # the connection ends, and the broker hears of it when the client has gone on
]


# Those after which the client has to make a new connection at once.
ENDING = {"reset_before", "late_request"}

Away = Literal[
    "",
    "closes",  # every connection ends as soon as it begins
    "garbage",  # in place of each answer, random bytes
    "nobody",  # metadata names no broker, and whatever else is asked for ends the connection
]


@dataclass
class Harm:
    """What is done to requests of some kinds, of all where none is named; so also of brokers."""

    kind: Kind
    apis: frozenset[int] = frozenset()
    brokers: frozenset[int] = frozenset()
    # How long a delay is, or how late a late request is.
    seconds: float = 0.0
    # How often it is done, then never again; and to one in this many.
    times: int = 1_000_000_000
    every: int = 1
    # A late request waits until the next one of this kind has passed; None: its delay alone.
    after: int | None = None
    done: int = 0
    # Late requests that a broker got, and those that it took without an error.
    arrived: int = 0
    accepted: int = 0
    waiting: list[asyncio.Event] = field(default_factory=list)
    _seen: int = 0

    def takes(self, broker: int, api: int) -> bool:
        """Whether this request is harmed; counts it if so."""
        if self.done >= self.times or (self.apis and api not in self.apis):
            return False
        if self.brokers and broker not in self.brokers:
            return False
        self._seen += 1
        if self._seen % self.every:
            return False
        self.done += 1
        return True

    def passes(self, api: int) -> None:
        """Let go of late requests that wait for one of this kind."""
        if api == self.after:
            self.let_go()

    def let_go(self) -> None:
        """Let go of all late requests."""
        for one in self.waiting:
            one.set()
        self.waiting.clear()


class Proxy:
    """Listens once for each broker. Runs on a thread of its own, inside its block."""

    def __init__(self, count: int) -> None:
        self.ports = free_ports(count)
        # What is done at present.
        self.harm: Harm | None = None
        # Brokers that nothing reaches, and that nothing comes from.
        self.cut: frozenset[int] = frozenset()
        # What clients find in place of all brokers; empty: the brokers.
        self.away: Away = ""
        self._upstream: Sequence[int] = ()
        self._open: dict[asyncio.StreamWriter, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        self._later: set[asyncio.Task[None]] = set()

    def serve(self, upstream: Sequence[int]) -> Self:
        """Pass connections on to the brokers' own ports."""
        self._upstream = upstream
        return self

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of the brokers as the clients are to see them."""
        return ",".join(f"{HOST}:{port}" for port in self.ports)

    def reset(self, broker: int) -> None:
        """End every connection to a broker, at once and without a goodbye."""
        self._loop.call_soon_threadsafe(self._abort, broker)

    def reset_all(self) -> None:
        """The same for all brokers."""
        for broker in range(len(self.ports)):
            self.reset(broker)

    def go_away(self, how: Away) -> None:
        """Have clients find this in place of the brokers, on connections that are open too."""
        self.away = how
        self.reset_all()

    def heal(self) -> None:
        """Do no harm any more."""
        harm, self.harm = self.harm, None
        if harm is not None:
            # What they wait for may never come.
            self._loop.call_soon_threadsafe(harm.let_go)
        self.cut = frozenset()
        self.away = ""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        for broker, port in enumerate(self.ports):
            connected = partial(self._connect, broker)
            self._servers.append(await asyncio.start_server(connected, HOST, port))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for broker in range(len(self.ports)):
            self._abort(broker)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _abort(self, broker: int) -> None:
        for writer in [writer for writer, number in self._open.items() if number == broker]:
            writer.transport.abort()

    async def _connect(
        self, broker: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ends = [writer]
        self._open[writer] = broker
        pumps: list[asyncio.Task[None]] = []
        try:
            await self._held(broker)
            if self.away == "closes":
                return
            back, out = await asyncio.open_connection(HOST, self._upstream[broker])
            ends.append(out)
            self._open[out] = broker
            answers: dict[int, Harm] = {}
            pumps = [
                asyncio.create_task(self._requests(broker, reader, out, writer, answers)),
                asyncio.create_task(self._answers(broker, back, writer, answers)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            # The broker is away: the client finds a closed connection, as it would without us.
            pass
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in ends:
                del self._open[end]
                end.transport.abort()

    async def _held(self, broker: int) -> None:
        while broker in self.cut:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(PAUSE_S)

    async def _requests(
        self,
        broker: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        answers: dict[int, Harm],
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                await self._held(broker)
                api, version, number = struct.unpack_from(">hhi", frame)
                if self.away == "nobody" and api != API_VERSIONS:
                    if api != METADATA or version < FLEXIBLE_METADATA:
                        return
                    await _send(client, struct.pack(">i", number) + NOBODY)
                    continue
                harm = self.harm
                if harm is not None:
                    if harm.takes(broker, api) and not await self._is_passed_on(
                        harm, broker, frame, answers
                    ):
                        if harm.kind in ENDING:
                            return
                        continue
                    harm.passes(api)
                await _send(writer, frame)

    async def _is_passed_on(
        self, harm: Harm, broker: int, frame: bytes, answers: dict[int, Harm]
    ) -> bool:
        """Do harm to a request, or to the answer that it will have."""
        if harm.kind == "late_request":
            task = asyncio.create_task(self._late(broker, frame, harm))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        elif harm.kind == "delay_request":
            await asyncio.sleep(harm.seconds)
            return True
        elif harm.kind in {"drop_answer", "delay_answer", "reset_after"}:
            answers[struct.unpack_from(">hhi", frame)[2]] = harm
            return True
        return False

    async def _late(self, broker: int, frame: bytes, harm: Harm) -> None:
        """Deliver a request on a connection of its own, as a network that held it back would."""
        if harm.after is None:
            await asyncio.sleep(harm.seconds)
        else:
            passed = asyncio.Event()
            harm.waiting.append(passed)
            await passed.wait()
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(HOST, self._upstream[broker])
            try:
                await _send(writer, frame)
                harm.arrived += 1
                answer = await _frame(reader)
            finally:
                writer.transport.abort()
            # After the number of the request and the throttle time, where there is one error.
            if struct.unpack_from(">h", frame)[0] in {ADD_OFFSETS, END_TXN}:
                harm.accepted += struct.unpack_from(">h", answer, 8)[0] == 0

    async def _answers(
        self,
        broker: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: dict[int, Harm],
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                await self._held(broker)
                if self.away == "garbage":
                    frame = random.randbytes(len(frame))  # noqa: S311 - not to be secret
                (number,) = struct.unpack_from(">i", frame)
                harm = answers.pop(number, None)
                if harm is not None:
                    if harm.kind == "reset_after":
                        return
                    if harm.kind == "drop_answer":
                        continue
                    await asyncio.sleep(harm.seconds)
                await _send(writer, frame)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


async def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)))
    writer.write(frame)
    await writer.drain()
