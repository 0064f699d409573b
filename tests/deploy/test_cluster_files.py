"""Claims about the files of the cluster around the chart."""

from pathlib import Path

import pytest

from tests.deploy import charts
from tests.deploy.charts import documents, of, of_kind, problems

FOLDER = charts.CLUSTER
# Values of other people's charts: only those charts could say whether they are right.
VALUES = ("keda/values.yaml", "prometheus/values.yaml", "strimzi/operator-values.yaml")
MANIFESTS = [p for p in sorted(FOLDER.rglob("*.yaml")) if str(p.relative_to(FOLDER)) not in VALUES]
POLICIES = sorted(FOLDER.rglob("*.json"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_would_be_taken(path: Path) -> None:
    """Each object fits the schemas of three versions of Kubernetes, or its operator's."""
    found = [problem for manifest in documents(path) for problem in problems(manifest)]
    assert documents(path)
    assert not found


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_policy_is_narrow(path: Path) -> None:
    """Policies are JSON, without a star but for the one resource that IAM has no other for."""
    for statement in charts.statements(str(path)):
        assert all("*" not in action for action in statement["Action"])
        if statement.get("Resource") == "*":
            assert statement["Action"] == ["ecr:GetAuthorizationToken"]


def test_the_chart_speaks_with_strimzis_cluster() -> None:
    """Address, port and security of values-eks.yaml are those of the cluster's listener."""
    for file in ("strimzi/kafka.yaml", "strimzi/kafka-start.yaml"):
        kafka = of(file, "Kafka")
        (listener,) = kafka["spec"]["kafka"]["listeners"]
        worker = charts.environment(charts.pod_of(charts.objects("eks"), "worker"))
        server = f"{kafka['metadata']['name']}-kafka-bootstrap:{listener['port']}"
        assert worker["KAFKA_BOOTSTRAP_SERVERS"] == server
        assert listener["tls"]
        assert listener["authentication"]["type"] == str(worker["KAFKA_SASL_MECHANISM"]).lower()
        pool = of(file, "KafkaNodePool")
        assert pool["metadata"]["labels"]["strimzi.io/cluster"] == kafka["metadata"]["name"]


@pytest.mark.parametrize("file", ["strimzi/kafka.yaml", "strimzi/kafka-start.yaml"])
def test_kafka_keeps_what_it_acknowledged(file: str) -> None:
    """Replication fits the nodes, and one of three may be away."""
    nodes = of(file, "KafkaNodePool")["spec"]["replicas"]
    config = of(file, "Kafka")["spec"]["kafka"]["config"]
    for topic in ("default", "offsets.topic", "transaction.state.log"):
        assert config[f"{topic}.replication.factor"] == nodes
    least = max(1, nodes - 1)
    assert config["min.insync.replicas"] == config["transaction.state.log.min.isr"] == least


def test_brokers_find_their_nodes() -> None:
    """Kafka's pods tolerate and choose the node groups made for them, one for each zone."""
    pool = of("strimzi/kafka.yaml", "KafkaNodePool")["spec"]
    groups = of("eksctl/production.yaml", "ClusterConfig")["managedNodeGroups"]
    own = [g for g in groups if g.get("labels", {}).get("sentiment/role") == "kafka"]
    assert len({g["availabilityZones"][0] for g in own}) == pool["replicas"]
    pod = pool["template"]["pod"]
    (toleration,) = pod["tolerations"]
    for group in own:
        (taint,) = group["taints"]
        assert taint.items() <= toleration.items()
    spec = {"containers": [{"name": "kafka", "image": "kafka:4"}], **pod}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kafka"}, "spec": spec}
    assert not problems(made)


def test_roles_on_msk_are_for_the_charts_accounts() -> None:
    """Each role is for a service account that the chart or KEDA has, and carries its own policy."""
    accounts = {m["metadata"]["name"] for m in of_kind(charts.objects("eks-msk"), "ServiceAccount")}
    policies = {path.stem for path in (FOLDER / "msk" / "policies").glob("*.json")}
    for role in of("eksctl/msk-roles.yaml", "ClusterConfig")["iam"]["serviceAccounts"]:
        assert role["metadata"]["name"] in accounts | {"keda-operator"}
        (policy,) = role["attachPolicyARNs"]
        assert policy.rpartition("/")[2] == role["roleName"]
        assert role["roleName"] in policies
