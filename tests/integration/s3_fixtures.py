"""The S3 of the tests, as a plugin of those modules that need it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from botocore.client import BaseClient

from tests.integration.s3_helpers import BUCKET, KEY_ID, SECRET, new_client
from tests.integration.s3_server import S3Server
from trainer import remote


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    """The server of this module."""
    with S3Server() as server:
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    """The server, empty, with credentials in the environment and nothing else of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
    monkeypatch.setattr(remote, "PAUSE_S", 0.0)
    requests.post(f"{running.url}/moto-api/reset", timeout=60)
    running.peace()
    return running


@pytest.fixture
def client(server: S3Server) -> Iterator[BaseClient]:
    """A client of the test's own, and the bucket."""
    made = new_client(server, "s3")
    made.create_bucket(Bucket=BUCKET)
    yield made
    made.close()
