"""Claims about the roles of GitHub's workflows on AWS: who may take them, and what they may do."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.deploy import charts
from tests.deploy.charts import documents, of, of_kind

IAM = charts.CLUSTER / "iam"
WORKFLOWS = charts.ROOT / ".github" / "workflows"
# By the repository's variable that a job takes its role from.
ROLES = {"AWS_ROLE_ARN": "deliver", "TRAIN_ROLE_ARN": "train", "REGISTER_ROLE_ARN": "register"}
CLAIM = "token.actions.githubusercontent.com"
MAIN = "ref:refs/heads/main"


def takers() -> dict[str, set[str]]:
    """By role, the subjects of the tokens with which the workflows' jobs ask for it.

    A job's token names its environment; without one, what started it. What is started by hand or
    by CI is for the main branch.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(WORKFLOWS.glob("*.yml")):
        workflow = yaml.safe_load(path.read_text())
        # YAML takes the word `on` for a truth value.
        started = workflow[True]
        for job in workflow["jobs"].values():
            for variable in re.findall(
                r"role-to-assume: \$\{\{ vars\.(\w+) }}", yaml.safe_dump(job)
            ):
                assert job["permissions"]["id-token"] == "write"
                if "environment" in job:
                    subjects = {f"environment:{job['environment']}"}
                else:
                    subjects = {"pull_request"} & set(started) | {MAIN}
                found.setdefault(ROLES[variable], set()).update(subjects)
    return found


def statements(name: str) -> list[dict[str, Any]]:
    """A policy's statements."""
    policy: dict[str, Any] = json.loads((IAM / f"{name}.json").read_text())
    found: list[dict[str, Any]] = policy["Statement"]
    return found


@pytest.mark.parametrize("role", ROLES.values())
def test_a_role_is_for_the_jobs_that_ask_for_it(role: str) -> None:
    """GitHub's tokens are taken from one repository, and of it from those jobs alone."""
    (statement,) = statements(f"github-{role}-trust")
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"]["Federated"].endswith(f":oidc-provider/{CLAIM}")
    # Equal, not like: a star would let any branch in.
    assert set(statement["Condition"]) == {"StringEquals"}
    condition = statement["Condition"]["StringEquals"]
    assert condition[f"{CLAIM}:aud"] == "sts.amazonaws.com"
    wanted = {f"repo:${{GITHUB_REPOSITORY}}:{subject}" for subject in takers()[role]}
    assert set(condition[f"{CLAIM}:sub"]) == wanted


def test_a_pull_request_gets_nothing_but_texts_to_read() -> None:
    """What runs on a pull request is its author's: no writing, no cluster, no registry."""
    assert [role for role, subjects in takers().items() if "pull_request" in subjects] == ["train"]
    given = {statement["Action"]: statement["Resource"] for statement in statements("github-train")}
    bucket = "arn:aws:s3:::${DVC_BUCKET}"
    assert given == {"s3:ListBucket": bucket, "s3:GetObject": f"{bucket}/*"}
    text = (WORKFLOWS / "train.yml").read_text()
    assert "dvc pull" in text
    assert "dvc push" not in text


def test_training_reaches_the_registry_in_the_cluster() -> None:
    """A port-forward to the registry's Service is allowed, which answers under that name."""
    text = (WORKFLOWS / "train.yml").read_text()
    asked = re.search(r"kubectl --namespace (\S+) port-forward service/(\S+) (\d+)", text)
    assert asked
    namespace, name, port = asked.groups()
    service = of("mlflow.yaml", "Service")
    assert service["metadata"] == {"name": name, "namespace": namespace}
    assert [entry["port"] for entry in service["spec"]["ports"]] == [int(port)]
    (server,) = of("mlflow.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    hosts = next(a for a in server["args"] if a.startswith("--allowed-hosts="))
    assert f"localhost:{port}" in hosts.partition("=")[2].split(",")
    assert f"'http://localhost:{port}'" in text
    role = of("registrar.yaml", "Role")
    assert role["metadata"]["namespace"] == namespace
    rules = {rule["resources"][0]: rule for rule in role["rules"]}
    assert rules["services"]["resourceNames"] == [name]
    assert {r: set(rule["verbs"]) for r, rule in rules.items()} == {
        "services": {"get"},
        "pods": {"get", "list", "watch"},
        "pods/portforward": {"get", "create"},
    }
    (statement,) = statements("github-register")
    assert statement["Action"] == "eks:DescribeCluster"


def test_training_is_let_in_by_the_group_of_its_role() -> None:
    """The cluster's access entry, the binding and the IAM role name the same things."""
    entries = of("eksctl/start.yaml", "ClusterConfig")["accessConfig"]["accessEntries"]
    groups = {e["principalARN"].rpartition("/")[2]: e["kubernetesGroups"] for e in entries}
    (subject,) = of("registrar.yaml", "RoleBinding")["subjects"]
    assert groups["sentiment-github-register"] == [subject["name"]]
    # Whatever else is let in is the delivery; the role that pull requests take is not.
    assert set(groups) == {"sentiment-github-register", "sentiment-github-deliver"}
    kinds = {document["kind"] for document in documents(charts.CLUSTER / "registrar.yaml")}
    assert kinds == {"Role", "RoleBinding"}
    binding = of_kind(documents(charts.CLUSTER / "registrar.yaml"), "RoleBinding")[0]
    assert binding["roleRef"]["name"] == of("registrar.yaml", "Role")["metadata"]["name"]


def test_the_guide_makes_every_role_and_takes_it_away() -> None:
    """Each role has a trust and a policy, which the guide's commands read, and delete again."""
    files = {path.stem for path in IAM.glob("github-*.json")}
    assert files == {f"github-{role}{end}" for role in ROLES.values() for end in ("", "-trust")}
    guide = (charts.ROOT / "docs" / "deploy-eks.md").read_text()
    loops = re.findall(r"for role in ([a-z ]+); do\n(.*?)\ndone", guide, re.DOTALL)
    assert [set(names.split()) for names, _ in loops] == [set(ROLES.values())] * 2
    made, removed = (commands for _, commands in loops)
    assert "k8s/iam/github-$role-trust.json" in made
    assert "k8s/iam/github-$role.json" in made
    assert "aws iam delete-role --role-name sentiment-github-$role" in removed
    for variable in ROLES:
        assert variable in guide
