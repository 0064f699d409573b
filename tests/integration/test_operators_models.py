"""Claims about the operators' page of models, on a real registry."""

import sys
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from mlflow import MlflowClient

from sentiment.settings import ModelSettings, Settings
from tests.integration.operators import PAGE, asked, logged_in, words
from tests.unit.operators import TOKEN


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """An operator on the test's own topics."""
    monkeypatch.setenv("OPERATORS_TOKEN", TOKEN)
    with logged_in(settings) as browser:
        yield browser


def test_models_are_shown(
    settings: Settings, challenged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Champion, challenger and versions with their figures; how to promote, not a button for it."""
    monkeypatch.setenv("OPERATORS_TOKEN", TOKEN)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", challenged)
    MlflowClient(challenged).set_model_version_tag("sentiment", "2", "sentiment.accuracy", "0.9876")
    with logged_in(settings) as client:
        page = words(client.get("/operators/models").text)
        assert "Champion Version 1" in page
        assert "Challenger Version 2" in page
        assert "0.9876" in page
        assert "sentiment promote" in page
        said = asked(client, "/operators/models")
        assert [version["version"] for version in said["versions"]] == ["2", "1"]
        assert said["challenger"]["accuracy"] == 0.9876
        monkeypatch.setenv("MODEL_URI", "models:/nobody@champion")
        settings.model = ModelSettings()
        assert "has no model nobody yet" in words(client.get("/operators/models").text)


def test_no_registry_is_a_page(
    settings: Settings, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that is away, or a client that is not installed, is a sentence; the rest works."""
    del settings
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    answer = client.get("/operators/models")
    assert (answer.status_code, "model registry does not answer" in answer.text) == (502, True)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    answer = client.get("/operators/models")
    assert answer.status_code == 501
    assert "sentiment-stream[web,operators]" in answer.text
    assert client.get(PAGE).status_code == 200
