"""Made of what apps register: tables of settings, rights and metrics; rights on clusters."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from local.settings import LocalSettings
from sentiment import apps
from sentiment.apps import Operation, Resource
from sentiment.settings import Settings


def defaults() -> Settings:
    """All settings by default, whatever the environment says: a document is the same anywhere."""
    settings = Settings()
    for section in apps.sections():
        settings.use(section.model_construct())
    return settings


def tables() -> dict[str, str]:
    """The tables of `docs/operations.md`, by the name of their markers."""
    return {"settings": settings_table(), "rights": rights_table(), "metrics": metrics_table()}


def settings_table() -> str:
    """Every setting as a Markdown table: variable, default, meaning."""
    rows = []
    for section in apps.sections():
        prefix = section.model_config.get("env_prefix", "")
        for name, field in section.model_fields.items():
            default = "{}" if field.default is PydanticUndefined else field.default
            shown = str(default).replace(str(Path.home()), "~").replace("**********", "")
            value = f"`{shown}`" if shown else "(empty)"
            rows.append((f"`{prefix}{name.upper()}`", value, str(field.description)))
    return _table(("variable", "default", "meaning"), rows)


def metrics_table() -> str:
    """Every metric as a Markdown table: name, type, labels, unit, meaning."""
    rows = (
        (
            f"`{m.name}`",
            m.app,
            m.kind,
            ", ".join(f"`{label}`" for label in m.labels),
            m.unit,
            m.meaning,
        )
        for m in apps.metrics()
    )
    return _table(("metric", "app", "type", "labels", "unit", "meaning"), rows)


def rights_table() -> str:
    """Every right on brokers with ACLs as a Markdown table: part, right, on what."""
    named: dict[tuple[str, str, str], list[str]] = {}
    for right in apps.rights():
        key = (right.part, right.operation, right.resource)
        name = f"`{{{right.setting}}}{right.suffix}`" if right.suffix else f"`{right.setting}`"
        named.setdefault(key, []).append(name)
    rows = ((part, right, f"{on} {', '.join(names)}") for (part, right, on), names in named.items())
    return _table(("part", "right", "on"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


# Set by the chart itself from values of its own: set otherwise, they would be one thing in the app
# and another in ports, probes, volumes or rights.
OWN = frozenset(
    {
        *(f"KAFKA_{name}" for name in ("BOOTSTRAP_SERVERS", "SECURITY_PROTOCOL", "SASL_MECHANISM")),
        *(f"KAFKA_{name}" for name in ("SASL_USERNAME", "MSK_REGION", "CONFIG", "SSL_CA_LOCATION")),
        *("LOG_LEVEL", "LOG_FORMAT", "MODEL_CACHE_DIR", "WORKER_TRANSACTIONAL_ID"),
        *("TOPICS_PARTITIONS", "TOPICS_REPLICATION", "WEB_HOST", "WEB_PORT"),
        *("WORKER_HTTP_HOST", "WORKER_HTTP_PORT", "TRENDS_HTTP_HOST", "TRENDS_HTTP_PORT"),
    }
)
KEY = re.compile(r"(?P<indent> *)(?P<key>[\w-]+):(?: (?P<value>.*))?$")
# As wide as the lines of the code.
WIDTH = 100


def setting_names(*, secret: bool = False) -> list[str]:
    """The settings of the apps: those with secret values, or all others; not those of a laptop."""
    return sorted(
        f"{section.model_config.get('env_prefix', '')}{name.upper()}"
        for section in apps.sections()
        if section is not LocalSettings
        for name, field in section.model_fields.items()
        if (field.annotation is SecretStr) is secret
    )


def schema(present: str) -> str:
    """A schema of the values with the names of the settings as they are now."""
    document = json.loads(present)
    parts = document["$defs"]
    parts["settings"]["propertyNames"]["enum"] = [
        name for name in setting_names() if name not in OWN
    ]
    parts["secretFile"]["properties"]["setting"]["enum"] = setting_names(secret=True)
    return _laid_out(document) + "\n"


def values_table(text: str) -> str:
    """The values of a chart as a Markdown table: name, default, meaning.

    The comment above a key of its `values.yaml` is its meaning; one without stands for itself in
    the meaning of what it is part of. A value without any is a `ValueError`.
    """
    defaults = yaml.safe_load(text)
    rows = []
    commented = dict(_comments(text))
    for path, comment in commented.items():
        value = defaults
        for key in path:
            value = value[key]
        if not any(other[: len(path)] == path and len(other) > len(path) for other in commented):
            shown = f"`{json.dumps(value)}`" if value not in ("", None) else "(empty)"
            rows.append((f"`{'.'.join(path)}`", shown, comment))
    for path in _leaves(defaults):
        if not any(path[:length] in commented for length in range(1, len(path) + 1)):
            raise ValueError(f"values.yaml: {'.'.join(path)} has no comment that says why.")
    return _table(("value", "default", "meaning"), rows)


def _comments(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.strip(" #"))
            continue
        if found := KEY.match(line):
            indent = len(found["indent"])
            path = [(i, key) for i, key in path if i < indent] + [(indent, found["key"])]
            if comment:
                yield tuple(key for _, key in path), " ".join(comment)
        comment = []


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path


def _laid_out(value: Any, depth: int = 0) -> str:  # noqa: ANN401 - what JSON has
    """JSON with what fits into a line on one line: a schema's leaves are short."""
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or len(flat) + 2 * depth < WIDTH:
        return flat
    space = "  " * (depth + 1)
    if isinstance(value, list):
        items = [_laid_out(item, depth + 1) for item in value]
        begin, end = "[", "]"
    else:
        items = [f"{json.dumps(key)}: {_laid_out(v, depth + 1)}" for key, v in value.items()]
        begin, end = "{", "}"
    return f"{begin}\n" + ",\n".join(space + item for item in items) + f"\n{'  ' * depth}{end}"


class Grant(NamedTuple):
    """One operation, by Kafka's name, on one thing; a star at the end of its name is anything."""

    operation: Operation
    resource: Resource
    name: str


def parts() -> list[str]:
    """Every part that has rights, and KEDA, which is none of ours but asks for the workers' lag."""
    return [*dict.fromkeys(right.part for right in apps.rights()), "keda"]


def grants(part: str) -> list[Grant]:
    """What a part may do, with the topics' and groups' default names."""
    settings = defaults()
    if part == "keda":
        return [
            Grant("DESCRIBE", "topic", settings.topics.events),
            Grant("DESCRIBE", "group", settings.worker.group_id),
        ]
    return [Grant(one.operation, one.resource, one.name(settings)) for one in apps.rights(part)]


def user(part: str) -> str:
    """The name of a part's user."""
    return f"sentiment-{part.replace(' ', '-')}"


USERS_HEAD = """\
# A user for each part, with the rights that the apps register (`sentiment.apps`) and no others.
# Generated: python -m tools.docs. Strimzi keeps a password in a Secret named like the user.
"""
# Strimzi's words.
RESOURCES = {"topic": "topic", "group": "group", "transactional id": "transactionalId"}


def users() -> list[dict[str, object]]:
    """The manifests of all users."""
    return [_user(part) for part in parts()]


def _user(part: str) -> dict[str, object]:
    operations: dict[tuple[str, str], list[str]] = {}
    for grant in grants(part):
        operations.setdefault((grant.resource, grant.name), []).append(grant.operation.capitalize())
    acls = [
        {
            "resource": {
                "type": RESOURCES[resource],
                "name": name.removesuffix("*"),
                "patternType": "prefix" if name.endswith("*") else "literal",
            },
            "operations": allowed,
        }
        for (resource, name), allowed in operations.items()
    ]
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "metadata": {"name": user(part), "labels": {"strimzi.io/cluster": "sentiment"}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": acls},
        },
    }


# IAM policies for the parts on Amazon MSK, and the ACLs of the one that can't use IAM. What a
# right of Kafka is called in IAM: <https://docs.aws.amazon.com/msk/latest/developerguide/kafka-
# actions.html>. `envsubst` fills in region, account and cluster.

# Faust has no IAM: SCRAM, and ACLs on the brokers.
WITHOUT_IAM = "trends"
ARN = "arn:aws:kafka:${AWS_REGION}:${AWS_ACCOUNT_ID}"
CLUSTER = "${MSK_CLUSTER_NAME}/${MSK_CLUSTER_UUID}"
MSK_RESOURCES = {"topic": "topic", "group": "group", "transactional id": "transactional-id"}
# IAM has no right that includes another, as READ and WRITE include DESCRIBE in Kafka.
ACTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("READ", "topic"): ("DescribeTopic", "ReadData"),
    ("WRITE", "topic"): ("DescribeTopic", "WriteData"),
    ("CREATE", "topic"): ("CreateTopic",),
    ("DESCRIBE", "topic"): ("DescribeTopic",),
    ("READ", "group"): ("AlterGroup", "DescribeGroup"),
    ("DESCRIBE", "group"): ("DescribeGroup",),
    ("WRITE", "transactional id"): ("AlterTransactionalId", "DescribeTransactionalId"),
}
ACLS_HEAD = """\
#!/bin/sh
# The rights of the trends, whose client has no IAM: a user by SCRAM, and ACLs on the brokers.
# Generated: python -m tools.docs. Run with Apache Kafka's tools by an identity that may alter
# the cluster; BOOTSTRAP is the IAM listener, admin.properties that of docs/deploy-eks.md.
set -eu
"""
IAM = """\
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \\
  --allow-principal User:{user} --operation {operation} {option} {name}
"""


def policies() -> dict[str, str]:
    """The policy of each part that uses IAM, as JSON by the part's user."""
    return {user(part): _policy(part) for part in parts() if part != WITHOUT_IAM}


def acls() -> str:
    """The script that grants what the part without IAM needs."""
    return ACLS_HEAD + "".join(
        IAM.format(
            user=user(WITHOUT_IAM),
            operation=grant.operation.capitalize(),
            option=f"--{MSK_RESOURCES[grant.resource]}",
            name=grant.name,
        )
        for grant in grants(WITHOUT_IAM)
    )


def _policy(part: str) -> str:
    own = grants(part)
    on_cluster = ["Connect"]
    if any(grant.operation == "WRITE" for grant in own):
        # All of our producers are idempotent, and IAM asks for that on the cluster.
        on_cluster.append("WriteDataIdempotently")
    named = {tuple(on_cluster): [f"{ARN}:cluster/{CLUSTER}"]}
    for grant in own:
        arn = f"{ARN}:{MSK_RESOURCES[grant.resource]}/{CLUSTER}/{grant.name}"
        named.setdefault(ACTIONS[grant.operation, grant.resource], []).append(arn)
    statements = [
        {
            "Effect": "Allow",
            "Action": [f"kafka-cluster:{action}" for action in actions],
            "Resource": resources,
        }
        for actions, resources in named.items()
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"
