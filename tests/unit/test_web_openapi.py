import re
from collections.abc import Iterator

import jsonschema
import pytest
from flask.testing import FlaskClient

from tests.unit.web_apps import app

OWN = {"/api/openapi.json", "/api/docs"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The app where no Kafka answers."""
    with app(monkeypatch) as made:
        yield made.test_client()


def test_every_route_is_in_the_document(client: FlaskClient) -> None:
    """No route of the API is left out, and none is made up; its limits are this server's."""
    document = client.get("/api/openapi.json").get_json()
    routes = {
        (re.sub(r"<[^>]*>", "{id}", rule.rule), method.lower())
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.rule not in OWN
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {
        (path, method) for path, operations in document["paths"].items() for method in operations
    }
    assert documented == routes
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_keys_are_in_the_document(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where keys are set the document asks for one; elsewhere it says that none is needed."""
    optional = client.get("/api/openapi.json").get_json()["paths"]["/api/events"]["post"]
    assert {} in optional["security"]
    with app(monkeypatch, WEB_API_KEYS="a-key") as made:  # pragma: allowlist secret - of this test
        document = made.test_client().get("/api/openapi.json").get_json()
    needed = document["paths"]["/api/events"]["post"]
    assert needed["security"] == [{"key": []}, {"bearer": []}]


def test_page_of_the_api_shows_all_of_it(client: FlaskClient) -> None:
    """The page has every route and type, under the same policy, with nothing from elsewhere."""
    answer = client.get("/api/docs")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    document = client.get("/api/openapi.json").get_json()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in answer.text
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in answer.text
    for target in re.findall(r'href="#([^"]*)"', answer.text):
        assert f'id="{target}"' in answer.text
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")
