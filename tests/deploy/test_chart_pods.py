"""Claims about the pods of the chart: what they are given is what the programs in them read."""

import re
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import flask
import pytest

from sentiment import settings
from sentiment.health import HealthServer
from sentiment.settings import KafkaSettings, Section
from stream_worker.trends import app as trends_app
from tests.deploy import charts
from tests.deploy.charts import NAMES, Manifest, environment, objects, pods
from tools import chart
from web.app import probes

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
        assert named - OTHERS <= set(chart.names())
        assert not named & set(chart.names(secret=True))


@every_set
def test_the_settings_accept_what_a_pod_is_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The typed settings read the pod's environment and Secrets without a complaint."""
    sections = [getattr(settings, each) for each in settings.__all__]
    for number, (part, pod) in enumerate(pods(objects(name))):
        if part == "test":
            continue
        with monkeypatch.context() as patch:
            for variable, value in in_folder(pod, tmp_path / str(number)).items():
                patch.setenv(variable, value)
            made = [s() for s in sections if issubclass(s, Section)]
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
            assert arguments[0] in project["entry-points"]["sentiment.commands"]


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
        server = HealthServer("127.0.0.1", 0, lambda: "", lambda: "")
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
