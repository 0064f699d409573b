"""Claims about the demo, end to end: what a newcomer's first command does."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.process import free_port
from tests import compiled, stores
from tests.integration.workers import PATIENCE_S


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine without Java and Maven, and with a model cache of the test's own."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    bare = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    return {**bare, "PATH": str(tmp_path), "MODEL_CACHE_DIR": str(tmp_path / "models")}


def demo(tmp_path: Path, *arguments: str) -> list[str]:
    """`sentiment demo` on free ports with its data in the test's folder."""
    ports = ("--port", str(free_port()), "--kafka-port", "0")
    data = ("--data-dir", str(tmp_path / "demo"))
    return [sys.executable, "-m", "sentiment", "demo", *ports, *data, *arguments]


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """A command, run to its end."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, check=False
    )


def test_headless_demo_loses_and_doubles_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Started twice on the same data, without Java or Maven: everything comes back once."""
    compiled.provide(tmp_path / "demo" / "models")
    for _ in range(2):
        options = ("--headless", "--duration", "3", "--rate", "500", "--json")
        done = run(environment, *demo(tmp_path, *options))
        assert done.returncode == 0, done.stderr
        [line] = done.stdout.splitlines()
        found = json.loads(line)
        assert set(found) == {
            *("produced", "results", "dead_letters", "duplicates", "missing"),
            *("events_per_second", "p50_ms", "p99_ms", "model"),
        }
        assert (found["missing"], found["duplicates"]) == (0, 0)
        assert found["results"] + found["dead_letters"] == found["produced"] > 1000
        assert found["dead_letters"] > 0
        assert found["model"] == "sentiment/1"


def test_a_given_kafka_is_used(
    tmp_path: Path, environment: dict[str, str], bootstrap_servers: str
) -> None:
    """With `--bootstrap-servers` no broker is started."""
    compiled.provide(tmp_path / "demo" / "models")
    stores.provide(tmp_path / "demo")
    # Topics of the suite's Kafka are made for each test; the demo makes those of its defaults.
    options = ("--bootstrap-servers", bootstrap_servers, "--duration", "2", "--json")
    done = run(environment, *demo(tmp_path, *options))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["missing"] == 0
    assert not (tmp_path / "demo" / "kafka").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_stays_behind(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    """Ctrl-C ends everything with code 0 and a summary; even `kill -9` leaves no child."""
    compiled.provide(tmp_path / "demo" / "models")
    stores.provide(tmp_path / "demo")
    process = subprocess.Popen(
        demo(tmp_path, "--rate", "50"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stderr is not None
    for line in process.stderr:
        # The first figures: all parts are up.
        if line.startswith("results") and not line.startswith("results 0"):
            break
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 3
    process.send_signal(number)
    out, errors = process.communicate(timeout=PATIENCE_S)
    if number == signal.SIGINT:
        assert process.returncode == 0, errors
        assert "0 missing, 0 doubled" in out
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert alive == []


def test_a_taken_page_port_is_a_sentence(tmp_path: Path, environment: dict[str, str]) -> None:
    """The page's port in use: a sentence at once, before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(environment, *demo(tmp_path, "--port", port))
    assert done.returncode == 1
    assert f"Port {port} is in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "demo").exists()
