"""Claims about docker-compose.yml and what it mounts, made of what the files say."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.jars import KAFKA_VERSION
from sentiment import settings
from tests.deploy.dockerfile import ROOT, chain, stages
from tests.deploy.test_dockerfile import TARGETS, known_settings

FILE = ROOT / "docker-compose.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
ONCE = {"bucket", "champion", "topics"}
# Read by MLflow's and Amazon's clients.
NOT_OURS = {
    "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_TRACKING_URI",
}  # fmt: skip
# These images read all that begins so.
OTHERS_PREFIX = {"kafka": "KAFKA_", "grafana": "GF_"}


def test_it_is_a_compose_file() -> None:
    """The file fits the schema of the Compose specification, and a broken one doesn't."""
    program = Path(sys.executable).parent / "check-jsonschema"
    command = [
        str(program),
        "--builtin-schema",
        "vendor.compose-spec",
        "--default-filetype",
        "yaml",
    ]

    def check(text: str) -> int:
        done = subprocess.run([*command, "-"], input=text, text=True, check=False)
        return done.returncode

    assert check(FILE.read_text()) == 0
    assert check(FILE.read_text().replace("restart: unless-stopped", "restarts: never")) != 0


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_or_built_here(name: str) -> None:
    """An image has a version, or is built from a target that exists and never pulled."""
    service = SERVICES[name]
    if "build" in service:
        assert service["build"]["target"] in TARGETS
        assert service["image"] == f"sentiment-{service['build']['target']}"
        assert service["pull_policy"] == "build"
    else:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?", service["image"])


def test_kafka_is_the_one_of_the_tests() -> None:
    """The same version as the local Kafka's."""
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_watched_or_ends(name: str) -> None:
    """A service has a health check, its own or its image's; what ends has none, and no restart."""
    service = SERVICES[name]
    if name in ONCE:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    if "build" in service:
        words = [w for stage in chain(service["build"]["target"]) for w in stage.all("HEALTHCHECK")]
        assert "CMD" in words[-1]
    else:
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_the_order_of_the_start_is_by_health(name: str) -> None:
    """What a service waits for exists, and is waited for until healthy, or done if it ends."""
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert how == {"condition": wanted}


def test_workers_wait_for_topics_and_champion() -> None:
    """Nobody begins before what it reads is there, and the order has no circle."""

    def before(name: str, path: tuple[str, ...] = ()) -> set[str]:
        assert name not in path
        direct = SERVICES[name].get("depends_on", {})
        return {*direct, *(far for one in direct for far in before(one, (*path, name)))}

    assert before("worker") == {"topics", "kafka", "champion", "mlflow", "bucket", "store"}
    for name in ("trends", "web"):
        assert before(name) >= {"topics", "kafka"}
    for name in SERVICES:
        before(name)


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_confined(name: str) -> None:
    """No privilege, no capability, bounded memory; ours can't write but to /tmp and volumes."""
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & service.keys()
    # Its start writes its configuration into the image.
    assert service.get("read_only", False) == (name != "kafka")
    if "build" in service:
        assert service["user"] == "10001:10001"
        assert service["tmpfs"]


def test_ports_are_this_machine_s_alone() -> None:
    """Published ports are on loopback and differ; workers have none, and no name of their own."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    taken = [port.split(":")[1] for port in ports]
    assert len(taken) == len(set(taken))
    assert not {"ports", "container_name", "hostname"} & SERVICES["worker"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    """Files and folders of the project exist; volumes and configs are declared."""
    service = SERVICES[name]
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert mount.endswith(":ro")
        else:
            assert source in DOCUMENT["volumes"]
    for config in service.get("configs", []):
        assert config["source"] in DOCUMENT["configs"]


@pytest.mark.parametrize("name", SERVICES)
def test_variables_are_known(name: str) -> None:
    """Each variable is one of the settings, or one that the image's program reads."""
    names = SERVICES[name].get("environment", {}).keys()
    if "build" in SERVICES[name]:
        assert names <= known_settings() | NOT_OURS
    else:
        assert all(variable.startswith(OTHERS_PREFIX[name]) for variable in names)


def test_secrets_are_for_a_laptop_or_given() -> None:
    """No password stands in the file but the one whose name says what it is for."""
    secret = re.compile(r"(?:PASSWORD|secretKey|SECRET_ACCESS_KEY)\"?: (.*)")
    values = [
        found[1].strip('"') for found in map(secret.search, FILE.read_text().splitlines()) if found
    ]
    assert len(values) == 3
    assert all(re.fullmatch(r"\$\{[A-Z0-9_]+:-only-for-a-laptop\}", value) for value in values)
    content = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", DOCUMENT["configs"]["s3"]["content"])
    assert json.loads(content)["identities"][0]["credentials"]


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    """Provisioning names the folder that is mounted, and the uid that the dashboards ask for."""
    folder = ROOT / "observability" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((folder / "dashboards" / "sentiment.yml").read_text())["providers"]
    mounts = SERVICES["grafana"]["volumes"]
    assert f"./observability/dashboards:{provider['options']['path']}:ro" in mounts


def test_prometheus_asks_every_app() -> None:
    """Each app with metrics is asked, at the port that its settings have by default."""
    jobs = yaml.safe_load((ROOT / "observability" / "prometheus.yml").read_text())["scrape_configs"]
    asked = {
        target
        for job in jobs
        for target in (
            *(t for config in job.get("static_configs", []) for t in config["targets"]),
            *(
                f"{n}:{config['port']}"
                for config in job.get("dns_sd_configs", [])
                for n in config["names"]
            ),
        )
    }
    tree = settings.Settings()
    ports = {"worker": tree.worker.http_port, "trends": tree.trends.http_port, "web": tree.web.port}
    assert asked == {*(f"{app}:{port}" for app, port in ports.items()), "127.0.0.1:9090"}
    for app, port in ports.items():
        assert stages()[app].all("EXPOSE") == [str(port)]
