"""Claims about the network: what the parts need is open and nothing else; the page by TLS."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.deploy import charts
from tests.deploy.charts import (
    NAMES,
    Manifest,
    environment,
    objects,
    of_kind,
    pod_of,
    pods,
    render,
    template,
)

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


ALB = "alb.ingress.kubernetes.io/"
INGRESS = "web.service.type=ClusterIP,web.ingress.enabled=true"


def page_service(name: str) -> charts.Manifest:
    """The page's Service."""
    return next(m for m in objects(name) if m["metadata"]["name"] == "flask-app-service")


def leads_to(ingress: charts.Manifest) -> Iterator[tuple[str, str]]:
    """The Services and ports behind an Ingress."""
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            service = path["backend"]["service"]
            yield service["name"], service["port"]["name"]


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_service_is_the_one_that_it_always_had(name: str) -> None:
    """Its name and port are those that scripts in the cluster know."""
    service = page_service(name)
    assert service["kind"] == "Service"
    assert [port["port"] for port in service["spec"]["ports"]] == [5000]


@pytest.mark.parametrize("name", ["eks", "eks-msk"])
def test_on_eks_the_page_is_reached_by_https_alone(name: str) -> None:
    """An ALB with the certificate that was given; plain HTTP only says where https is."""
    (ingress,) = of_kind(objects(name), "Ingress")
    told = ingress["metadata"]["annotations"]
    assert ingress["spec"]["ingressClassName"] == "alb"
    assert told[f"{ALB}certificate-arn"] == charts.CERTIFICATE
    assert {"HTTPS": 443} in json.loads(told[f"{ALB}listen-ports"])
    assert told[f"{ALB}ssl-redirect"] == "443"
    assert "TLS13" in told[f"{ALB}ssl-policy"]
    assert page_service(name)["spec"]["type"] == "ClusterIP"
    assert list(leads_to(ingress)) == [("flask-app-service", "http")]
    assert not [m for m in of_kind(objects(name), "Service") if "LoadBalancer" in str(m["spec"])]


def test_at_the_start_the_page_is_not_public() -> None:
    """Without a certificate and a load balancer's controller there is a port-forward alone."""
    assert not of_kind(objects("eks-start"), "Ingress")
    assert page_service("eks-start")["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize("name", ["eks", "eks-msk"])
def test_visitors_addresses_reach_the_rate_limits(name: str) -> None:
    """The load balancer appends the caller's address, and the page believes that one proxy."""
    assert environment(pod_of(objects(name), "web"))["WEB_TRUSTED_PROXIES"] == "1"
    (ingress,) = of_kind(objects(name), "Ingress")
    assert ingress["metadata"]["annotations"][f"{ALB}target-type"] == "ip"


@pytest.mark.parametrize("name", ["", "eks-start", "local", "minimal"])
def test_nobody_is_believed_where_there_is_no_proxy(name: str) -> None:
    """Without an Ingress a caller's own X-Forwarded-For counts for nothing."""
    assert "WEB_TRUSTED_PROXIES" not in environment(pod_of(objects(name), "web"))


@pytest.mark.parametrize("setting", ["web.settings", "settings"])
def test_more_proxies_are_said(setting: str) -> None:
    """Whoever has a further proxy before the Ingress gives the number, for the page or for all."""
    given = f"{INGRESS},web.ingress.tlsSecret=page-tls,{setting}.WEB_TRUSTED_PROXIES=2"
    page = pod_of(render("--set", given), "web")
    assert environment(page)["WEB_TRUSTED_PROXIES"] == "2"


def test_a_load_balancer_without_a_proxy_keeps_addresses() -> None:
    """Packets go to a node with a pod at once: another node would put its own address in."""
    spec = page_service("")["spec"]
    assert (spec["type"], spec["externalTrafficPolicy"]) == ("LoadBalancer", "Local")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--values", f"{charts.CHART}/values-eks.yaml"], "set web.ingress.certificateArn (ACM"),
        (["--set", INGRESS], "web.ingress needs a certificate"),
        (
            ["--set", "web.ingress.enabled=true,web.ingress.tlsSecret=page-tls"],
            "Set web.service.type=ClusterIP",
        ),
        (["--set", f"{INGRESS},web.ingress.certificateArn=mine"], "certificateArn"),
    ],
)
def test_a_way_in_without_tls_is_refused(given: list[str], told: str) -> None:
    """Helm stops before anything is changed, and says what is missing."""
    done = template(*given)
    assert done.returncode == 1
    assert told in done.stderr


def test_a_certificate_in_the_cluster_is_as_good() -> None:
    """With another controller the Secret with the certificate is named, for the page's name."""
    given = f"{INGRESS},web.ingress.tlsSecret=page-tls,web.ingress.host=page.example.org"
    (ingress,) = of_kind(render("--set", given), "Ingress")
    # pragma: allowlist nextline secret - a name
    assert ingress["spec"]["tls"] == [{"secretName": "page-tls", "hosts": ["page.example.org"]}]
    assert ingress["spec"]["rules"][0]["host"] == "page.example.org"
