"""Claims about the program that images ask for an app's health with."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from sentiment.health import HealthServer
from sentiment.metrics import WORKER

TROUBLE: list[str] = []


@pytest.fixture
def server() -> Iterator[HealthServer]:
    """Probes that answer what a test says."""
    TROUBLE.clear()
    server = HealthServer("127.0.0.1", 0, lambda: "", lambda: "".join(TROUBLE), WORKER)
    server.start()
    yield server
    server.stop()


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it as an image does."""
    command = [sys.executable, "-m", "sentiment.healthcheck", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_app_that_is_ready_is_healthy(server: HealthServer) -> None:
    """200 is exit code 0, and nothing is said."""
    done = check(f"http://127.0.0.1:{server.port}/readyz")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_app_that_is_not_says_why(server: HealthServer) -> None:
    """503 is exit code 1, with the app's own reason."""
    TROUBLE.append("transactions fail")
    done = check(f"http://127.0.0.1:{server.port}/readyz")
    assert done.returncode == 1
    assert "503 transactions fail" in done.stderr


def test_nobody_there() -> None:
    """No answer is exit code 1; no address is wrong use, 2."""
    done = check("http://127.0.0.1:1/readyz")
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert check().returncode == 2


def test_it_costs_next_to_nothing() -> None:
    """None of the app's libraries is loaded for a question that is asked every few seconds."""
    code = "import sys, sentiment.healthcheck; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"confluent_kafka", "numpy", "pydantic", "structlog"} & set(done.stdout.split())
