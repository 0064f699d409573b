"""A KafkaUser of Strimzi for each part, with the part's rights and no others."""

from sentiment.deploy import grants
from sentiment.deploy.grants import Grant

HEAD = """\
# A user for each part, with the rights of `sentiment.rights` and no others.
# Generated: python -m sentiment.deploy. Strimzi keeps a password in a Secret named like the user.
"""
USER = """\
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata:
  name: {user}
  labels:
    strimzi.io/cluster: sentiment
spec:
  authentication:
    type: scram-sha-512
  authorization:
    type: simple
    acls:
"""
ACL = """\
      - resource: {{type: {resource}, name: {name}, patternType: {pattern}}}
        operations: [{operations}]
"""
# Strimzi's words.
RESOURCES = {"topic": "topic", "group": "group", "transactional id": "transactionalId"}


def users() -> str:
    """The manifest of all users."""
    return HEAD + "".join(_user(part) for part in grants.parts())


def _user(part: str) -> str:
    operations: dict[tuple[str, str], list[str]] = {}
    for grant in grants.of(part):
        operations.setdefault((grant.resource, grant.name), []).append(_operation(grant))
    acls = "".join(
        ACL.format(
            resource=RESOURCES[resource],
            name=name.removesuffix("*"),
            pattern="prefix" if name.endswith("*") else "literal",
            operations=", ".join(allowed),
        )
        for (resource, name), allowed in operations.items()
    )
    return USER.format(user=grants.user(part)) + acls


def _operation(grant: Grant) -> str:
    return grant.operation.capitalize()
