"""Brokers on this machine, each one behind the proxy and open to every harm."""

import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local import process
from local.broker import STOP_S, LocalKafka
from local.process import HOST, free_ports
from local.settings import LocalSettings
from sentiment.kafka import clients
from sentiment.settings import KafkaSettings
from tests.chaos.proxy import Proxy
from tests.processes import until

BROKERS = 3
# A broker that comes back reads its logs again, on a busy machine for some seconds.
HEALTHY_S = 90.0
PAUSE_S = 0.2
# Loopback answers in milliseconds; a broker that was just paused doesn't.
ANSWER_S = 2.0
FIND_COORDINATOR, DESCRIBE_QUORUM = 10, 55
# Where the answer of DescribeQuorum, version 0, for one topic and partition holds the leader.
LEADER_AT = 34
KINDS = {"group": 0, "transaction": 1}

# Clients that go by `PROXIED` are told the proxy's addresses; everybody else goes direct.
# The times are short so that each fault is noticed within seconds and many fit into an hour.
PROPERTIES = """
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port},PROXIED://{host}:{behind}
advertised.listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{proxied}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
unclean.leader.election.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=3000
group.consumer.session.timeout.ms=4000
group.consumer.min.session.timeout.ms=4000
group.min.session.timeout.ms=4000
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
"""


class Cluster(LocalKafka):
    """A cluster to be hurt, with data and logs in a folder, behind a proxy that listens already.

    At most one broker should be away at a time.
    """

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        count = len(proxy.ports)
        super().__init__(folder, LocalSettings().cache_dir, lambda _: None, count)
        self._behind = free_ports(count)
        self._proxied = proxy.serve(self._behind).ports
        self._paused: set[int] = set()
        self.admin: AdminClient = clients.new_admin(self.settings)

    @property
    def settings(self) -> KafkaSettings:
        """How to reach the brokers past the proxy."""
        return KafkaSettings(bootstrap_servers=self.bootstrap_servers, connect_timeout_s=30)

    def properties(self, number: int) -> str:
        """Adds the way through the proxy, and short times."""
        return super().properties(number) + PROPERTIES.format(
            host=HOST,
            port=self.ports[number],
            controller_port=self.controller_ports[number],
            behind=self._behind[number],
            proxied=self._proxied[number],
        )

    def pause(self, number: int) -> None:
        """Stop a broker's clock."""
        self._signal(number, signal.SIGSTOP)
        self._paused.add(number)

    def resume(self, number: int) -> None:
        """Let it go on."""
        self._paused.discard(number)
        self._signal(number, signal.SIGCONT)

    def end_all(self) -> None:
        """Stop every broker as an administrator would."""
        process.stop([broker for broker in self.processes if broker is not None], STOP_S)
        self.processes = [None] * len(self.processes)

    def heal(self) -> None:
        """Bring every broker back."""
        for number in list(self._paused):
            self.resume(number)
        for number, broker in enumerate(self.processes):
            if broker is None:
                self.start(number)

    def controller(self) -> int:
        """The number of the broker whose controller leads the quorum."""
        topic = b"__cluster_metadata"
        # Compact arrays and strings hold their length plus one; each structure ends with its tags.
        body = bytes((2, len(topic) + 1)) + topic + bytes((2,)) + struct.pack(">i", 0) + bytes(3)

        def ask() -> int:
            answer = self._ask(DESCRIBE_QUORUM, 0, b"\0" + body)
            return int(struct.unpack_from(">i", answer, LEADER_AT)[0]) - 1

        return _asked(ask)

    def coordinator(self, kind: Literal["group", "transaction"], name: str) -> int:
        """The number of the broker that coordinates a group or a transactional id."""
        body = struct.pack(">h", len(name)) + name.encode() + bytes((KINDS[kind],))

        def ask() -> int:
            answer = self._ask(FIND_COORDINATOR, 2, body)
            error, length = struct.unpack_from(">hh", answer, 8)
            node = int(struct.unpack_from(">i", answer, 12 + max(length, 0))[0])
            if error or node < 1:
                raise OSError(f"no coordinator of {name}: error {error}")
            return node - 1

        return _asked(ask)

    def is_healthy(self) -> bool:
        """Whether every partition has all its replicas in sync."""
        try:
            topics = self.admin.list_topics(timeout=2).topics.values()
        except KafkaException:
            return False
        return all(
            len(part.isrs) == len(self.ports) and part.leader >= 0
            for topic in topics
            for part in topic.partitions.values()
        )

    def wait_until_healthy(self) -> None:
        """Wait for that, or raise a `TimeoutError`."""
        until(self.is_healthy, "the brokers are in sync", HEALTHY_S, PAUSE_S)

    def _ask(self, api: int, version: int, body: bytes) -> bytes:
        """What a broker that runs answers, by Kafka's protocol: librdkafka asks neither question.

        Raises:
            OSError: None answers.
        """
        request = struct.pack(">hhih", api, version, 1, 5) + b"chaos" + body
        for number, (port, broker) in enumerate(zip(self.ports, self.processes, strict=True)):
            if broker is None or number in self._paused:
                continue
            try:
                with socket.create_connection((HOST, port), ANSWER_S) as connection:
                    connection.settimeout(ANSWER_S)
                    connection.sendall(struct.pack(">i", len(request)) + request)
                    file = connection.makefile("rb")
                    (length,) = struct.unpack(">i", file.read(4))
                    return file.read(length)
            except (OSError, struct.error):
                continue
        raise OSError("no broker answers")

    def _signal(self, number: int, what: signal.Signals) -> None:
        broker = self.processes[number]
        if broker is not None:
            broker.send_signal(what)


def _asked(ask: Callable[[], int]) -> int:
    deadline = time.monotonic() + HEALTHY_S
    while True:
        try:
            return ask()
        except OSError:
            # An election is on.
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)
