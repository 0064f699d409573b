"""Claims about the whole of docker-compose.yml, where a Docker daemon answers."""

import json
import shutil
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT

# Images are built, a Kafka and a registry start, and a model is compiled.
BUILD_S, START_S = 1800, 600

# Ports of this machine may be taken, and a second worker takes part.
CHANGES = """\
services:
  kafka: {ports: !override []}
  mlflow: {ports: !override ["127.0.0.1:0:5000"]}
  trends: {ports: !override ["127.0.0.1:0:6066"]}
  web: {ports: !override ["127.0.0.1:0:5000"]}
  prometheus: {ports: !override ["127.0.0.1:0:9090"]}
  grafana: {ports: !override ["127.0.0.1:0:3000"]}
"""


def why_not() -> str:
    """Why nothing can be started here; empty if it can."""
    docker = shutil.which("docker")
    if docker is None:
        return "there is no docker command"
    for question in (["info"], ["compose", "version"]):
        asked = subprocess.run([docker, *question], capture_output=True, timeout=60, check=False)
        if asked.returncode != 0:
            return f"`docker {' '.join(question)}` fails: no Docker daemon, or no Compose, is here"
    return ""


pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "a Docker daemon answers"),
    pytest.mark.timeout(BUILD_S + 2 * START_S),
]


class Stack:
    """The services under a name of their own."""

    def __init__(self, folder: Path) -> None:
        changes = folder / "changes.yml"
        changes.write_text(CHANGES)
        files = ["--file", str(ROOT / "docker-compose.yml"), "--file", str(changes)]
        name = f"sentiment-{uuid.uuid4().hex[:8]}"
        self._command = ["docker", "compose", "--project-name", name, *files]

    def run(self, *arguments: str, timeout: float = START_S) -> str:
        """What a Compose command prints."""
        done = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def ask(self, service: str, port: int, path: str, event: dict[str, str] | None = None) -> str:
        """What a service answers on its published port."""
        address = self.run("port", service, str(port)).strip()
        request = urllib.request.Request(
            f"http://{address}{path}",
            data=json.dumps(event).encode() if event else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services, with two workers."""
    stack = Stack(tmp_path_factory.mktemp("compose"))
    try:
        stack.run("build", timeout=BUILD_S)
        stack.run("up", "--detach", "--scale", "worker=2")
        yield stack
    finally:
        stack.run("down", "--volumes", "--timeout", "30")


def test_an_event_becomes_a_result(stack: Stack) -> None:
    """What is sent to the page comes back classified by the champion of the registry."""
    stack.ask("web", 5000, "/api/events", {"id": "a", "text": "I loved it."})
    result = json.loads(stack.ask("web", 5000, "/api/results/a?wait=30"))
    assert result["sentiment"] == "positive"
    assert result["model"] == {"name": "sentiment", "version": "1"}


def test_services_are_healthy_and_jobs_have_ended(stack: Stack) -> None:
    """Two workers and each other service are up, and what runs once has exit code 0."""
    lines = stack.run("ps", "--all", "--format", "json").splitlines()
    states = [json.loads(line) for line in lines]
    assert sum(state["Service"] == "worker" for state in states) == 2
    for state in states:
        if state["Service"] in {"bucket", "champion", "topics"}:
            assert (state["State"], state["ExitCode"]) == ("exited", 0), state
        else:
            assert state["State"] == "running", state
            assert state["Health"] in {"healthy", "starting"}, state


def test_a_worker_ends_in_time(stack: Stack) -> None:
    """SIGTERM ends a worker by itself, with exit code 0, well before it would be killed."""
    stack.run("stop", "worker")
    lines = stack.run("ps", "--all", "--format", "json", "worker").splitlines()
    assert [json.loads(line)["ExitCode"] for line in lines] == [0, 0]
    stack.run("start", "worker")
