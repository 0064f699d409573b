"""IAM policies for the parts on Amazon MSK, and the ACLs of the one that can't use IAM.

What a right of Kafka is called in IAM:
<https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html>. `envsubst` fills in
region, account and cluster.
"""

import json

from sentiment.deploy import grants
from sentiment.deploy.grants import Grant

# Faust has no IAM: SCRAM, and ACLs on the brokers.
WITHOUT_IAM = "trends"
ARN = "arn:aws:kafka:${AWS_REGION}:${AWS_ACCOUNT_ID}"
CLUSTER = "${MSK_CLUSTER_NAME}/${MSK_CLUSTER_UUID}"
RESOURCES = {"topic": "topic", "group": "group", "transactional id": "transactional-id"}
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
# Generated: python -m sentiment.deploy. Run with Apache Kafka's tools by an identity that may alter
# the cluster; BOOTSTRAP is the IAM listener, admin.properties that of docs/deploy-eks.md.
set -eu
"""
ACL = """\
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config admin.properties --add \\
  --allow-principal User:{user} --operation {operation} {option} {name}
"""


def policies() -> dict[str, str]:
    """The policy of each part that uses IAM, as JSON by the part's user."""
    return {grants.user(part): _policy(part) for part in grants.parts() if part != WITHOUT_IAM}


def acls() -> str:
    """The script that grants what the part without IAM needs."""
    return ACLS_HEAD + "".join(
        ACL.format(
            user=grants.user(WITHOUT_IAM),
            operation=grant.operation.capitalize(),
            option=f"--{RESOURCES[grant.resource]}",
            name=grant.name,
        )
        for grant in grants.of(WITHOUT_IAM)
    )


def _policy(part: str) -> str:
    own = grants.of(part)
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
    return f"{ARN}:{RESOURCES[grant.resource]}/{CLUSTER}/{grant.name}"
