"""Claims about the model that a running worker serves."""

import json
import re
import shutil
import time
import zipfile
from collections import Counter
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient

from sentiment.registry.publish import bundled_model, publish
from sentiment.settings import Settings
from tests import stores
from tests.integration.conftest import StartWorker
from tests.integration.workers import PATIENCE_S, changed, read_results, send


def own_registry(folder: Path) -> str:
    """A registry of the test's own, a SQLite file, with the bundled model as version 1."""
    uri = stores.provide(folder)
    assert publish(bundled_model(), uri) == "1"
    return uri


def event(number: int) -> bytes:
    """One good event."""
    return json.dumps({"id": str(number), "text": "a good one"}).encode()


def test_a_moved_alias_is_served_without_a_restart(
    settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """When the alias moves under load, the new version takes over and no event is lost by it."""
    uri = own_registry(tmp_path)
    worker = start_worker(MLFLOW_TRACKING_URI=uri, MODEL_POLL_INTERVAL_S="0.2")
    send(settings, [event(0)])
    read_results(settings, 1)
    publish(bundled_model(), uri)
    sent = 1
    deadline = time.monotonic() + PATIENCE_S
    versions: list[str] = []
    while "2" not in versions:
        assert time.monotonic() < deadline, worker.log
        send(settings, [event(number) for number in range(sent, sent + 50)])
        sent += 50
        versions = [result.model.version for result in read_results(settings, sent)]
    results = read_results(settings, sent)
    assert Counter(result.id for result in results) == Counter(map(str, range(sent)))
    assert {result.model.version for result in results} == {"1", "2"}


def test_a_bad_model_is_refused_and_the_old_one_goes_on(
    settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """An artifact that was damaged in the registry is not served; the running model still is."""
    uri = own_registry(tmp_path)
    worker = start_worker(MLFLOW_TRACKING_URI=uri, MODEL_POLL_INTERVAL_S="0.2")
    send(settings, [event(0)])
    read_results(settings, 1)
    assert publish(bundled_model(), uri, alias="") == "2"
    client = MlflowClient(uri)
    version = client.get_model_version("sentiment", "2")
    artifact = Path(urlsplit(str(version.source)).path) / "model.skops"
    artifact.write_bytes(artifact.read_bytes()[:-1000])
    client.set_registered_model_alias("sentiment", "champion", "2")
    worker.wait_for_log("model refused")
    send(settings, [event(1)])
    assert {result.model.version for result in read_results(settings, 2)} == {"1"}


def test_a_fresh_worker_waits_for_a_model_that_can_be_served(
    settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """Its champion unpacks to too much: it stays up, says why it isn't ready, takes another."""
    uri = own_registry(tmp_path)
    assert publish(bundled_model(), uri, alias="") == "2"
    client = MlflowClient(uri)
    hostile = client.get_model_version("sentiment", "2")
    artifact = Path(urlsplit(str(hostile.source)).path) / "model.skops"
    with zipfile.ZipFile(artifact, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bytes(200 << 20))
    client.delete_model_version_tag("sentiment", "2", "sentiment.sha256")
    client.set_registered_model_alias("sentiment", "champion", "2")
    worker = start_worker(MLFLOW_TRACKING_URI=uri, MODEL_POLL_INTERVAL_S="0.2")
    worker.wait_for_log('"waiting"')
    with pytest.raises(HTTPError) as not_ready:
        worker.get("/readyz")
    assert not_ready.value.code == 503
    assert "unpacked it has more than" in not_ready.value.read().decode()
    assert worker.get("/livez") == "ok"
    worker.wait_for_metric('sentiment_model_swaps_total{outcome="refused"} 1.0')
    client.set_registered_model_alias("sentiment", "champion", "1")
    send(settings, [event(0)])
    assert {result.model.version for result in read_results(settings, 1)} == {"1"}
    assert worker.log.count("model refused") == 1


def test_a_worker_starts_while_the_registry_is_away(
    settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """With a good copy on disk, a worker whose registry can't be read still classifies."""
    uri = own_registry(tmp_path)
    first = start_worker(MLFLOW_TRACKING_URI=uri)
    send(settings, [event(0)])
    read_results(settings, 1)
    first.end()
    database = tmp_path / "mlflow.db"
    shutil.move(database, tmp_path / "away.db")
    # A folder in its place: SQLite can't open it, as it can't open a file on a lost disk.
    database.mkdir()
    start_worker(MLFLOW_TRACKING_URI=uri)
    send(settings, [event(1)])
    assert len(read_results(settings, 2)) == 2


def test_a_challenger_on_trial(
    settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """A challenger answers its share of the keys until its alias goes; its figures are metrics."""
    uri = own_registry(tmp_path)
    publish(bundled_model(), uri, alias="challenger")
    worker = start_worker(
        MLFLOW_TRACKING_URI=uri,
        MODEL_POLL_INTERVAL_S="0.2",
        MODEL_CANARY_SHARE="0.5",
        MODEL_SHADOW_SHARE="1",
    )
    worker.wait_for_log("challenger")
    for key in range(40):
        send(settings, [event(key)], key=str(key))
    versions = {
        result.id: (result.model.version, result.canary) for result in read_results(settings, 40)
    }
    assert len(versions) == 40
    assert set(versions.values()) == {("1", False), ("2", True)}
    shadowed = sum(version == "1" for version, _ in versions.values())
    line = 'sentiment_shadow_texts_total{agree="true",challenger_version="2",champion_version="1"}'
    worker.wait_for_metric(f"{line} {shadowed}.0")
    MlflowClient(uri).delete_registered_model_alias("sentiment", "challenger")
    worker.wait_for_log("no challenger any more")
    for key in range(40):
        send(settings, [event(key)], key=str(key))
    later = read_results(settings, 80)[-40:]
    assert {result.model.version for result in later} == {"1"}


def test_swaps_leave_no_series_behind(
    settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """After many swaps under load, the worker shows the series of the version that serves."""
    uri = own_registry(tmp_path)
    # They are kept for ten minutes.
    program = changed("stream_worker.served_models", SERIES_KEPT_S=2.0)
    worker = start_worker(*program, MLFLOW_TRACKING_URI=uri, MODEL_POLL_INTERVAL_S="0.2")
    client = MlflowClient(uri)
    source = client.get_model_version("sentiment", "1").source
    for number in range(2, 8):
        # The same files, registered again: to make them anew would only take time.
        made = client.create_model_version("sentiment", str(source))
        assert str(made.version) == str(number)
        client.set_registered_model_alias("sentiment", "champion", str(number))
        worker.wait_for_log(f'"version": "{number}"')
        send(settings, [event(number)])
        line = f'sentiment_scored_texts_total{{model_version="{number}"}} 1.0'
        worker.wait_for_metric(line)

    def shown() -> set[str]:
        found = re.findall(r'(?:model|champion|challenger)_version="(\d+)"', worker.get("/metrics"))
        return set(found)

    deadline = time.monotonic() + PATIENCE_S
    while shown() != {"7"}:
        assert time.monotonic() < deadline, shown()
        time.sleep(0.2)
