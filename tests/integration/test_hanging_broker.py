"""A broker that takes connections and answers nothing, as one whose process is stopped."""

import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.integration.commands import command
from tests.integration.workers import PATIENCE_S

# Above the ten seconds after which the client gives up its first question on a connection.
CONNECT_S = 13
COMMANDS = {
    "topics": ["topics"],
    "results": ["results"],
    "dlq list": ["dlq", "list"],
    "produce": ["produce", "a text"],
    "replay": ["replay", "--from", "1h", "--output-topic", "again"],
}


@pytest.fixture
def address() -> Iterator[str]:
    """Where the operating system takes connections, and nobody reads them."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_commands_say_that_nobody_answers(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends with that sentence, and none blames TLS, passwords or the version."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", address)
    monkeypatch.setenv("KAFKA_CONNECT_TIMEOUT_S", str(CONNECT_S))
    running = {
        name: subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, encoding="utf-8")
        for name, arguments in COMMANDS.items()
    }
    deadline = time.monotonic() + PATIENCE_S
    for name, process in running.items():
        _, said = process.communicate(timeout=max(deadline - time.monotonic(), 1))
        assert process.returncode == 1, f"{name}: {said}"
        assert f"No Kafka broker answers at {address}" in said, f"{name}: {said}"
        assert "TLS" not in said, f"{name}: {said}"
        assert "Traceback" not in said, f"{name}: {said}"
