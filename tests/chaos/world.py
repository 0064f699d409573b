"""All that a round of faults happens to: cluster, registry, workers or a peer, and traffic."""

import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks import candidates
from sentiment.kafka import clients, topics
from sentiment.registry.publish import ALIAS, NAME, publish
from sentiment.settings import Settings, TopicSettings
from stream_worker.trends.settings import TrendsSettings
from tests import stores
from tests.chaos.cluster import BROKERS, Cluster
from tests.chaos.proxy import Harm, Proxy
from tests.chaos.traffic import Traffic
from tests.chaos.trends import COMMAND as TRENDS, TrendsProcess
from tests.chaos.workers import ENVIRONMENT, Fleet
from tests.integration.releases import small_model
from tests.processes import until

PARTITIONS = 4
TOPICS = ("events", "results", "dead_letters", "tallies", "trends", "feedback")
# One can always take over from the other.
WORKERS = 2
ASK_S = 5.0
Protocol = Literal["consumer", "classic"]


@dataclass(frozen=True)
class Engine:
    """One stream processor, by the command of one process and the group protocols that it knows."""

    command: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    # Whether it makes dead letters and tallies, and keeps the input's partitions.
    is_ours: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


WORKER = Engine(
    (sys.executable, "-m", "sentiment", "worker"), ("consumer", "classic"), is_ours=True
)
PEERS: dict[str, tuple[str, dict[str, str]]] = {
    "quix": ("quix", {}),
    "faust": ("faust", {"PROCESSING_GUARANTEE": "at_least_once"}),
    "faust-exactly-once": ("faust", {"PROCESSING_GUARANTEE": "exactly_once"}),
}


def engine_of(name: str | None) -> Engine:
    """Our worker, or a peer in an environment of its own, which is made at first use.

    Raises:
        SetupError: The environment can't be made.
    """
    if name is None:
        return WORKER
    module, environment = PEERS[name]
    python = str(candidates.ensure(module))
    command = (python, "-m", f"tests.chaos.peers.{module}")
    return Engine(command, ("classic",), environment=environment)


class Models:
    """An MLflow store, a SQLite file in a folder, with versions 1 and 2 of a small model.

    Its alias moves, and it can be away.
    """

    def __init__(self, folder: Path) -> None:
        self._database = folder / "mlflow.db"
        self._away = folder / "away.db"
        # Shared by all workers, as on one host: to fetch and to compile a model takes seconds.
        self.cache = folder / "models"
        self.uri = stores.provide(folder)
        self.champion = "1"
        for version in ("1", "2"):
            target = folder / f"model-{version}"
            shutil.copytree(small_model(folder), target)
            (target / "MODEL_CARD.md").write_text(f"# Version {version}\n")
            alias = ALIAS if version == self.champion else ""
            publish(target, self.uri, alias=alias)

    def swap(self) -> None:
        """Move the alias to the other version."""
        from mlflow import MlflowClient

        self.champion = "2" if self.champion == "1" else "1"
        MlflowClient(self.uri).set_registered_model_alias(NAME, ALIAS, self.champion)

    def take_away(self) -> None:
        """Let nobody read it."""
        shutil.move(self._database, self._away)
        # A folder in its place: SQLite can't open it, as it can't open a file on a lost disk.
        self._database.mkdir()

    def bring_back(self) -> None:
        """Undo `take_away`."""
        with suppress(FileNotFoundError):
            if self._away.exists():
                self._database.rmdir()
                shutil.move(self._away, self._database)


@dataclass
class World:
    """A round's own topics, group and workers on a shared cluster."""

    engine: Engine
    cluster: Cluster
    proxy: Proxy
    models: Models
    fleet: Fleet
    trends: TrendsProcess
    traffic: Traffic
    # The harness's own, past the proxy.
    settings: Settings
    # How many there are when no fault changes it.
    workers: int = WORKERS
    # What was done to have requests arrive late, and to requests of which kind.
    late: list[tuple[str, Harm]] = field(default_factory=list)

    @property
    def group(self) -> str:
        """Name of the consumer group."""
        return self.fleet.group

    def _parts(self) -> list[TopicPartition]:
        topic = self.settings.topics.events
        known = self._asker.list_topics(topic, timeout=ASK_S).topics[topic].partitions
        return [TopicPartition(topic, number) for number in known]

    def committed(self) -> dict[int, int]:
        """The group's committed offset by input partition.

        Raises:
            KafkaException: The brokers don't tell it now.
        """
        parts = self._asker.committed(self._parts(), timeout=ASK_S)
        for part in parts:
            if part.error is not None:
                raise KafkaException(part.error)
        return {part.partition: max(part.offset, 0) for part in parts}

    def input_ends(self) -> dict[int, int]:
        """The offset after the last event by input partition; raises as `committed` does."""
        ask = self._asker.get_watermark_offsets
        return {part.partition: ask(part, ASK_S)[1] for part in self._parts()}

    @cached_property
    def _asker(self) -> Consumer:
        """Asks for offsets; no member of the group."""
        return clients.new_consumer(self.settings.kafka, group_id=self.group)

    def done(self) -> int | None:
        """How many events the group has committed; None when the brokers don't tell it now."""
        try:
            return sum(self.committed().values())
        except KafkaException:
            return None

    def tend(self) -> None:
        """Start anew what has ended and is wanted."""
        self.fleet.tend()
        self.trends.tend()

    def close(self) -> None:
        """Let go of the connections, while there are brokers to say goodbye to."""
        self._asker.close()

    def heal(self) -> None:
        """Undo every harm to the brokers and the network."""
        self.proxy.heal()
        self.cluster.heal()
        self.models.bring_back()
        self.traffic.storm = False


@contextmanager
def running(folder: Path, brokers: int = BROKERS) -> Iterator[tuple[Cluster, Proxy, Models]]:
    """A cluster behind a proxy, and a registry, all in one folder."""
    with (
        # It takes as long as the brokers' start, whose processes belong to this thread.
        ThreadPoolExecutor(1) as pool,
        Proxy(brokers) as proxy,
    ):
        models = pool.submit(Models, folder)
        with Cluster(folder / "kafka", proxy) as cluster:
            yield cluster, proxy, models.result()
            # A broker that is paused would not hear that it is to stop.
            cluster.heal()


def make(
    folder: Path,
    cluster: Cluster,
    proxy: Proxy,
    models: Models,
    *,
    protocol: Protocol,
    events: int,
    engine: Engine = WORKER,
) -> World:
    """Create topics and describe workers and traffic, with logs in a folder; nothing runs yet."""
    own = f"{protocol}-{uuid.uuid4().hex[:6]}"
    names = {name: f"{own}-{name}" for name in TOPICS}
    settings = Settings()
    settings.kafka = cluster.settings
    shape = TopicSettings(partitions=PARTITIONS, replication=len(cluster.ports))
    settings.topics = shape.replace(**names)
    settings.use(settings.of(TrendsSettings).replace(group_id=f"{own}-trends"))
    topics.create(settings)
    environment = {
        **os.environ,
        **ENVIRONMENT,
        **engine.environment,
        **{f"TOPICS_{name.upper()}": value for name, value in names.items()},
        "KAFKA_BOOTSTRAP_SERVERS": proxy.bootstrap_servers,
        "MODEL_CACHE_DIR": str(models.cache),
        "MLFLOW_TRACKING_URI": models.uri,
        "TRENDS_GROUP_ID": settings.of(TrendsSettings).group_id,
        "WORKER_GROUP_ID": f"{own}-workers",
        "WORKER_GROUP_PROTOCOL": protocol,
    }
    if protocol == "classic":
        # The worker's own ten seconds would make each zombie take that long.
        environment["KAFKA_CONFIG"] = '{"session.timeout.ms": 4000}'
    folder.mkdir(parents=True, exist_ok=True)
    fleet = Fleet(engine.command, environment, folder, environment["WORKER_GROUP_ID"])
    traffic = Traffic(settings.kafka, settings.topics.events, events, invalid=engine.is_ours)
    own_group = environment["TRENDS_GROUP_ID"]
    trends = TrendsProcess(TRENDS, environment, folder, own_group, name="trends")
    return World(engine, cluster, proxy, models, fleet, trends, traffic, settings)


def wait_for(world: World, done: int, seconds: float) -> bool:
    """Wait until the group has committed this many events; False when it doesn't in time."""

    def is_done() -> bool:
        world.tend()
        return (world.done() or 0) >= done

    try:
        until(is_done, "all of it is committed", seconds, pause_s=0.2)
    except TimeoutError:
        return False
    return True
