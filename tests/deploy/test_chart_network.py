"""Claims about the network: what the parts need is open, and nothing else."""

from urllib.parse import urlsplit

import pytest

from tests.deploy import charts
from tests.deploy.charts import NAMES, Manifest, environment, objects, of_kind, pods

guarded = pytest.mark.parametrize("name", [name for name in NAMES if name != "local"])
Rule = dict[str, list[Manifest]]


def rules(manifests: list[Manifest], labels: dict[str, str], direction: str) -> list[Rule]:
    """What the policies on a pod allow in a direction."""
    return [
        rule
        for policy in of_kind(manifests, "NetworkPolicy")
        if policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        for rule in policy["spec"].get(direction) or []
    ]


def to_anywhere(allowed: list[Rule]) -> set[int]:
    """The ports that are open to or from everywhere."""
    return {
        p["port"] for rule in allowed if not {"to", "from"} & rule.keys() for p in rule["ports"]
    }


def between(allowed: list[Rule], labels: dict[str, str]) -> set[int]:
    """The ports that are open to or from pods with these labels."""
    return {
        port["port"]
        for rule in allowed
        for peer in [*rule.get("to", []), *rule.get("from", [])]
        if peer.get("podSelector", {}).get("matchLabels", {"": ""}).items() <= labels.items()
        for port in rule["ports"]
    }


@guarded
def test_parts_reach_what_they_are_told_to_use(name: str) -> None:
    """DNS, the brokers' ports and the registry's are open to the pods that have their addresses."""
    manifests = objects(name)
    for part, pod in pods(manifests):
        variables = environment(pod)
        open_ports = to_anywhere(rules(manifests, pod["metadata"]["labels"], "egress"))
        assert 53 in open_ports
        if part != "test":
            servers = str(variables["KAFKA_BOOTSTRAP_SERVERS"]).split(",")
            assert {int(server.rpartition(":")[2]) for server in servers} <= open_ports
        if registry := variables.get("MLFLOW_TRACKING_URI"):
            assert urlsplit(registry).port in open_ports


@guarded
def test_the_page_is_open_and_the_others_are_not(name: str) -> None:
    """Everybody reaches the page's port; the others' ports are for Prometheus and the page."""
    manifests = objects(name)
    page = charts.pod_of(manifests, "web")["metadata"]["labels"]
    monitoring = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]
    for part, pod in pods(manifests):
        labels = pod["metadata"]["labels"]
        allowed = rules(manifests, labels, "ingress")
        assert to_anywhere(allowed) == ({5000} if part == "web" else set())
        if part in {"worker", "trends"}:
            (port,) = pod["spec"]["containers"][0]["ports"]
            scraped = [r for r in allowed if r["from"][:1] == monitoring]
            assert [p["port"] for rule in scraped for p in rule["ports"]] == [port["containerPort"]]
    trends = charts.pod_of(manifests, "trends")["metadata"]["labels"]
    assert between(rules(manifests, trends, "ingress"), page) == {6066}
    assert between(rules(manifests, page, "egress"), trends) == {6066}


@guarded
def test_the_test_reaches_the_page_and_only_the_page(name: str) -> None:
    """`helm test` speaks with the page through its Service, and with no broker."""
    manifests = objects(name)
    test = charts.pod_of(manifests, "test")
    page = charts.pod_of(manifests, "web")["metadata"]["labels"]
    allowed = rules(manifests, test["metadata"]["labels"], "egress")
    assert between(allowed, page) == {5000}
    address = urlsplit(str(environment(test)["PAGE"]))
    services = {
        (m["metadata"]["name"], port["port"])
        for m in of_kind(manifests, "Service")
        for port in m["spec"]["ports"]
    }
    assert (address.hostname, address.port) in services


def test_tokens_for_roles_can_be_fetched_on_msk() -> None:
    """Pods that sign in by a role reach AWS's token service."""
    for part in ("worker", "web", "topics"):
        pod = charts.pod_of(objects("eks-msk"), part)
        allowed = rules(objects("eks-msk"), pod["metadata"]["labels"], "egress")
        assert 443 in to_anywhere(allowed)
    worker = charts.pod_of(objects("eks"), "worker")["metadata"]["labels"]
    assert 443 not in to_anywhere(rules(objects("eks"), worker, "egress"))
