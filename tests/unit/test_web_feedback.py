from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.unit.web_apps import app


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The app where no Kafka answers."""
    with app(monkeypatch) as made:
        yield made.test_client()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b"\xff", 400, "not_json"),
        (b'{"x": ' + b"[" * 100_000, 400, "not_json"),
        (b"[]", 400, "invalid_field"),
        (b'{"label": "positive"}', 400, "invalid_field"),
        (b'{"id": "", "label": "positive"}', 400, "invalid_field"),
        (b'{"id": "a", "label": "sad"}', 400, "invalid_field"),
        (b'{"id": "a", "label": null}', 400, "invalid_field"),
        (b'{"id": "a"}', 400, "label_or_verdict"),
        (b'{"id": "a", "label": "positive", "verdict": "right"}', 400, "label_or_verdict"),
        (b'{"id": "a", "label": "positive"}', 503, "kafka_unavailable"),
    ],
)
def test_refusals(client: FlaskClient, body: bytes, status: int, code: str) -> None:
    """Each wrong body has its status and code; a right one waits for nothing without Kafka."""
    answer = client.post("/api/feedback", data=body, content_type="application/json")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)


def test_feedback_is_json(client: FlaskClient) -> None:
    """A form of another site can't give feedback."""
    answer = client.post("/api/feedback", data={"id": "a", "label": "positive"})
    assert answer.status_code == 415
