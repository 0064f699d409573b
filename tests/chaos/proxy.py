"""A proxy in front of each broker, which passes Kafka's requests on and does harm to some.

It reads no more of the protocol than the length, the kind and the number of a request, so that it
can drop, delay or cut off a commit, or nothing but the answer to it.
"""

import asyncio
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

from local.ports import HOST, free_ports

# Kinds of requests, by Kafka's protocol.
ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT, INIT_PRODUCER_ID = 25, 26, 28, 22
COMMITS = frozenset({ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT})
# How often a connection that is held looks whether it may go on.
PAUSE_S = 0.02

Kind = Literal[
    "drop_request",  # the broker never hears of it
    "drop_answer",  # the broker does it, the client never hears of it
    "delay_request",
    "delay_answer",
    "reset_before",  # the connection ends, the broker never hears of it
    "reset_after",  # the broker does it, and the connection ends in place of the answer
]


@dataclass
class Harm:
    """What is done to requests of some kinds.

    Attributes:
        kind: What is done.
        apis: To which kinds of requests; empty: to all.
        brokers: At which brokers; empty: at all.
        seconds: How long a delay is.
        times: How often, then never again.
        done: How often it was done.
    """

    kind: Kind
    apis: frozenset[int] = frozenset()
    brokers: frozenset[int] = frozenset()
    seconds: float = 0.0
    times: int = 1_000_000_000
    done: int = 0

    def takes(self, broker: int, api: int) -> bool:
        """Whether this request is harmed; counts it if so."""
        if self.done >= self.times or (self.apis and api not in self.apis):
            return False
        if self.brokers and broker not in self.brokers:
            return False
        self.done += 1
        return True


class Proxy:
    """Listens once for each broker. Runs on a thread of its own, inside its block.

    Attributes:
        harm: What is done at present; None: nothing.
        cut: Brokers that nothing reaches, and that nothing comes from.
    """

    def __init__(self, count: int) -> None:
        self.ports = free_ports(count)
        self.harm: Harm | None = None
        self.cut: frozenset[int] = frozenset()
        self._upstream: Sequence[int] = ()
        self._open: dict[asyncio.StreamWriter, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []

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

    def heal(self) -> None:
        """Do no harm any more."""
        self.harm = None
        self.cut = frozenset()

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

            async def connected(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, broker: int = broker
            ) -> None:
                await self._connect(broker, reader, writer)

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
            back, out = await asyncio.open_connection(HOST, self._upstream[broker])
            ends.append(out)
            self._open[out] = broker
            answers: dict[int, Harm] = {}
            pumps = [
                asyncio.create_task(self._requests(broker, reader, out, answers)),
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
        answers: dict[int, Harm],
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                await self._held(broker)
                api, _, number = struct.unpack_from(">hhi", frame)
                harm = self.harm
                if harm is not None and harm.takes(broker, api):
                    if harm.kind == "reset_before":
                        return
                    if harm.kind == "drop_request":
                        continue
                    if harm.kind == "delay_request":
                        await asyncio.sleep(harm.seconds)
                    else:
                        answers[number] = harm
                await _send(writer, frame)

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
