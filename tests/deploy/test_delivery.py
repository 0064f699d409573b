"""Claims about the workflows' roles: who may take them, and that they may do what is done."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import charts
from tests.deploy.charts import NAMES, documents, of, of_kind
from tests.processes import run

WORKFLOWS = charts.ROOT / ".github" / "workflows"
WORKFLOW = WORKFLOWS / "deliver.yml"
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


JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
STEPS: list[dict[str, Any]] = [step for job in JOBS.values() for step in job["steps"]]


def scripts() -> str:
    """What the workflow's steps run, a command a line."""
    text = "\n".join(step.get("run", "") for step in STEPS)
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
    assert JOBS["roll-out"]["env"]["NAMESPACE"] == namespace
    assert not of_kind(charts.objects("eks"), "Namespace", "ClusterRole", "ClusterRoleBinding")


def test_the_role_on_aws_may_do_what_the_steps_ask_for() -> None:
    """Logging in, pushing, joining, signing and finding the cluster: those rights and no others."""
    text = scripts() + "\n".join(step.get("uses", "") for step in STEPS)
    policy = charts.statements("iam/github-deliver.json")
    given = {action for statement in policy for action in statement["Action"]}
    asked = {action for step, actions in ASKS.items() if step in text for action in actions}
    assert all(step in text for step in ASKS)
    assert given == asked
    unknown = re.findall(r"\b(?:aws|docker|cosign) [a-z-]+ [a-z-]+", scripts())
    assert {command for command in unknown if not command.startswith(tuple(ASKS))} == set()


def values(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the script of the workflow makes of the repository's variables."""
    env = {"PATH": "/usr/bin:/bin", **environment}
    return run("/bin/sh", SCRIPT, tmp_path / "own.yaml", cwd=charts.ROOT, env=env)


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
    assert JOBS["image"]["needs"] == "values"
    assert JOBS["join"]["needs"] == "image"
    assert JOBS["roll-out"]["needs"] == "join"
    for job in ("values", "roll-out"):
        (step,) = [s for s in JOBS[job]["steps"] if "helm-values.sh" in s.get("run", "")]
        assert {"HELM_VALUES", "HELM_OWN_VALUES"} <= set(step["env"])


IAM = charts.CLUSTER / "iam"
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


@pytest.mark.parametrize("role", ROLES.values())
def test_a_role_is_for_the_jobs_that_ask_for_it(role: str) -> None:
    """GitHub's tokens are taken from one repository, and of it from those jobs alone."""
    (statement,) = charts.statements(f"iam/github-{role}-trust.json")
    assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity"]
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
    given = [(s["Action"], s["Resource"]) for s in charts.statements("iam/github-train.json")]
    bucket = "arn:aws:s3:::${DVC_BUCKET}"
    assert sorted(given) == [(["s3:GetObject"], f"{bucket}/*"), (["s3:ListBucket"], bucket)]
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
    (statement,) = charts.statements("iam/github-register.json")
    assert statement["Action"] == ["eks:DescribeCluster"]


def test_roles_are_let_in_by_the_group_of_each() -> None:
    """The cluster's access entries, the bindings and the IAM roles name the same things."""
    entries = of("eksctl/start.yaml", "ClusterConfig")["accessConfig"]["accessEntries"]
    groups = {e["principalARN"].rpartition("/")[2]: e["kubernetesGroups"] for e in entries}
    # The role that pull requests take is not let in.
    assert groups == {
        f"sentiment-github-{role}": [of(file, "RoleBinding")["subjects"][0]["name"]]
        for role, file in (("register", "registrar.yaml"), ("deliver", "deliverer.yaml"))
    }
    kinds = {document["kind"] for document in documents(charts.CLUSTER / "registrar.yaml")}
    assert kinds == {"Role", "RoleBinding"}
    binding = of("registrar.yaml", "RoleBinding")
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
