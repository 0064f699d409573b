"""Claims about deliveries: what the workflow does is what its roles may do."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import charts
from tests.deploy.charts import NAMES, documents, of, of_kind

WORKFLOW = charts.ROOT / ".github" / "workflows" / "deliver.yml"
SCRIPT = charts.ROOT / ".github" / "helm-values.sh"
Call = tuple[str, str, str]

# What Helm does with each object of a chart: hooks and tests are watched, an install that fails is
# taken away, and an upgrade patches what there is.
FOR_EACH = ("get", "list", "watch", "create", "patch", "delete")
# Beside that, by group, resource and verb. Releases are Secrets, which a status updates; `--atomic`
# and `--wait` look at the ReplicaSets of a Deployment and at pods.
RELEASES = {("", "secrets", verb) for verb in ("get", "list", "create", "update", "delete")}
WAITING = {("apps", "replicasets", "list"), ("", "pods", "list")}
COMMANDS: dict[str, set[Call]] = {
    "helm template": set(),
    "helm upgrade": RELEASES | WAITING,
    "helm test": RELEASES,
    "helm rollback": RELEASES | WAITING,
}
# And its options. `--create-namespace` is none of them: it asks for a right in the whole cluster.
OPTIONS: dict[str, set[Call]] = {
    "--install": set(),
    "--namespace": set(),
    "--set-string": set(),
    "--timeout": set(),
    "--atomic": set(),
    "--wait": set(),
    "--logs": {("", "pods/log", "get")},
}
# What each way of speaking with AWS asks for.
PULL = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
PUSH = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}
ASKS: dict[str, set[str]] = {
    "aws-actions/amazon-ecr-login": {"ecr:GetAuthorizationToken"},
    "docker/build-push-action": PUSH | PULL,
    "docker buildx imagetools": PUSH | PULL,
    "cosign sign": PUSH | PULL,
    "aws eks update-kubeconfig": {"eks:DescribeCluster"},
}


def steps() -> list[dict[str, Any]]:
    """Every step of the workflow."""
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def scripts() -> str:
    """What its steps run, a command a line."""
    text = "\n".join(step.get("run", "") for step in steps())
    lines = text.replace("\\\n", " ").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def allowed() -> set[Call]:
    """What the delivery's role may do in its namespace."""
    return {
        (group, resource, verb)
        for rule in of("deliverer.yaml", "Role")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def resource(manifest: charts.Manifest) -> tuple[str, str]:
    """The group and the plural of an object's kind, as roles name them."""
    group, _, _ = manifest["apiVersion"].rpartition("/")
    return group, re.sub(r"y$", "ie", re.sub(r"s$", "se", manifest["kind"].lower())) + "s"


@pytest.mark.parametrize("name", NAMES)
def test_helm_may_do_what_it_does_with_every_object(name: str) -> None:
    """Each kind that the chart makes of a set of values is covered, with every verb of Helm's."""
    asked = {(*resource(m), verb) for m in charts.objects(name) for verb in FOR_EACH}
    assert asked <= allowed()


def test_helm_may_do_what_its_commands_ask_for() -> None:
    """Releases, waiting and logs are covered; no command or option makes calls that are unknown."""
    commands = re.findall(r"\bhelm (?!-)\w+[^\n|{]*", scripts())
    assert len(commands) == 4
    for command in commands:
        name = " ".join(command.split()[:2])
        for option in re.findall(r"(?<= )--[a-z-]+", command):
            assert option in OPTIONS, f"{name} {option}: which calls of the API does it make?"
            assert OPTIONS[option] <= allowed()
        assert COMMANDS[name] <= allowed()


def test_the_delivery_needs_no_right_in_the_whole_cluster() -> None:
    """All of its rights are in one namespace, which is made before, and which it delivers to."""
    kinds = {document["kind"] for document in documents(charts.CLUSTER / "deliverer.yaml")}
    assert kinds == {"Role", "RoleBinding"}
    namespace = of("namespace.yaml", "Namespace")["metadata"]["name"]
    assert of("deliverer.yaml", "Role")["metadata"]["namespace"] == namespace
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["roll-out"]
    assert job["env"]["NAMESPACE"] == namespace
    assert not of_kind(charts.objects("eks"), "Namespace", "ClusterRole", "ClusterRoleBinding")


def test_the_role_on_aws_may_do_what_the_steps_ask_for() -> None:
    """Logging in, pushing, joining, signing and finding the cluster: those rights and no others."""
    text = scripts() + "\n".join(step.get("uses", "") for step in steps())
    policy = json.loads((charts.CLUSTER / "iam" / "github-deliver.json").read_text())
    given: set[str] = set()
    for statement in policy["Statement"]:
        actions = statement["Action"]
        given |= {actions} if isinstance(actions, str) else set(actions)
    asked = {action for step, actions in ASKS.items() if step in text for action in actions}
    assert all(step in text for step in ASKS)
    assert given == asked
    unknown = re.findall(r"\b(?:aws|docker|cosign) [a-z-]+ [a-z-]+", scripts())
    assert {command for command in unknown if not command.startswith(tuple(ASKS))} == set()


def test_the_delivery_is_let_in_by_the_group_of_its_role() -> None:
    """The cluster's access entry, the binding and the IAM role name the same things."""
    entries = of("eksctl/start.yaml", "ClusterConfig")["accessConfig"]["accessEntries"]
    (entry,) = [e for e in entries if e["principalARN"].endswith(":role/sentiment-github-deliver")]
    (subject,) = of("deliverer.yaml", "RoleBinding")["subjects"]
    assert entry["kubernetesGroups"] == [subject["name"]]


def values(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the script of the workflow makes of the repository's variables."""
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), str(tmp_path / "own.yaml")],
        cwd=charts.ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", ["values-eks.yaml"]),
        ("values-minimal.yaml", ["values-minimal.yaml"]),
        ("values-eks.yaml  values-eks-msk.yaml\n", ["values-eks.yaml", "values-eks-msk.yaml"]),
    ],
)
def test_values_files_are_the_repositorys_choice(
    given: str, wanted: list[str], tmp_path: Path
) -> None:
    """One file or several, in their order; without a choice, those of EKS."""
    done = values(tmp_path, HELM_VALUES=given)
    assert done.returncode == 0, done.stderr
    folder = "helm/sentiment-stream/"
    assert done.stdout.split() == [p for name in wanted for p in ("--values", folder + name)]


@pytest.mark.parametrize(
    "given",
    ["values-esk.yaml", "../values-eks.yaml", "Chart.yaml", "*", "values-eks.yaml;id", "-x"],
)
def test_a_wrong_name_of_values_ends_with_a_sentence(given: str, tmp_path: Path) -> None:
    """What is no values file of the chart is refused by name, with those that there are."""
    done = values(tmp_path, HELM_VALUES=f"values-eks.yaml {given}")
    assert done.returncode == 1
    assert not done.stdout
    assert f"HELM_VALUES names '{given}'" in done.stderr
    assert "There are: values-eks-msk.yaml values-eks-start.yaml" in done.stderr


def test_what_the_account_alone_has_goes_on_top(tmp_path: Path) -> None:
    """With its name and certificate the chart of the default values renders, and not without."""
    own = f"web:\n  ingress: {{host: page.example.org, certificateArn: {charts.CERTIFICATE}}}"
    done = values(tmp_path, HELM_OWN_VALUES=own)
    (ingress,) = of_kind(charts.render(*done.stdout.split()), "Ingress")
    assert ingress["spec"]["rules"][0]["host"] == "page.example.org"
    assert charts.template(*values(tmp_path).stdout.split()).returncode == 1


def test_the_chart_is_rendered_before_anything_is_built() -> None:
    """A wrong value costs a minute, not an hour of images."""
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert jobs["image"]["needs"] == "values"
    assert jobs["join"]["needs"] == "image"
    assert jobs["roll-out"]["needs"] == "join"
    for job in ("values", "roll-out"):
        (step,) = [s for s in jobs[job]["steps"] if "helm-values.sh" in s.get("run", "")]
        assert {"HELM_VALUES", "HELM_OWN_VALUES"} <= set(step["env"])
