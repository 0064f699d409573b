"""Claims about rights on brokers: those that apps register are granted, and no others."""

import fnmatch
import re

import pytest

from sentiment import apps
from sentiment.settings import Settings
from tests.deploy import charts

PARTS = sorted({right.part for right in apps.rights()})
# The action that a right is for; the others only go with it.
MEANT = {
    ("topic", "ReadData"): "READ",
    ("topic", "WriteData"): "WRITE",
    ("topic", "CreateTopic"): "CREATE",
    ("group", "AlterGroup"): "READ",
    ("transactional-id", "AlterTransactionalId"): "WRITE",
}
Rights = set[tuple[str, str, str]]


def wanted(part: str) -> Rights:
    """Operation, kind of thing and name, as the code has them."""
    own = Settings()
    return {(r.operation, r.resource, r.name(own)) for r in apps.rights(part)}


def users() -> dict[str, Rights]:
    """The same of each KafkaUser, by its name."""
    found: dict[str, Rights] = {}
    for user in charts.documents(charts.CLUSTER / "strimzi" / "users.yaml"):
        own = found.setdefault(user["metadata"]["name"], set())
        for acl in user["spec"]["authorization"]["acls"]:
            resource = acl["resource"]
            kind = {"transactionalId": "transactional id"}.get(resource["type"], resource["type"])
            star = "*" if resource["patternType"] == "prefix" else ""
            own |= {(op.upper(), kind, resource["name"] + star) for op in acl["operations"]}
    return found


def statements(user: str) -> list[tuple[str, str, str]]:
    """Action, kind of thing and name of everything that a policy allows."""
    return [
        (action.removeprefix("kafka-cluster:"), *_named(arn))
        for statement in charts.statements(f"msk/policies/{user}.json")
        for action in statement["Action"]
        for arn in statement["Resource"]
    ]


def _named(arn: str) -> tuple[str, str]:
    kind, _, rest = arn.rsplit(":", 1)[1].partition("/")
    return kind, rest.split("/", 2)[2] if kind != "cluster" else ""


def user_of(part: str) -> str:
    """The name of a part's user and policy."""
    return f"sentiment-{part.replace(' ', '-')}"


@pytest.mark.parametrize("part", PARTS)
def test_a_user_on_strimzi_has_its_parts_rights(part: str) -> None:
    """Each KafkaUser has the rights of the table, neither more nor less."""
    assert users()[user_of(part)] == wanted(part)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "trends"])
def test_a_policy_on_msk_has_its_parts_rights(part: str) -> None:
    """What a policy allows to read, write and create is the table; the rest only goes with it."""
    allowed = statements(user_of(part))
    meant = {
        (MEANT[kind, action], kind.replace("-", " "), name)
        for action, kind, name in allowed
        if (kind, action) in MEANT
    }
    table = wanted(part)
    assert meant == {right for right in table if right[0] != "DESCRIBE"}
    named = {(resource, name) for _, resource, name in table}
    for action, kind, name in allowed:
        if kind == "cluster":
            writes = any(operation == "WRITE" for operation, _, _ in table)
            assert action == "Connect" or (action == "WriteDataIdempotently" and writes)
        else:
            assert (kind.replace("-", " "), name) in named
            assert (kind, action) in MEANT or action.startswith("Describe")


def test_trends_on_msk_have_their_rights_by_acls() -> None:
    """The script for the part without IAM grants the table's rights, neither more nor less."""
    script = (charts.CLUSTER / "msk" / "trends-acls.sh").read_text()
    granted = re.findall(r"User:(\S+) --operation (\S+) --(\S+) (\S+)", script)
    assert {user for user, *_ in granted} == {"sentiment-trends"}
    assert {(op.upper(), kind, name) for _, op, kind, name in granted} == wanted("trends")


def test_keda_may_ask_and_no_more() -> None:
    """KEDA sees how far the workers are, and can neither read nor write."""
    own = Settings()
    assert users()["sentiment-keda"] == {
        ("DESCRIBE", "topic", own.topics.events),
        ("DESCRIBE", "group", own.worker.group_id),
    }
    assert {action for action, *_ in statements("sentiment-keda")} == {
        "Connect",
        "DescribeTopic",
        "DescribeGroup",
    }


def test_a_workers_transactional_id_is_one_that_it_may_use() -> None:
    """The id that the chart gives fits the pattern that the right is on."""
    worker = charts.pod_of(charts.objects("eks"), "worker")
    given = str(charts.environment(worker)["WORKER_TRANSACTIONAL_ID"])
    (pattern,) = {name for _, kind, name in wanted("worker") if kind == "transactional id"}
    assert fnmatch.fnmatchcase(given.replace("$(POD_NAME)", "sentiment-stream-worker-3"), pattern)


def test_every_user_is_a_part_or_keda() -> None:
    """No user and no policy is left over from a part that is gone."""
    expected = {*map(user_of, PARTS), "sentiment-keda"}
    assert users().keys() == expected
    policies = {path.stem for path in (charts.CLUSTER / "msk" / "policies").glob("*.json")}
    assert policies == expected - {"sentiment-trends"}
