"""Claims about Secrets: each one that is asked for comes from somewhere."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy import charts
from tests.deploy.charts import NAMES, objects, of_kind, pods


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
    folder = charts.ROOT / "k8s"
    users = yaml.safe_load_all((folder / "strimzi" / "users.yaml").read_text())
    found = {(user["metadata"]["name"], "password") for user in users if user}
    (cluster,) = (
        document["metadata"]["name"]
        for document in yaml.safe_load_all((folder / "strimzi" / "kafka.yaml").read_text())
        if document["kind"] == "Kafka"
    )
    found.add((f"{cluster}-cluster-ca-cert", "ca.crt"))
    for secret in of_kind(objects(name), "ExternalSecret"):
        target = secret["spec"]["target"]["name"]
        found |= {(target, data["secretKey"]) for data in secret["spec"]["data"]}
    return found


@pytest.mark.parametrize("name", NAMES)
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
    folder = charts.ROOT / "k8s"
    store = yaml.safe_load((folder / "secretstore.yaml").read_text())
    policy = (folder / "iam" / "external-secrets.json").read_text()
    secrets = of_kind(objects("eks-msk"), "ExternalSecret")
    assert secrets
    for secret in secrets:
        reference = secret["spec"]["secretStoreRef"]
        assert reference == {"name": store["metadata"]["name"], "kind": store["kind"]}
        for data in secret["spec"]["data"]:
            assert data["remoteRef"]["key"].startswith(("sentiment/", "AmazonMSK_sentiment-"))
    assert "secret:AmazonMSK_sentiment-*" in policy
    assert "secret:sentiment/*" in policy
