"""Claims about the way to the page: by TLS from outside, with the visitors' addresses."""

import json
from collections.abc import Iterator

import pytest

from tests.deploy import charts
from tests.deploy.charts import NAMES, environment, objects, of_kind, pod_of, render, template

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
