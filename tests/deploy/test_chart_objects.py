"""Claims about what the chart renders: Helm and Kubernetes take it, and it is one piece."""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.deploy import charts
from tests.deploy.charts import NAMES, files, helm, objects, of_kind, pods
from tests.deploy.validity import problems

MONITORED = ("eks", "eks-msk")


@pytest.mark.parametrize("name", NAMES)
def test_helm_finds_nothing_to_say(name: str) -> None:
    """`helm lint --strict` passes with each set of values."""
    done = helm("lint", "--strict", str(charts.CHART), *files(name))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_and_the_operators_take_every_object(name: str) -> None:
    """Each object fits the schemas of three versions of Kubernetes, or its operator's."""
    found = [problem for manifest in objects(name) for problem in problems(manifest)]
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique_and_labels_are_the_releases(name: str) -> None:
    """No object overwrites another, and each carries the release's labels."""
    manifests = objects(name)
    named = [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(named) == len(set(named))
    for manifest in manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == charts.RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


@pytest.mark.parametrize("name", NAMES)
def test_every_selector_finds_the_pods_of_its_part(name: str) -> None:
    """Workloads, Services, budgets and monitors select pods that there are, of one part."""
    manifests = objects(name)
    labels = [(part, pod["metadata"]["labels"]) for part, pod in pods(manifests)]
    kinds = ("Service", "Deployment", "StatefulSet", "PodDisruptionBudget", "PodMonitor")
    chosen = of_kind(manifests, *kinds)
    assert chosen
    for manifest in chosen:
        selector = manifest["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        found = {part for part, own in labels if wanted.items() <= own.items()}
        assert found == {wanted["app.kubernetes.io/component"]}, manifest["metadata"]["name"]


@pytest.mark.parametrize("name", NAMES)
def test_ports_by_name_are_ports_of_the_pods(name: str) -> None:
    """What a Service or monitor calls `http` is a port of each container that it leads to."""
    manifests = objects(name)
    for manifest in of_kind(manifests, "Service"):
        part = manifest["spec"]["selector"]["app.kubernetes.io/component"]
        container = charts.pod_of(manifests, part)["spec"]["containers"][0]
        names = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in manifest["spec"]["ports"]} <= names


@pytest.mark.parametrize("name", MONITORED)
def test_rules_and_dashboards_are_those_of_the_project(name: str) -> None:
    """The cluster gets `observability/` word for word."""
    folder = charts.ROOT / "observability"
    rules = yaml.safe_load((folder / "rules.yml").read_text())
    assert [m["spec"] for m in of_kind(objects(name), "PrometheusRule")] == [rules]
    shown = {
        file: json.loads(text)
        for manifest in of_kind(objects(name), "ConfigMap")
        if manifest["metadata"]["labels"].get("grafana_dashboard")
        for file, text in manifest["data"].items()
    }
    there = {p.name: json.loads(p.read_text()) for p in (folder / "dashboards").glob("*.json")}
    assert shown == there


def test_alerts_lead_to_where_the_runbook_is_read() -> None:
    """With the address of the documents each alert has a whole one."""
    manifests = charts.render(*files("eks"), "--set=monitoring.docsUrl=https://example.org/docs/")
    (rules,) = of_kind(manifests, "PrometheusRule")
    found = [
        rule["annotations"]["runbook_url"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert found
    assert all(url.startswith("https://example.org/docs/operations.md#") for url in found)


def test_an_archive_of_the_chart_has_the_rules_themselves(tmp_path: Path) -> None:
    """Links become files in a package, so that it is whole without the project around it."""
    done = helm("package", str(charts.CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as package:
        member = package.getmember("sentiment-stream/files/rules.yml")
        content = package.extractfile(member)
        assert member.isfile()
        assert content is not None
        assert content.read() == (charts.ROOT / "observability" / "rules.yml").read_bytes()


def test_a_slip_in_an_operators_resource_is_noticed() -> None:
    """The schemas refuse a field that is misspelt and a number where a string has to be."""
    scaled = json.loads(json.dumps(of_kind(objects("eks"), "ScaledObject")[0]))
    assert not problems(scaled)
    scaled["spec"]["triggers"][0]["metadata"]["lagThreshold"] = 20000
    scaled["spec"]["minReplicas"] = 2
    assert len(problems(scaled)) == 2
