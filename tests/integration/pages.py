"""What the tests of the page share: a page process, and a stand-in that writes chosen results."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.process import free_port
from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.wire import Input, Model, SentimentResult
from tests.waiting import LONGEST_S, until


class PageProcess:
    """A `sentiment web` of its own, on a free port, with its log in a file.

    Args:
        log: Where its log goes.
        environment: Variables beside our own.
    """

    def __init__(self, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._environment = {**os.environ, **environment}
        self.restart()

    def restart(self, **environment: str) -> None:
        """Start it, the first time or again, on the same port; with more variables if need be."""
        self._environment |= environment
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sentiment", "web", "--port", str(self.port)],
                stdout=output,
                stderr=output,
                env=self._environment,
            )

    def ask(self, path: str, document: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; a document is posted."""
        data = None if document is None else json.dumps(document).encode()
        headers["Content-Type"] = "application/json"
        status, body = self.send(path, data, **headers)
        return status, json.loads(body)

    def send(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of an answer; data are posted."""
        request = urllib.request.Request(f"{self.url}{path}", data, headers)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=LONGEST_S) as answer:  # noqa: S310 - ours
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def outcome(self, name: str) -> tuple[int, Any]:
        """Status and answer about an event, asked for until something is known of it."""
        deadline = time.monotonic() + LONGEST_S
        while (answer := self.ask(f"/api/results/{name}?wait=30"))[0] == 404:
            assert time.monotonic() < deadline, self.log.read_text()
        return answer

    def wait_until(self, *, connected: bool = True) -> None:
        """Wait until it says that Kafka is there, or away."""

        def told() -> bool:
            try:
                return bool(self.ask("/api/status")[1]["kafka"]["connected"] == connected)
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                return False

        until(told, self.log.read_text)

    def end(self) -> None:
        """Kill it if it still runs."""
        self.process.terminate()
        try:
            self.process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(LONGEST_S)


@contextmanager
def page(log: Path, **environment: str) -> Iterator[PageProcess]:
    """A page that reads its topics, ended with the block."""
    process = PageProcess(log, **environment)
    try:
        process.wait_until()
        yield process
    finally:
        process.end()


@pytest.fixture
def site(
    settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[PageProcess]:
    """A page process on the test's own topics; its parameter is an environment of its own."""
    del settings  # its fixture sets the environment
    with page(tmp_path / "web.log", **getattr(request, "param", {})) as process:
        yield process


def result(source: str = "elsewhere", score: float = 0.9, **fields: Any) -> SentimentResult:  # noqa: ANN401 - a result's fields
    """A result as a worker would write it."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "sentiment": "positive" if score > 0.5 else "negative",
        "score": score,
        "confidence": max(score, 1 - score),
        "model": Model("sentiment", "7"),
        "input": Input("text-events", 0, time.monotonic_ns()),
        "received_at": now,
        "processed_at": now,
        "source": source,
    }
    return SentimentResult(**{**given, **fields})


def publish(settings: Settings, *results: SentimentResult | bytes) -> None:
    """Put results, or bytes that are none, on their topic."""
    values = [item if isinstance(item, bytes) else wire.encode(item) for item in results]
    put(settings, settings.topics.results, *values)


def put(settings: Settings, topic: str, *values: bytes) -> None:
    """Put bytes on any topic."""
    producer = clients.new_producer(settings.kafka)
    for value in values:
        producer.produce(topic, value)
        producer.poll(0)
    assert producer.flush(LONGEST_S) == 0
