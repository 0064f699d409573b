"""What these tests share: the chart as Helm renders it, the files of the cluster around it."""

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.processes import run

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "sentiment-stream"
CLUSTER = ROOT / "k8s"
# Helm itself, from its wheel or the machine.
HELM = shutil.which("helm", path=str(Path(sys.executable).parent)) or shutil.which("helm")
RELEASE, NAMESPACE = "sentiment-stream", "sentiment"
# What a values file is put on top of.
BASE = {"eks-msk": "eks", "eks-start": "eks"}
# What a set of values asks its user for.
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0f1e2d3c"
ASKED = dict.fromkeys(("eks", "eks-msk"), ("--set", f"web.ingress.certificateArn={CERTIFICATE}"))
NAMES = ("", *sorted(path.stem.removeprefix("values-") for path in CHART.glob("values-*.yaml")))
CUSTOM = ("keda.sh/v1alpha1", "monitoring.coreos.com/v1", "external-secrets.io/v1")
# What `envsubst` fills in.
FILLED = {"AWS_REGION": "eu-central-1", "AWS_ACCOUNT_ID": "123456789012", "ECR": "e", "TAG": "t"}

Manifest = dict[str, Any]


def files(name: str) -> list[str]:
    """The options that give a set of values to Helm, with what it asks for; empty: the defaults."""
    layers = [*([BASE[name]] if name in BASE else []), *([name] if name else [])]
    given = [part for layer in layers for part in ("--values", f"{CHART}/values-{layer}.yaml")]
    return [*given, *ASKED.get(name, ())]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What Helm says."""
    return run(str(HELM), *arguments)


def template(*options: str) -> subprocess.CompletedProcess[str]:
    """The chart rendered with the options, or Helm's refusal."""
    return helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *options)


@functools.cache
def render(*options: str) -> list[Manifest]:
    """The objects that the options make of the chart."""
    done = template(*options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@functools.cache
def objects(name: str) -> list[Manifest]:
    """The objects of a set of values, in a cluster that has all the operators."""
    return render(*files(name), *(f"--api-versions={version}" for version in CUSTOM))


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of some kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The part and the pod (metadata and spec) of everything that makes pods."""
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            pod = manifest
        elif manifest["kind"] in {"Deployment", "StatefulSet", "Job"}:
            pod = manifest["spec"]["template"]
        else:
            continue
        yield pod["metadata"]["labels"]["app.kubernetes.io/component"], pod


def pod_of(manifests: list[Manifest], part: str) -> Manifest:
    """The pod of one part; its container is the first."""
    return next(pod for name, pod in pods(manifests) if name == part)


def environment(pod: Manifest) -> dict[str, str | None]:
    """The variables of a pod's container; None where the value comes from elsewhere."""
    return {v["name"]: v.get("value") for v in pod["spec"]["containers"][0].get("env", [])}


def documents(path: Path) -> list[Manifest]:
    """The objects of a file of `k8s/`, with what `envsubst` fills in."""
    text = re.sub(r"\$\{(\w+)\}", lambda found: FILLED[found[1]], path.read_text())
    return [document for document in yaml.safe_load_all(text) if document]


def statements(path: str) -> list[Manifest]:
    """The statements of a policy in `k8s/`, each with a list of actions."""
    policy = json.loads((CLUSTER / path).read_text())
    found: list[Manifest] = policy.get("Statement", [])
    for statement in found:
        if isinstance(statement["Action"], str):
            statement["Action"] = [statement["Action"]]
    return found


def of(path: str, kind: str) -> Manifest:
    """The one object of a kind in a file of `k8s/`."""
    (found,) = of_kind(documents(CLUSTER / path), kind)
    return found


# The oldest and newest that EKS and the operators of `k8s/` support, and one between.
VERSIONS = ("1.33", "1.35", "1.37")
# Our own, reduced: the fields that we use, as the operators' definitions have them.
SCHEMAS: dict[str, Any] = {
    name: schema
    for file in (Path(__file__).parent / "schemas").glob("*.yaml")
    for name, schema in yaml.safe_load(file.read_text()).items()
}


def problems(manifest: Manifest) -> list[str]:
    """What is wrong with an object, by the schemas of Kubernetes or of the operator."""
    kind = f"{manifest['kind']}.{manifest['apiVersion']}"
    if kind in SCHEMAS:
        schema = {"$defs": SCHEMAS["$defs"], **_closed(SCHEMAS[kind])}
        body = {k: v for k, v in manifest.items() if k not in {"apiVersion", "kind"}}
        if not kind.startswith("ClusterConfig"):
            body.pop("metadata")
        found = jsonschema.Draft202012Validator(schema).iter_errors(body)
        return [f"{kind}: {error.json_path}: {error.message}" for error in found]
    text = json.dumps(manifest)
    return [problem for version in VERSIONS for problem in _of_kubernetes(text, version)]


@functools.cache
def _of_kubernetes(text: str, version: str) -> list[str]:
    """Most objects are the same in each set of values, and are looked at once."""
    manifest = json.loads(text)
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return [f"{manifest['kind']} {manifest['apiVersion']}: no schema in {version}"]
    except kubernetes_validate.ValidationError as error:
        return [f"{manifest['kind']} in {version}: {error.message}"]
    return []


def _closed(schema: Any) -> Any:  # noqa: ANN401 - a schema is any JSON
    """A schema whose objects have no further fields: a slip of the pen is one."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if "properties" in closed and "type" not in closed:
        closed |= {"type": "object", "additionalProperties": False}
    return closed
