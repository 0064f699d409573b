"""Brokers on this machine, each one behind the proxy and open to every harm."""

import signal
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
from tests.chaos import asks
from tests.chaos.proxy import Proxy

BROKERS = 3
# A broker that comes back reads its logs again, on a busy machine for some seconds.
HEALTHY_S = 90.0
PAUSE_S = 0.2

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
    """A cluster to be hurt. At most one broker should be away at a time.

    Args:
        folder: Where its data and logs are kept.
        proxy: Stands in front of the brokers; listens already, once for each.
    """

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        count = len(proxy.ports)
        super().__init__(folder, LocalSettings().cache_dir, _quiet, count)
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
        """The broker that leads the controllers."""
        return self._asked(lambda: asks.controller(self._running()))

    def coordinator(self, kind: Literal["group", "transaction"], name: str) -> int:
        """The broker that coordinates a group or a transactional id."""
        return self._asked(lambda: asks.coordinator(self._running(), kind, name))

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
        """Wait for that.

        Raises:
            TimeoutError: It doesn't come.
        """
        deadline = time.monotonic() + HEALTHY_S
        while not self.is_healthy():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the brokers don't get in sync in {HEALTHY_S:.0f} s")
            time.sleep(PAUSE_S)

    def _running(self) -> list[int]:
        return [
            port
            for number, (port, broker) in enumerate(zip(self.ports, self.processes, strict=True))
            if broker is not None and number not in self._paused
        ]

    @staticmethod
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

    def _signal(self, number: int, what: signal.Signals) -> None:
        broker = self.processes[number]
        if broker is not None:
            broker.send_signal(what)


def _quiet(what: str) -> None:
    del what
