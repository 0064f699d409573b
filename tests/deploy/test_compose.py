"""Claims about docker-compose.yml and what it mounts, made of what the files say."""

import copy
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from local.jars import KAFKA_VERSION
from sentiment.settings import WorkerSettings
from stream_worker.trends.settings import TrendsSettings
from tests.deploy.charts import CHART
from tests.deploy.dockerfile import ROOT, chain, stages
from tests.deploy.test_dockerfile import TARGETS, known_settings
from tests.processes import run
from web.settings import WebSettings

FILE = ROOT / "docker-compose.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
ONCE = {"bucket", "champion", "topics"}
# Read by MLflow's and Amazon's clients.
NOT_OURS = {
    "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_TRACKING_URI",
}  # fmt: skip
# These images read all that begins so; the store's own command does.
OTHERS_PREFIX = {"kafka": "KAFKA_", "grafana": "GF_", "store": "S3_"}
# The ports that are published for pods of a Kubernetes on this machine.
FOR_PODS = "${PODS_ADDRESS:-127.0.0.1}"


def test_it_is_a_compose_file() -> None:
    """The file fits the schema of the Compose specification, and a broken one doesn't."""
    program = Path(sys.executable).parent / "check-jsonschema"
    options = ("--builtin-schema", "vendor.compose-spec", "--default-filetype", "yaml")
    text = FILE.read_text()
    assert run(program, *options, "-", said=text).returncode == 0
    broken = text.replace("restart: unless-stopped", "restarts: never")
    assert run(program, *options, "-", said=broken).returncode != 0


def target(name: str) -> str:
    """Which target of the Dockerfile a service runs; empty for an image of others."""
    found = re.fullmatch(r"sentiment-(\w+)", SERVICES[name]["image"])
    return found[1] if found else ""


def before(name: str, path: tuple[str, ...] = ()) -> set[str]:
    """All that a service waits for, directly or not; fails where the order has a circle."""
    assert name not in path
    direct = SERVICES[name].get("depends_on", {})
    return {*direct, *(far for one in direct for far in before(one, (*path, name)))}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_or_built_here(name: str) -> None:
    """An image has a version, or is one of ours and never pulled."""
    service = SERVICES[name]
    if target(name):
        assert target(name) in TARGETS
        # Not `build`: with containerd's image store every build is another image, so that each `up`
        # would recreate all that runs.
        assert service["pull_policy"] == "never"
    else:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?", service["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_one_service_builds_an_image_for_all_that_run_it(name: str) -> None:
    """Two builds of one tag differ in their labels, and `up` would recreate what runs the other.

    What builds is waited for by all others, so that a part of the services is whole as well.
    """
    if not target(name):
        assert "build" not in SERVICES[name]
        return
    same = [other for other in SERVICES if target(other) == target(name)]
    (builder,) = (other for other in same if "build" in SERVICES[other])
    assert SERVICES[builder]["build"] == {"context": ".", "target": target(name)}
    assert builder in {name, *before(name)}


def unwritable(document: dict[str, Any]) -> Iterator[str]:
    """Services that Compose can't start: read-only, with a config or secret that is no file."""
    for name, service in document["services"].items():
        for kind in ("configs", "secrets") if service.get("read_only") else ():
            for one in service.get(kind, []):
                source = one if isinstance(one, str) else one["source"]
                if "file" not in document[kind][source]:
                    yield name


def test_what_is_read_only_is_given_files_alone() -> None:
    """Compose writes a config or secret of any other kind into the container, and so it can't."""
    assert not list(unwritable(DOCUMENT))
    changed = copy.deepcopy(DOCUMENT)
    changed["configs"] = {"s3": {"content": "{}"}, "f": {"file": "./f"}}
    changed["services"]["store"]["configs"] = [{"source": "s3", "target": "/s3.json"}]
    changed["services"]["web"]["configs"] = ["f"]
    changed["services"]["kafka"]["configs"] = ["s3"]
    assert list(unwritable(changed)) == ["store"]


def test_kafka_is_the_one_of_the_tests() -> None:
    """The same version as the local Kafka's."""
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_watched_or_ends(name: str) -> None:
    """A service has a health check, its own or its image's, and time to end; what ends has none.

    What ends is tried again a few times: beside other programs of a busy laptop one may time out.
    """
    service = SERVICES[name]
    # A worker may take 20 of them.
    assert service["stop_grace_period"] == "30s"
    if name in ONCE:
        assert service["restart"] == "on-failure:5"
        assert service["healthcheck"] == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    if target(name):
        words = [w for stage in chain(target(name)) for w in stage.all("HEALTHCHECK")]
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
    if target(name):
        assert service["user"] == "10001:10001"
        assert service["tmpfs"]
    # Memory that a file system takes is the container's.
    assert all("size=" in mount for mount in service.get("tmpfs", []))


def test_ports_are_this_machine_s_alone() -> None:
    """Published ports are on loopback and differ; workers have none, and no name of their own."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    ports = [port.replace(FOR_PODS, "127.0.0.1") for port in ports]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    taken = [port.split(":")[1] for port in ports]
    assert len(taken) == len(set(taken))
    assert not {"ports", "container_name", "hostname"} & SERVICES["worker"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    """Files and folders of the project exist; volumes are declared."""
    service = SERVICES[name]
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert mount.endswith(":ro")
        else:
            assert source in DOCUMENT["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_variables_are_known(name: str) -> None:
    """Each variable is one of the settings, or one that the image's program reads."""
    names = SERVICES[name].get("environment", {}).keys()
    if target(name):
        assert names <= known_settings() | NOT_OURS
    else:
        assert all(variable.startswith(OTHERS_PREFIX[name]) for variable in names)


def test_secrets_are_for_a_laptop_or_given() -> None:
    """No password stands in the file but the one whose name says what it is for."""
    values = {
        value
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD|SECRET", name)
    }
    assert values == {
        "${S3_SECRET_KEY:-only-for-a-laptop}",
        "${GRAFANA_PASSWORD:-only-for-a-laptop}",
    }
    assert FILE.read_text().count("only-for-a-laptop") == len(values)


def test_the_store_gives_its_keys_to_nobody(tmp_path: Path) -> None:
    """Its command puts the keys where only it can read them, and neither prints nor passes them."""
    store = SERVICES["store"]
    (script,) = store["command"]
    program = tmp_path / "weed"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    given = {name: f"{name} of $HOME/+" for name in store["environment"]}
    script = script.replace("$$", "$").replace("/tmp/", f"{tmp_path}/")  # noqa: S108 - its own
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = run(*store["entrypoint"], script, env=path | given)
    assert done.returncode == 0, done.stderr
    (keys,) = tmp_path.glob("*.json")
    assert stat.S_IMODE(keys.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    (identity,) = json.loads(keys.read_text())["identities"]
    wanted = {"accessKey": given["S3_ACCESS_KEY"], "secretKey": given["S3_SECRET_KEY"]}
    assert identity["credentials"] == [wanted]
    assert f"-s3.config={keys}" in done.stdout
    assert not [value for value in given.values() if value in done.stdout + done.stderr]
    # Its log files would stand beside the keys, in memory, and grow.
    assert "-logtostderr=true" in done.stdout


def test_pods_reach_kafka_and_registry() -> None:
    """The addresses in the chart's values for a laptop are published, advertised and let in."""
    local = yaml.safe_load((CHART / "values-local.yaml").read_text())
    host, kafka = local["kafka"]["bootstrapServers"].split(":")
    registry = urlsplit(local["registry"]["trackingUri"])
    assert registry.hostname == host
    for name, port, inside in (("kafka", kafka, kafka), ("mlflow", registry.port, 5000)):
        assert f"{FOR_PODS}:{port}:{inside}" in SERVICES[name]["ports"]
    environment = SERVICES["kafka"]["environment"]
    advertised = environment["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"PODS://${{PODS_ADDRESS:-{host}}}:{kafka}" in advertised
    assert f"PODS://:{kafka}" in environment["KAFKA_LISTENERS"].split(",")
    allowed = SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {f"{host}:*", f"{FOR_PODS}:*"} <= {*allowed}
    # Each listener has a protocol, and an address that it gives, but for the controller's.
    names = [listener.partition(":")[0] for listener in environment["KAFKA_LISTENERS"].split(",")]
    mapped = environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    assert sorted(pair.partition(":")[0] for pair in mapped) == sorted(names)
    given = {listener.partition(":")[0] for listener in advertised}
    assert given == {*names} - {environment["KAFKA_CONTROLLER_LISTENER_NAMES"]}


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    """Provisioning names the folder that is mounted, and the uid that the dashboards ask for."""
    folder = ROOT / "observability" / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())
    (source,) = sources["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((folder / "dashboards" / "sentiment.yml").read_text())["providers"]
    mounts = SERVICES["grafana"]["volumes"]
    assert f"./observability/dashboards:{provider['options']['path']}:ro" in mounts


def test_prometheus_asks_every_app() -> None:
    """Each app with metrics is asked, at the port that its settings have by default."""
    jobs = yaml.safe_load((ROOT / "observability" / "prometheus.yml").read_text())["scrape_configs"]
    fixed = [config for job in jobs for config in job.get("static_configs", [])]
    by_name = [config for job in jobs for config in job.get("dns_sd_configs", [])]
    asked = {target for config in fixed for target in config["targets"]}
    asked |= {f"{name}:{config['port']}" for config in by_name for name in config["names"]}
    ports = {
        "worker": WorkerSettings().http_port,
        "trends": TrendsSettings().http_port,
        "web": WebSettings().port,
    }
    assert asked == {*(f"{app}:{port}" for app, port in ports.items()), "127.0.0.1:9090"}
    for app, port in ports.items():
        assert stages()[app].all("EXPOSE") == [str(port)]
