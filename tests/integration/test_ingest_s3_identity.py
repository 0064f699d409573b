"""Claims about who we are to S3, and what is said when that is not enough."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from botocore.client import BaseClient

from sentiment.errors import InputError, SettingsError
from tests.integration.s3_helpers import (
    BUCKET,
    KEY_ID,
    SECRET,
    new_client,
    rows,
    run,
)
from tests.integration.s3_server import S3Server

pytest_plugins = ["tests.integration.s3_fixtures"]

ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
def guarded(server: S3Server, client: BaseClient) -> Iterator[BaseClient]:
    """An object behind IAM, and a client that makes users."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    iam = new_client(server, "iam")
    address = f"{server.url}/moto-api/reset-auth"
    # The next four calls make the user.
    requests.post(address, data=b"4", timeout=60)
    yield iam
    requests.post(address, data=b"inf", timeout=60)
    iam.close()


def make_user(iam: BaseClient, *actions: str) -> dict[str, str]:
    """A user that may do this; the environment that names it."""
    iam.create_user(UserName="reader")
    statement = {"Effect": "Allow", "Action": actions or ["sqs:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    # The fourth.
    iam.list_users()
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]
    }  # fmt: skip


def test_a_user_with_the_right_to_read_reads(
    server: S3Server, guarded: BaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """s3:GetObject is all that one object takes."""
    for name, value in make_user(guarded, "s3:GetObject", "s3:HeadObject").items():
        monkeypatch.setenv(name, value)
    assert run(server, tmp_path, "a.csv").kept == 10


@pytest.mark.parametrize("key", ["a.csv", ""])
def test_a_user_without_the_right_is_told_so(
    server: S3Server, guarded: BaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """S3's reason stands in the error, and which rights are needed in the hint."""
    for name, value in make_user(guarded).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        InputError, match=f"denies access to s3://reviews/{key}: AccessDenied"
    ) as caught:
        run(server, tmp_path, key)
    assert "s3:GetObject" in caught.value.hint


@pytest.mark.parametrize("key", ["a.csv", ""])
def test_unknown_credentials_are_told_apart(
    server: S3Server, guarded: BaseClient, tmp_path: Path, key: str
) -> None:
    """They are the reader's to correct, not the bucket's owner's."""
    make_user(guarded)
    with pytest.raises(SettingsError, match="does not take the credentials: InvalidAccessKeyId"):
        run(server, tmp_path, key)


def test_a_wrong_secret_is_told_apart(
    server: S3Server, guarded: BaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is a key whose secret is another's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", make_user(guarded)["AWS_ACCESS_KEY_ID"])
    with pytest.raises(SettingsError, match="does not take the credentials: SignatureDoesNotMatch"):
        run(server, tmp_path, "a.csv")


def test_without_credentials_it_says_how_to_give_some(
    server: S3Server, client: BaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked of S3."""
    del client
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    server.peace()
    with pytest.raises(SettingsError, match=r"no usable credentials for s3://reviews/a.csv"):
        run(server, tmp_path, "a.csv")
    with pytest.raises(SettingsError, match="no usable credentials"):
        run(server, tmp_path, "a.csv", role_arn=ROLE)
    with pytest.raises(SettingsError, match=r"no usable credentials.*\(nobody\)"):
        run(server, tmp_path, "a.csv", profile="nobody")
    assert server.seen == []


def test_a_profile_is_used(server: S3Server, client: BaseClient, tmp_path: Path) -> None:
    """Its credentials go before those of the environment."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    (tmp_path / "aws-credentials").write_text(
        f"[reader]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = {SECRET}\n"
    )
    server.peace()
    run(server, tmp_path, "a.csv", profile="reader")
    assert {seen.key_id for seen in server.seen} == {"AKIAOFTHEPROFILE"}


def test_a_role_is_assumed(server: S3Server, client: BaseClient, tmp_path: Path) -> None:
    """Our own credentials only ask for those of the role, which ask for the object."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    server.peace()
    run(server, tmp_path, "a.csv", role_arn=ROLE)
    first, *others = server.seen
    assert (first.method, first.key_id) == ("POST", KEY_ID)
    (role_key,) = {seen.key_id for seen in others}
    assert role_key.startswith("ASIA")


def test_a_role_of_a_web_identity_is_assumed(
    server: S3Server, client: BaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on EKS: the token in a file and the role in the environment are enough."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "token").write_text("a-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server.peace()
    run(server, tmp_path, "a.csv")
    first, *others = server.seen
    assert (first.method, first.key_id) == ("POST", "")
    assert {seen.key_id[:4] for seen in others} == {"ASIA"}
