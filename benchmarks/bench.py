"""What a run has: a local Kafka, a registry with the bundled model, backlogs, and fresh names."""

import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka.cimpl import NewTopic

from benchmarks import measure
from benchmarks.measure import Pace, Progress, Sample
from sentiment.kafka import clients, topics
from sentiment.registry.publish import ensure_published
from sentiment.settings import Settings


@dataclass(frozen=True)
class Backlog:
    """Events that wait on a topic.

    Attributes:
        name: What they are, in the tables.
        topic: Where they wait.
        events: How many.
    """

    name: str
    topic: str
    events: int


@dataclass(frozen=True)
class Bench:
    """The place where candidates run.

    Attributes:
        work: A folder for logs and data, removed afterwards.
        settings: Where Kafka is.
        broker: The local Kafka's process.
    """

    work: Path
    settings: Settings
    broker: psutil.Process

    def name(self, what: str) -> str:
        """A name that nothing had before: a group, a topic, a folder."""
        return f"{what}-{uuid.uuid4().hex[:8]}"

    def topic(self, what: str, config: Mapping[str, str] | None = None) -> str:
        """A topic of its own for one candidate, with settings of its own."""
        name = self.name(what)
        # Kept by a name: a client that is let go of takes its open calls with it.
        admin = clients.new_admin(self.settings.kafka)
        new = NewTopic(name, self.settings.topics.partitions, 1, config=dict(config or {}))
        for future in admin.create_topics([new]).values():
            future.result(timeout=30)
        return name

    def worker(
        self, events: str, group: str, results: str, port: int = 0
    ) -> AbstractContextManager[psutil.Process]:
        """Our worker's process, on these topics; its metrics are on the port."""
        environment = {
            "TOPICS_EVENTS": events,
            "TOPICS_RESULTS": results,
            "WORKER_GROUP_ID": group,
            "WORKER_HTTP_PORT": str(port),
        }
        command = measure.own("sentiment", "worker")
        return measure.running(command, self.work / self.name("worker"), environment)

    def copy_loop(
        self, events: str, group: str, output: str
    ) -> AbstractContextManager[psutil.Process]:
        """The copy loop's process, on these topics."""
        command = measure.own("benchmarks.copy_loop", group, output)
        folder = self.work / self.name("copy-loop")
        return measure.running(command, folder, {"TOPICS_EVENTS": events})

    def pace(
        self, process: psutil.Process, done: Progress, backlog: Backlog, longest_s: float
    ) -> Pace:
        """How fast a process works a backlog off.

        Raises:
            TimeoutError: It doesn't.
        """

        def alive() -> int:
            if process.status() == psutil.STATUS_ZOMBIE:
                raise TimeoutError("the candidate ended by itself")
            return done()

        def look(count: int) -> Sample:
            at_s = time.monotonic()
            times = measure.processor_s(process), measure.processor_s(self.broker)
            return Sample(at_s, count, *times)

        return measure.watch(alive, backlog.events, longest_s, look)

    @contextmanager
    def progress(self, topic: str, group: str | None) -> Iterator[Progress]:
        """A counter of what is done; make it before its candidate starts."""
        done = Progress(self.settings, topic, group)
        try:
            yield done
        finally:
            done.close()


@contextmanager
def opened() -> Iterator[Bench]:
    """Start Kafka, create the topics, publish the model."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, broker = stack.enter_context(measure.local_kafka(work))
        os.environ |= {
            "KAFKA_BOOTSTRAP_SERVERS": address,
            "MLFLOW_TRACKING_URI": f"sqlite:///{work}/mlflow.db",
            "MODEL_CACHE_DIR": str(work / "models"),
            # A version: what following an alias costs at a start, MLflow's import above all, is
            # spread over days and would fall into seconds here.
            "MODEL_URI": "models:/sentiment/1",
        }
        ensure_published(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
        settings = Settings()
        topics.create(settings)
        yield Bench(work, settings, broker)
