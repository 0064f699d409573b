"""All that a round of faults happens to: cluster, workers, traffic, registry."""

import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sentiment.kafka import clients, topics
from sentiment.settings import Settings, TopicSettings
from stream_worker.trends.settings import TrendsSettings
from tests.chaos.cluster import BROKERS, Cluster
from tests.chaos.engines import WORKER, Engine, Protocol
from tests.chaos.models import Models
from tests.chaos.proxy import Harm, Proxy
from tests.chaos.traffic import Traffic
from tests.chaos.trends import TrendsProcess
from tests.chaos.workers import ENVIRONMENT, Fleet

PARTITIONS = 4
TOPICS = ("events", "results", "dead_letters", "tallies", "trends", "feedback")
# One can always take over from the other.
WORKERS = 2
ASK_S = 5.0


@dataclass
class World:
    """A round's own topics, group and workers on a shared cluster.

    Attributes:
        engine: What classifies.
        settings: The harness's own, past the proxy.
        workers: How many there are when no fault changes it.
        late: What was done to have requests arrive late, and to requests of which kind.
    """

    engine: Engine
    cluster: Cluster
    proxy: Proxy
    models: Models
    fleet: Fleet
    trends: TrendsProcess
    traffic: Traffic
    settings: Settings
    workers: int = WORKERS
    late: list[tuple[str, Harm]] = field(default_factory=list)

    @property
    def group(self) -> str:
        """Name of the consumer group."""
        return self.fleet.group

    def committed(self) -> dict[int, int]:
        """The group's committed offset by input partition.

        Raises:
            KafkaException: The brokers don't tell it now.
        """
        topic = self.settings.topics.events
        known = self._asker.list_topics(topic, timeout=ASK_S).topics[topic].partitions
        parts = [TopicPartition(topic, number) for number in known]
        parts = self._asker.committed(parts, timeout=ASK_S)
        for part in parts:
            if part.error is not None:
                raise KafkaException(part.error)
        return {part.partition: max(part.offset, 0) for part in parts}

    def input_ends(self) -> dict[int, int]:
        """The offset after the last event by input partition.

        Raises:
            KafkaException: The brokers don't tell it now.
        """
        topic = self.settings.topics.events
        known = self._asker.list_topics(topic, timeout=ASK_S).topics[topic].partitions
        return {
            number: self._asker.get_watermark_offsets(TopicPartition(topic, number), ASK_S)[1]
            for number in known
        }

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
    """Create topics and describe workers and traffic; nothing runs yet.

    Args:
        folder: Where logs and model caches go.
        cluster: Runs.
        proxy: In front of it.
        models: The registry.
        protocol: The group protocol of the workers.
        events: How many events are sent.
        engine: What classifies them.
    """
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
    trends = TrendsProcess(environment, folder)
    return World(engine, cluster, proxy, models, fleet, trends, traffic, settings)


def wait_for(world: World, done: int, seconds: float) -> bool:
    """Wait until the group has committed this many events; False when it doesn't in time."""
    deadline = time.monotonic() + seconds
    while (world.done() or 0) < done:
        if time.monotonic() > deadline:
            return False
        world.tend()
        time.sleep(0.2)
    return True
