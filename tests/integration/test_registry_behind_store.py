"""Claims about a registry whose server has an S3 store that nobody else can reach."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml

from sentiment.errors import ArtifactMissingError, StoreUnavailableError
from sentiment.registry import tracking
from sentiment.registry.publish import ensure_published
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings
from tests import compiled
from tests.integration.mlflow_server import Server
from tests.integration.s3_helpers import KEY_ID, SECRET
from tests.integration.s3_server import S3Server

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

SWITCH = "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"
COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A registry on a server with a store behind it; the bucket is made as Compose makes it."""
    with S3Server() as store:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", store.url)
        python, *arguments = yaml.safe_load(COMPOSE.read_text())["services"]["bucket"]["command"]
        assert python == "python"
        for _ in range(2):
            subprocess.run([sys.executable, *arguments], check=True)
        server = Server(tmp_path, "s3://mlflow/")
        server.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        # It has been told; a client has no key.
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL"):
            monkeypatch.delenv(name)
        yield store
        server.kill()


def signed_addresses(store: S3Server) -> list[str]:
    """What was fetched by an address that the store had signed, and so by the client itself."""
    return [seen.path for seen in store.seen if "X-Amz-Signature" in seen.path]


def test_models_go_through_the_server(
    store: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client publishes and loads without a word to the store, which it may not reach. MLflow's
    own choice would be to ask the store: this test can fail.
    """  # noqa: D205 - one claim
    assert ensure_published() == "1"
    cache = compiled.provide(tmp_path / "cache")
    settings = ModelSettings(uri="models:/sentiment@champion", cache_dir=cache)
    model = Registry(settings).load_champion()
    assert model.scorer.score(["a fine film"])[0] > 0.5
    assert any(seen.method == "GET" and seen.path.endswith("model.skops") for seen in store.seen)
    assert not signed_addresses(store)

    monkeypatch.delenv(SWITCH)
    monkeypatch.setattr(tracking, "_SET_BY_USER", {SWITCH})
    Registry(settings).load("1")
    assert signed_addresses(store)


def test_what_the_store_has_lost_is_told_apart_from_the_registry(
    store: S3Server, tmp_path: Path
) -> None:
    """A lost object is named, a lost bucket loses all of them, and a store that is down is not a
    registry that is down.
    """  # noqa: D205 - one claim
    ensure_published()
    settings = ModelSettings(cache_dir=tmp_path / "cache", registry_timeout_s=20)
    s3 = boto3.client(
        "s3", endpoint_url=store.url, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
    )
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="mlflow")["Contents"]]
    # Of every test of this process: the store's memory is one.
    for key in [key for key in keys if key.endswith("model.skops")]:
        s3.delete_object(Bucket="mlflow", Key=key)
    with pytest.raises(ArtifactMissingError, match=r"lost model\.skops .* mlflow-artifacts:/"):
        Registry(settings).load("1")
    for key in keys:
        s3.delete_object(Bucket="mlflow", Key=key)
    s3.delete_bucket(Bucket="mlflow")
    with pytest.raises(ArtifactMissingError, match="lost all of its files"):
        Registry(settings).load("1")
    store.__exit__()
    with pytest.raises(StoreUnavailableError, match="mlflow-artifacts:/"):
        Registry(settings).load("1")
    assert Registry(settings).resolve() == "1"
