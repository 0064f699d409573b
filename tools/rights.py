"""The rights of each part where a cluster has ACLs: Strimzi's users, IAM policies, and ACLs."""

import json
from typing import Literal, NamedTuple

from sentiment import apps
from tools.reference import defaults

# Rights as brokers know them: an operation on a named thing.


Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE"]
Resource = Literal["topic", "group", "transactional id"]


class Grant(NamedTuple):
    """One operation on one thing.

    Attributes:
        operation: Kafka's name of what is done.
        resource: What kind of thing that is done to.
        name: Its name; a star at the end stands for anything.
    """

    operation: Operation
    resource: Resource
    name: str


def parts() -> list[str]:
    """Every part that has rights, and KEDA, which is none of ours but asks for the workers' lag."""
    return [*dict.fromkeys(right.part for right in apps.rights()), "keda"]


def of(part: str) -> list[Grant]:
    """What a part may do, with the topics' and groups' default names."""
    settings = defaults()
    if part == "keda":
        return [
            Grant("DESCRIBE", "topic", settings.topics.events),
            Grant("DESCRIBE", "group", settings.worker.group_id),
        ]
    return [
        Grant(right.operation, right.resource, right.name(settings)) for right in apps.rights(part)
    ]


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
    for grant in of(part):
        operations.setdefault((grant.resource, grant.name), []).append(_operation(grant))
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


def _operation(grant: Grant) -> str:
    return grant.operation.capitalize()


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
            operation=_operation(grant),
            option=f"--{MSK_RESOURCES[grant.resource]}",
            name=grant.name,
        )
        for grant in of(WITHOUT_IAM)
    )


def _policy(part: str) -> str:
    own = of(part)
    on_cluster = ["kafka-cluster:Connect"]
    if any(grant.operation == "WRITE" for grant in own):
        # All of our producers are idempotent, and IAM asks for that on the cluster.
        on_cluster.append("kafka-cluster:WriteDataIdempotently")
    named: dict[tuple[str, ...], list[str]] = {}
    for grant in own:
        named.setdefault(ACTIONS[grant.operation, grant.resource], []).append(_arn(grant))
    statements = [
        _allow(on_cluster, [f"{ARN}:cluster/{CLUSTER}"]),
        *(
            _allow([f"kafka-cluster:{action}" for action in actions], resources)
            for actions, resources in named.items()
        ),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def _allow(actions: list[str], resources: list[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def _arn(grant: Grant) -> str:
    return f"{ARN}:{MSK_RESOURCES[grant.resource]}/{CLUSTER}/{grant.name}"
