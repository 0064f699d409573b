"""Whether Kubernetes and its operators would take an object."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.deploy.charts import Manifest

# The oldest and newest that EKS and the operators of `k8s/` support, and one between.
VERSIONS = ("1.33", "1.35", "1.37")
# Our own, reduced: the fields that we use, as the operators' definitions have them.
CUSTOM: dict[str, Any] = {
    name: schema
    for file in (Path(__file__).parent / "schemas").glob("*.yaml")
    for name, schema in yaml.safe_load(file.read_text()).items()
}


def problems(manifest: Manifest) -> list[str]:
    """What is wrong with an object, by the schemas of Kubernetes or of the operator."""
    kind = f"{manifest['kind']}.{manifest['apiVersion']}"
    if kind in CUSTOM:
        schema = {"$defs": CUSTOM["$defs"], **_closed(CUSTOM[kind])}
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
