"""Claims about the files of the cluster around the chart."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import charts
from tests.deploy.charts import NAMES, Manifest, of_kind
from tests.deploy.validity import problems

FOLDER = charts.ROOT / "k8s"
# Values of other people's charts: only those charts could say whether they are right.
VALUES = ("keda/values.yaml", "prometheus/values.yaml", "strimzi/operator-values.yaml")
MANIFESTS = [p for p in sorted(FOLDER.rglob("*.yaml")) if str(p.relative_to(FOLDER)) not in VALUES]
POLICIES = sorted(FOLDER.rglob("*.json"))
FILLED = {"AWS_REGION": "eu-central-1", "AWS_ACCOUNT_ID": "123456789012", "ECR": "e", "TAG": "t"}
VERB_LISTS = ("get", "list", "watch", "create", "update", "patch", "delete")


def documents(path: Path) -> list[Manifest]:
    """The objects of a file, with what `envsubst` fills in."""
    text = re.sub(r"\$\{(\w+)\}", lambda found: FILLED[found[1]], path.read_text())
    return [document for document in yaml.safe_load_all(text) if document]


def of(path: str, kind: str) -> Manifest:
    """The one object of a kind in a file of `k8s/`."""
    (found,) = of_kind(documents(FOLDER / path), kind)
    return found


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_would_be_taken(path: Path) -> None:
    """Each object fits the schemas of three versions of Kubernetes, or its operator's."""
    found = [problem for manifest in documents(path) for problem in problems(manifest)]
    assert documents(path)
    assert not found


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_policy_is_narrow(path: Path) -> None:
    """Policies are JSON, without a star but for the one resource that IAM has no other for."""
    policy: dict[str, Any] = json.loads(path.read_text())
    for statement in policy.get("Statement", []):
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        assert all("*" not in action for action in actions)
        if statement.get("Resource") == "*":
            assert actions == ["ecr:GetAuthorizationToken"]


def test_only_the_main_branch_and_production_deliver() -> None:
    """GitHub's tokens are taken from one repository, for its main branch and its environment."""
    policy = json.loads((FOLDER / "iam" / "github-trust.json").read_text())
    (statement,) = policy["Statement"]
    condition = statement["Condition"]["StringEquals"]
    assert condition["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    subjects = condition["token.actions.githubusercontent.com:sub"]
    assert all(subject.startswith("repo:${GITHUB_REPOSITORY}:") for subject in subjects)
    assert not any("*" in subject for subject in subjects)


@pytest.mark.parametrize("name", NAMES)
def test_the_delivery_may_make_what_the_chart_consists_of(name: str) -> None:
    """The role of the delivery covers each kind of object of the chart, and Helm's own records."""
    allowed = {
        (group, resource)
        for rule in of("deliverer.yaml", "Role")["rules"]
        if set(rule["verbs"]) >= set(VERB_LISTS)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for manifest in charts.objects(name):
        group, _, _ = manifest["apiVersion"].rpartition("/")
        plural = re.sub(r"y$", "ie", re.sub(r"s$", "se", manifest["kind"].lower())) + "s"
        assert (group, plural) in allowed
    assert ("", "secrets") in allowed


def test_the_delivery_is_let_in_by_the_group_of_its_role() -> None:
    """The cluster's access entry, the binding and the IAM role name the same things."""
    (entry,) = of("eksctl/start.yaml", "ClusterConfig")["accessConfig"]["accessEntries"]
    (subject,) = of("deliverer.yaml", "RoleBinding")["subjects"]
    assert entry["kubernetesGroups"] == [subject["name"]]
    assert entry["principalARN"].endswith(":role/sentiment-github-deliver")


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
