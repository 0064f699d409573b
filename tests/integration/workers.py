"""What the worker's integration tests share: a worker process, and reading back what it wrote."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Message
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from sentiment import wire
from sentiment.kafka import clients
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings

# Far above what any wait takes, on a busy machine too; reached only when something is broken.
PATIENCE_S = 180.0


def monitored(**constants: float) -> tuple[str, ...]:
    """The program of a worker whose monitor has other numbers, so that nobody waits a minute."""
    return changed("sentiment.kafka.monitor", **constants)


def changed(module: str, **constants: float) -> tuple[str, ...]:
    """The program of a worker in which a module has other numbers."""
    code = [
        f"import {module} as module",
        *(f"module.{name} = {number}" for name, number in constants.items()),
        "from sentiment.cli import main",
        "main()",
    ]
    return "-c", "\n".join(code), "worker"


class WorkerProcess:
    """A `sentiment worker` of its own, with its log in a file.

    Args:
        log: Where its log goes; appended to, so that restarts stay readable.
        environment: The whole environment of the process.
        program: What Python is to run.
    """

    def __init__(
        self,
        log: Path,
        environment: dict[str, str],
        program: Sequence[str] = ("-m", "sentiment", "worker"),
    ) -> None:
        self._log = log
        self._environment = environment
        self._program = program
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *self._program],
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill_and_restart(self) -> None:
        """Kill -9, and start anew."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._process = self._start()

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return self._process.wait(PATIENCE_S)

    def end(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_S)

    def wait_for_log(self, words: str) -> None:
        """Wait until it has logged something."""
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def get(self, path: str, timeout_s: float = PATIENCE_S) -> str:
        """What its probes' port answers; not any status but 200."""
        started = next(line for line in reversed(self.log.splitlines()) if '"port"' in line)
        address = f"http://127.0.0.1:{json.loads(started)['port']}{path}"
        with urllib.request.urlopen(address, timeout=timeout_s) as answer:
            text: str = answer.read().decode()
            return text

    def wait_for_metric(self, line: str) -> None:
        """Wait until a metric has a value: a batch is counted a moment after it can be read."""
        deadline = time.monotonic() + PATIENCE_S
        while line not in (text := self.get("/metrics")).splitlines():
            assert time.monotonic() < deadline, text
            time.sleep(0.05)

    def peak_kb(self) -> int:
        """See `peak_kb`."""
        return peak_kb(self._process.pid)

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        return self._log.read_text()


def peak_kb(pid: int) -> int:
    """The most memory that a process has had in RAM at one time, in kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0])


def configure(settings: Settings, topic: str, name: str, value: str) -> None:
    """Change a topic's configuration."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = clients.new_admin(settings.kafka)
    admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)


def send(settings: Settings, values: Iterable[bytes | None], **options: Any) -> None:  # noqa: ANN401 - produce's options
    """Put values on the events topic, spread over its partitions, and wait for all of them."""
    producer = clients.new_producer(settings.kafka)
    for number, value in enumerate(values):
        producer.produce(
            settings.topics.events, value, partition=number % settings.topics.partitions, **options
        )
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(PATIENCE_S) == 0


def read(settings: Settings, topic: str, enough: Callable[[list[Message]], bool]) -> list[Message]:
    """Read a topic from its beginning, committed records only, until there is enough.

    One more second is read after that: what is doubled comes late.
    """
    records: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    with TopicReader(settings.kafka, topic, "beginning") as reader:
        while not enough(records):
            assert time.monotonic() < deadline, f"only {len(records)} records on {topic}"
            records += reader.poll(0.2)
        settled = time.monotonic() + 1
        while time.monotonic() < settled:
            records += reader.poll(0.2)
    return records


def read_results(settings: Settings, count: int) -> list[wire.SentimentResult]:
    """Read `count` results, and those beyond it that should not be there."""
    records = read(settings, settings.topics.results, lambda seen: len(seen) >= count)
    return [wire.decode_result(record.value() or b"") for record in records]


def read_dead_letters(settings: Settings, count: int) -> list[Message]:
    """Read `count` dead letters, and those beyond it that should not be there."""
    return read(settings, settings.topics.dead_letters, lambda seen: len(seen) >= count)
