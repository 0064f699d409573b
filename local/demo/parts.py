"""Kafka, registry, worker, trends and page, each started as soon as what it needs is there."""

import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local import process
from local.broker import LocalKafka
from local.jars import Say
from local.process import HOST, free_port, require_free_port
from local.settings import LocalSettings
from sentiment.errors import SentimentError, SetupError
from sentiment.kafka import topics
from sentiment.settings import Settings

# The first start makes the registry's tables, which takes a few seconds on a slow disk.
PUBLISH_S = 120.0
# Longer than the worker's own deadline, so that it is never killed while it ends its batch.
STOP_S = 25.0


@dataclass(frozen=True)
class Options:
    """What the user asked for; see the command's help."""

    data_dir: Path
    port: int
    kafka_port: int
    bootstrap_servers: str | None


class Parts:
    """Everything that the demo runs, stopped with the block in the reverse order.

    Args:
        options: What the user asked for.
        say: Told of progress.

    Raises:
        SentimentError: What could not be started and why.
    """

    def __init__(self, options: Options, say: Say) -> None:
        self._options = options
        self._say = say
        self._stack = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._broker: LocalKafka | None = None
        self.data_dir = options.data_dir
        self.page = f"http://{HOST}:{options.port}"
        self.metrics = f"http://{HOST}:{free_port()}/metrics"
        self.settings = Settings()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: ExitStack) -> None:
        options = self._options
        require_free_port(options.port)
        if not options.bootstrap_servers and options.kafka_port:
            require_free_port(options.kafka_port, "--kafka-port")
        with process.stored(options.data_dir):
            options.data_dir.mkdir(parents=True, exist_ok=True)
        process.require_space(options.data_dir)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{options.data_dir / 'mlflow.db'}"
        os.environ.pop("MLFLOW_REGISTRY_URI", None)
        # With the registry: a copy of another registry's model must not serve for this one's.
        os.environ["MODEL_CACHE_DIR"] = str(options.data_dir / "models")
        registry = _Publishing(os.environ["MLFLOW_TRACKING_URI"])
        registry.start()
        if options.bootstrap_servers:
            address = options.bootstrap_servers
        else:
            self._say("Starting Apache Kafka …")
            cache = LocalSettings().cache_dir
            folder = options.data_dir / "kafka"
            broker = LocalKafka(folder, cache, self._say, port=options.kafka_port)
            self._broker = stack.enter_context(broker)
            address = broker.bootstrap_servers
        # After Kafka, so that they end before it: a worker leaves its group with a word.
        stack.callback(self.stop_processes)
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = address
        self.settings = Settings()
        topics.create(self.settings)
        trends = free_port()
        os.environ["WEB_TRENDS_URL"] = f"http://{HOST}:{trends}"
        self._say("Starting the page …")
        self._run("web", "--port", str(options.port))
        registry.wait()
        self._say("Starting the worker …")
        self._run("worker", "--http-port", self.metrics.split(":")[2].split("/")[0])
        self._run("trends", "--http-port", str(trends))

    def _run(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "sentiment", name, *arguments]
        self._processes[name] = process.start(command, self._log(name))

    def _log(self, name: str) -> Path:
        return self._options.data_dir / f"{name}.log"

    def raise_if_dead(self) -> None:
        """Raise a `SetupError` when a part has ended by itself."""
        if self._broker is not None:
            self._broker.raise_if_dead()
        for name, part in self._processes.items():
            if part.poll() is not None:
                raise SetupError(
                    f"The {name} ended with code {part.returncode}; see {self._log(name)}.",
                    process.tail(self._log(name)),
                )

    def stop_processes(self) -> None:
        """Stop worker, trends and page; Kafka runs on until the end of the block."""
        process.stop(list(self._processes.values()), STOP_S)

    def __exit__(self, *error: object) -> None:
        self._stack.close()


class _Publishing(threading.Thread):
    """Puts the bundled model into the registry while Kafka starts."""

    def __init__(self, tracking_uri: str) -> None:
        super().__init__(name="publish", daemon=True)
        self._tracking_uri = tracking_uri
        self._error: Exception | None = None

    def run(self) -> None:
        """Publish, and keep what goes wrong for `wait`."""
        from sentiment.registry.publish import ensure_published

        try:
            ensure_published(tracking_uri=self._tracking_uri)
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            self._error = error

    def wait(self) -> None:
        """Wait until the model is in the registry; raises why it isn't."""
        self.join(PUBLISH_S)
        if self.is_alive():
            raise SetupError(f"The registry at {self._tracking_uri} took over {PUBLISH_S:.0f} s.")
        if isinstance(self._error, SentimentError):
            raise self._error
        if self._error is not None:
            raise SetupError(
                f"The registry at {self._tracking_uri} can't be set up: {self._error}.",
                "Is the disk full? Else delete that file and start again.",
            ) from self._error
