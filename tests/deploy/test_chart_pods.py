"""Claims about pods: what they are given, which Secrets, and that their ends lose nothing."""

import re
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest

from sentiment import apps
from sentiment.health import HealthServer
from sentiment.metrics import WORKER
from sentiment.settings import KafkaSettings, WorkerSettings
from stream_worker.trends import app as trends_app
from stream_worker.trends.app import STOP_S
from tests.deploy import charts
from tests.deploy.charts import NAMES, Manifest, environment, objects, of_kind, pods
from tools import reference
from web.app import probes
from web.command import CLOSE_S, GRACE_S

# What is no setting of ours: the pod's own name, MLflow's and DagsHub's, and the test's.
OTHERS = {
    "POD_NAME",
    "SENTIMENT_SECRETS_DIR",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "DAGSHUB_REPO",
    "PAGE",
}
ASKED = ("/metrics", "/livez", "/readyz", "/healthz")
HOSTS = {"worker": "WORKER_HTTP_HOST", "web": "WEB_HOST", "trends": "TRENDS_HTTP_HOST"}
PORTS = {"worker": "WORKER_HTTP_PORT", "web": "WEB_PORT", "trends": "TRENDS_HTTP_PORT"}
every_set = pytest.mark.parametrize("name", NAMES)


def in_folder(pod: Manifest, folder: Path) -> dict[str, str]:
    """A pod's environment with its mounted Secrets in a folder; each key's content is its name."""
    variables = {name: value for name, value in environment(pod).items() if value is not None}
    mounts = pod["spec"]["containers"][0]["volumeMounts"]
    places = {mount["name"]: mount["mountPath"] for mount in mounts}
    for volume in pod["spec"].get("volumes", []):
        sources = [s["secret"] for s in volume.get("projected", {}).get("sources", [])]
        sources += [volume["secret"]] if "secret" in volume else []
        for item in (item for source in sources for item in source["items"]):
            file = folder / places[volume["name"]].lstrip("/") / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(item["key"])
    moved = ("SENTIMENT_SECRETS_DIR", "KAFKA_SSL_CA_LOCATION")
    return {k: f"{folder}{v}" if k in moved else v for k, v in variables.items()}


@every_set
def test_every_variable_is_one_that_the_programs_know(name: str) -> None:
    """Nothing is set that nobody reads, and no secret is a variable."""
    for _, pod in pods(objects(name)):
        named = environment(pod).keys()
        assert named - OTHERS <= set(reference.setting_names())
        assert not named & set(reference.setting_names(secret=True))


@every_set
def test_the_settings_accept_what_a_pod_is_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The typed settings read the pod's environment and Secrets without a complaint."""
    for number, (part, pod) in enumerate(pods(objects(name))):
        if part == "test":
            continue
        with monkeypatch.context() as patch:
            for variable, value in in_folder(pod, tmp_path / str(number)).items():
                patch.setenv(variable, value)
            made = [section() for section in apps.sections()]
        (kafka,) = (section for section in made if isinstance(section, KafkaSettings))
        assert kafka.bootstrap_servers != "127.0.0.1:9092"
        if name == "eks":
            assert kafka.sasl_password.get_secret_value() == "password"
            assert kafka.sasl_username.startswith("sentiment-")


@every_set
def test_a_pod_listens_where_it_is_looked_for(name: str) -> None:
    """Apps with a port listen on every address, on the port that the container names."""
    for part, setting in PORTS.items():
        pod = charts.pod_of(objects(name), part)
        (port,) = pod["spec"]["containers"][0]["ports"]
        assert environment(pod)[HOSTS[part]] == "0.0.0.0"  # noqa: S104 - a pod's own addresses
        assert environment(pod)[setting] == str(port["containerPort"])


@every_set
def test_a_pods_program_is_one_of_the_projects(name: str) -> None:
    """What is started exists; the image's entry point, which passes signals on, is left alone."""
    project = tomllib.loads((charts.ROOT / "pyproject.toml").read_text())["project"]
    for part, pod in pods(objects(name)):
        container = pod["spec"]["containers"][0]
        assert "command" not in container
        program, *arguments = container["args"]
        if part == "test":
            assert program == "python"
            compile(arguments[-1], "one-text", "exec")
        else:
            assert program in project["scripts"]
            assert arguments[0] in apps.commands()


@every_set
def test_a_pod_is_restricted(name: str) -> None:
    """Pods meet the restricted profile, write nowhere but in volumes, and ask no API server."""
    for _, pod in pods(objects(name)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert all("hostPath" not in volume for volume in spec.get("volumes", []))
        (container,) = spec["containers"]
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@every_set
def test_no_image_is_a_moving_target(name: str) -> None:
    """Each image has a tag, and it isn't `latest`; each part has its own image."""
    for part, pod in pods(objects(name)):
        image = pod["spec"]["containers"][0]["image"]
        app = {"topics": "worker", "test": "web"}.get(part, part)
        assert re.search(rf"sentiment-{app}:[^/:]+$", image)
        assert not image.endswith(":latest")


def test_where_the_apps_write_is_a_volume() -> None:
    """The model's cache and temporary files are on volumes that the pod has."""
    for name in NAMES:
        worker = charts.pod_of(objects(name), "worker")
        mounts = {m["mountPath"] for m in worker["spec"]["containers"][0]["volumeMounts"]}
        cache = Path(str(environment(worker)["MODEL_CACHE_DIR"]))
        assert mounts & {str(cache), str(cache.parent)}
        assert "/tmp" in mounts  # noqa: S108 - a pod's own


class Pages:
    """Stands for Faust's app where pages are added, and remembers their paths."""

    def __init__(self) -> None:
        self.paths: set[str] = set()

    def page(self, path: str) -> Any:  # noqa: ANN401 - Faust's
        """Note a page."""
        self.paths.add(path)
        return lambda view: view


def paths(part: str) -> set[str]:
    """The paths that an app answers, asked of the app."""
    if part == "worker":
        server = HealthServer("127.0.0.1", 0, lambda: "", lambda: "", WORKER)
        server.start()
        try:
            return {path for path in ASKED if _answers(f"http://127.0.0.1:{server.port}{path}")}
        finally:
            server.stop()
    if part == "web":
        app = flask.Flask("web")
        app.register_blueprint(probes)
        return {rule.rule for rule in app.url_map.iter_rules()}
    pages = Pages()
    trends_app.add_views(pages, None, None, str)  # type: ignore[arg-type]
    return pages.paths


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
            return int(answer.status) == 200
    except urllib.error.HTTPError as error:
        with error:
            return False


@pytest.mark.parametrize("part", ["worker", "web", "trends"])
def test_probes_and_scrapes_ask_for_pages_that_there_are(part: str) -> None:
    """Each probe's path and `/metrics` are answered by the app."""
    answered = paths(part)
    container = charts.pod_of(objects("eks"), part)["spec"]["containers"][0]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in answered
        assert asked["port"] == container["ports"][0]["name"]
    assert "/metrics" in answered


def references(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any YAML
    """Every Secret and key that a pod asks for."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
        if isinstance(secret := value.get("secret"), dict):
            name = secret.get("secretName") or secret["name"]
            yield from ((name, item["key"]) for item in secret["items"])
        for inner in value.values():
            yield from references(inner)


def sources(name: str) -> set[tuple[str, str]]:
    """Every Secret and key that Strimzi, the External Secrets operator or a manifest makes."""
    users = charts.documents(charts.CLUSTER / "strimzi" / "users.yaml")
    found = {(user["metadata"]["name"], "password") for user in users}
    cluster = charts.of("strimzi/kafka.yaml", "Kafka")["metadata"]["name"]
    found.add((f"{cluster}-cluster-ca-cert", "ca.crt"))
    for secret in of_kind(objects(name), "ExternalSecret"):
        target = secret["spec"]["target"]["name"]
        found |= {(target, data["secretKey"]) for data in secret["spec"]["data"]}
    return found


@every_set
def test_every_secret_that_a_pod_asks_for_has_a_source(name: str) -> None:
    """No pod waits for a Secret or a key that nobody writes."""
    asked = {reference for _, pod in pods(objects(name)) for reference in references(pod)}
    assert asked <= sources(name)
    assert bool(asked) == name.startswith("eks")


def test_each_part_on_strimzi_is_a_user_of_its_own() -> None:
    """No two parts share a user, and each user is one that the cluster has."""
    names = [
        charts.environment(pod)["KAFKA_SASL_USERNAME"]
        for part, pod in pods(objects("eks"))
        if part in {"worker", "web", "trends"}
    ]
    assert sorted(map(str, names)) == ["sentiment-page", "sentiment-trends", "sentiment-worker"]
    assert {(name, "password") for name in names} <= sources("eks")


def test_secrets_from_outside_are_asked_for_where_they_are() -> None:
    """The External Secrets operator is sent to the store of `k8s/`, for what its role may read."""
    (store,) = charts.documents(charts.CLUSTER / "secretstore.yaml")
    policy = (charts.CLUSTER / "iam" / "external-secrets.json").read_text()
    secrets = of_kind(objects("eks-msk"), "ExternalSecret")
    assert secrets
    for secret in secrets:
        reference = secret["spec"]["secretStoreRef"]
        assert reference == {"name": store["metadata"]["name"], "kind": store["kind"]}
        for data in secret["spec"]["data"]:
            assert data["remoteRef"]["key"].startswith(("sentiment/", "AmazonMSK_sentiment-"))
    assert "secret:AmazonMSK_sentiment-*" in policy
    assert "secret:sentiment/*" in policy


@every_set
def test_a_worker_is_never_killed_before_its_own_deadline(name: str) -> None:
    """SIGKILL comes later than the time that the worker gives its open batch."""
    worker = charts.pod_of(objects(name), "worker")
    own = float(
        environment(worker).get("WORKER_SHUTDOWN_TIMEOUT_S") or WorkerSettings().shutdown_timeout_s
    )
    assert worker["spec"]["terminationGracePeriodSeconds"] >= own + 5


def test_the_grace_follows_the_workers_setting() -> None:
    """A longer deadline makes a longer grace, and a grace that is too short is refused."""
    setting = "worker.settings.WORKER_SHUTDOWN_TIMEOUT_S=45.5"
    worker = charts.pod_of(charts.render("--set", setting), "worker")
    assert worker["spec"]["terminationGracePeriodSeconds"] == 56
    refused = charts.template("--set", "worker.terminationGracePeriodSeconds=20")
    assert refused.returncode == 1
    assert "WORKER_SHUTDOWN_TIMEOUT_S=20" in refused.stderr


def deployment(name: str, part: str) -> Manifest:
    """A part's Deployment."""
    made = of_kind(objects(name), "Deployment")
    return next(m for m in made if m["metadata"]["name"].endswith(f"-{part}"))


@every_set
def test_the_page_goes_only_when_nobody_is_sent_to_it(name: str) -> None:
    """A page's pod waits before its end, and has time for what is open afterwards."""
    spec = charts.pod_of(objects(name), "web")["spec"]
    wait = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert wait >= 5
    assert spec["terminationGracePeriodSeconds"] > wait + GRACE_S + CLOSE_S
    page = deployment(name, "web")
    assert page["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_trends_have_longer_than_they_give_themselves() -> None:
    """The trends end by themselves before they are killed, and never run twice."""
    trends = charts.pod_of(objects("eks"), "trends")
    assert trends["spec"]["terminationGracePeriodSeconds"] > STOP_S
    spec = deployment("eks", "trends")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@every_set
def test_a_worker_has_a_name_of_its_own_that_it_keeps(name: str) -> None:
    """Each pod's transactional id is its own, comes back with it, and is one that it may use."""
    (workers,) = of_kind(objects(name), "StatefulSet")
    worker = workers["spec"]["template"]
    group = WorkerSettings().group_id
    assert environment(worker)["WORKER_TRANSACTIONAL_ID"] == f"{group}-$(POD_NAME)"
    first = worker["spec"]["containers"][0]["env"][0]
    assert first["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


@every_set
def test_nodes_are_drained_one_pod_of_a_part_at_a_time(name: str) -> None:
    """Workers and page have budgets that let one go; none stops a drain."""
    budgets = of_kind(objects(name), "PodDisruptionBudget")
    assert {b["metadata"]["name"].rpartition("-")[2] for b in budgets} == {"worker", "web"}
    assert all(budget["spec"]["maxUnavailable"] == 1 for budget in budgets)
