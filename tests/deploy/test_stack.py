"""Claims about the whole of docker-compose.yml, where a Docker daemon answers.

What a machine needs changed, such as images from elsewhere, stands in a Compose file of its own,
whose path is `TEST_COMPOSE_FILE`.
"""

import json
import os
import shutil
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.charts import CHART
from tests.deploy.dockerfile import ROOT
from tests.processes import run, until

# Images are built, a Kafka and a registry start, and a model is compiled.
BUILD_S, START_S = 1800, 600

# Ports of this machine may be taken. Those for pods are on an address of our own.
CHANGES = """\
services:
  kafka: {ports: !override ["${PODS_ADDRESS}:9095:9095"]}
  mlflow: {ports: !override ["127.0.0.1:0:5000", "${PODS_ADDRESS}:5002:5000"]}
  trends: {ports: !override ["127.0.0.1:0:6066"]}
  web: {ports: !override ["127.0.0.1:0:5000"]}
  prometheus: {ports: !override ["127.0.0.1:0:9090"]}
  grafana: {ports: !override ["127.0.0.1:0:3000"]}
"""


DOCKER = shutil.which("docker") or "docker"
ONCE = {"bucket", "champion", "topics"}
OURS = {"mlflow", "trends", "web", "worker"}


def why_not() -> str:
    """Why nothing can be started here; empty if it can."""
    if shutil.which(DOCKER) is None:
        return "there is no docker command"
    for question in (["info"], ["compose", "version"]):
        if run(DOCKER, *question).returncode != 0:
            return f"`docker {' '.join(question)}` fails: no Docker daemon, or no Compose, is here"
    return ""


pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "a Docker daemon answers"),
    pytest.mark.timeout(BUILD_S + 3 * START_S),
]


def docker(*arguments: str, said: str = "", timeout: float = START_S, **more: str) -> str:
    """What a command of Docker's prints; `said` is its input, and variables may be given."""
    done = run(DOCKER, *arguments, said=said, env=os.environ | more, timeout=timeout)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


class Stack:
    """The services under a name of their own, and a network beside theirs, as pods have one."""

    def __init__(self, folder: Path) -> None:
        changes = folder / "changes.yml"
        changes.write_text(CHANGES)
        files = [str(ROOT / "docker-compose.yml"), str(changes)]
        if more := os.environ.get("TEST_COMPOSE_FILE"):
            files.append(more)
        self.name = f"sentiment-{uuid.uuid4().hex[:8]}"
        self.pods = f"{self.name}-pods"
        self._compose = ["compose", "--project-name", self.name]
        self._compose += [part for file in files for part in ("--file", file)]
        docker("network", "create", self.pods)
        address = "{{(index .IPAM.Config 0).Gateway}}"
        self.gateway = docker("network", "inspect", self.pods, "--format", address).strip()

    def run(self, *arguments: str, timeout: float = START_S) -> str:
        """What a Compose command prints."""
        return docker(*self._compose, *arguments, timeout=timeout, PODS_ADDRESS=self.gateway)

    def states(self, *services: str) -> list[dict[str, Any]]:
        """What Compose knows of each container."""
        lines = self.run("ps", "--all", "--format", "json", *services).splitlines()
        return [json.loads(line) for line in lines]

    def healthy(self) -> bool:
        """Whether each service that goes on running has passed its health check."""
        lasting = [state for state in self.states() if state["Service"] not in ONCE]
        return all(state["Health"] == "healthy" for state in lasting)

    def inspect(self, template: str, *services: str) -> list[str]:
        """What Docker knows of each container, by a template of its own."""
        names = [state["Name"] for state in self.states(*services)]
        return docker("inspect", "--format", template, *names).splitlines()

    def in_a_pod(self, *command: str, said: str = "") -> str:
        """What a command prints beside the services, with the addresses of values-local.yaml."""
        values = yaml.safe_load((CHART / "values-local.yaml").read_text())
        addresses = {
            "KAFKA_BOOTSTRAP_SERVERS": values["kafka"]["bootstrapServers"],
            "MLFLOW_TRACKING_URI": values["registry"]["trackingUri"],
        }
        network = ["--network", self.pods, f"--add-host=host.docker.internal:{self.gateway}"]
        environment = [f"--env={name}={value}" for name, value in addresses.items()]
        run = ["run", "--rm", "--interactive", *network, *environment, "sentiment-worker"]
        # Ended in there: Docker's own command would leave the container when it is killed.
        return docker(*run, "timeout", str(START_S // 2), *command, said=said)

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
        # `up` returns when the workers have started, which is before they can answer.
        until(stack.healthy, "all services are healthy", START_S, pause_s=1)
        yield stack
    finally:
        stack.run("down", "--volumes", "--timeout", "30")
        docker("network", "rm", stack.pods)


def test_an_event_becomes_a_result(stack: Stack) -> None:
    """What is sent to the page comes back classified by the champion of the registry."""
    stack.ask("web", 5000, "/api/events", {"id": "a", "text": "I loved it."})
    result = json.loads(stack.ask("web", 5000, "/api/results/a?wait=30"))
    assert result["sentiment"] == "positive"
    assert result["model"] == {"name": "sentiment", "version": "1"}


def test_services_are_healthy_and_jobs_have_ended(stack: Stack) -> None:
    """Two workers and each other service are up, and what runs once has exit code 0."""
    states = stack.states()
    assert sum(state["Service"] == "worker" for state in states) == 2
    for state in states:
        if state["Service"] in ONCE:
            assert (state["State"], state["ExitCode"]) == ("exited", 0), state
        else:
            assert (state["State"], state["Health"]) == ("running", "healthy"), state


def test_containers_are_confined(stack: Stack) -> None:
    """No process has a capability or may gain one; ours are no root and write to no image."""
    for state in stack.states():
        if state["Service"] in ONCE:
            continue
        status = docker("exec", state["Name"], "cat", "/proc/1/status")
        assert "CapEff:\t0000000000000000\n" in status, state
        assert "NoNewPrivs:\t1\n" in status, state
        if state["Service"] in OURS:
            assert "Uid:\t10001\t10001\t10001\t10001\n" in status, state
            mounts = docker("exec", state["Name"], "cat", "/proc/1/mounts").splitlines()
            (root,) = (mount.split() for mount in mounts if mount.split()[1] == "/")
            assert "ro" in root[3].split(","), root


def test_another_up_changes_nothing(stack: Stack) -> None:
    """The same containers run on when nothing has changed, and no job fails the second time."""
    before = stack.inspect("{{.Id}} {{.RestartCount}}")
    stack.run("up", "--detach", "--scale", "worker=2")
    assert stack.inspect("{{.Id}} {{.RestartCount}}") == before


def test_pods_send_events_and_read_results(stack: Stack) -> None:
    """From another network, by the addresses of the chart's values for a laptop."""
    assert "champion" in stack.in_a_pod("sentiment", "models")
    event = '{"id": "pod", "text": "I loved it."}'
    stack.in_a_pod("sentiment", "produce", "--file", "-", "--format", "jsonl", said=event)
    results = ["sentiment", "results", "--follow", "--since", "beginning", "--limit", "1"]
    result = json.loads(stack.in_a_pod(*results, "--id", "pod"))
    assert result["sentiment"] == "positive"


def test_ours_end_in_time(stack: Stack) -> None:
    """SIGTERM ends each by itself, with exit code 0, before it would be killed or out of memory."""
    stack.run("stop", *OURS)
    ends = stack.inspect("{{.State.ExitCode}} {{.State.OOMKilled}} {{.Name}}", *OURS)
    assert len(ends) == len(OURS) + 1
    assert all(end.startswith("0 false ") for end in ends), ends
