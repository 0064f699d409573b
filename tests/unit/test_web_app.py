import time
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.web_apps import NOWHERE, app
from web import services
from web.app import EXAMPLES


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The app where no Kafka answers."""
    with app(monkeypatch, WEB_MAX_REQUEST_BYTES="1000") as made:
        yield made.test_client()


def samples(client: FlaskClient, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric, by the values of its labels in the order of their names."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_page_has_its_policy(client: FlaskClient) -> None:
    """The page comes with a policy that allows nothing inline and nothing from elsewhere."""
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert EXAMPLES[0] in answer.text
    assert "style=" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")


def test_probes_without_kafka(client: FlaskClient) -> None:
    """The page starts and lives without Kafka, and isn't ready."""
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    status = client.get("/api/status").get_json()
    assert status["kafka"]["connected"] is False
    assert status["kafka"]["reason"]
    assert (status["model"], status["results_seen"]) == (None, 0)


def test_sending_without_kafka_is_refused(client: FlaskClient) -> None:
    """Nothing is pretended: 503, a reason, and when to try again."""
    answer = client.post("/api/events", json={"text": "a"})
    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "kafka_unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/api/results/a?wait=0.01").status_code == 503


def test_wrong_requests(client: FlaskClient) -> None:
    """Each wrong request has its status, and an error as JSON."""
    for answer, status in (
        (client.post("/api/events", data="text=a"), 415),
        (client.post("/api/events", json=[]), 400),
        (client.post("/api/events", json={"text": "a" * 1000}), 413),
        (client.get("/api/events"), 405),
        (client.get("/api/absent"), 404),
        (client.get("/api/results/a?wait=nan"), 400),
        (client.get("/api/results/a?wait=-1"), 400),
        (client.get("/api/stream?sentiment=sad"), 400),
    ):
        assert answer.status_code == status
        error = answer.get_json()["error"]
        assert error["code"]
        assert error["message"]
    assert client.get("/absent").status_code == 404


def test_requests_are_counted_by_rule(client: FlaskClient) -> None:
    """Paths and methods of the caller's choice make no time series of their own."""
    name = "app_request_count_total"
    before = samples(client, name)
    for path in ("/api/results/one", "/api/results/two//three"):
        client.get(path)
    client.open("/nobody/knows", method="INVENTED")
    after = samples(client, name)
    rule = ("/api/results/<path:name>", "GET", "503")
    assert after[rule] - before.get(rule, 0) == 2
    unknown = ("other", "other", "404")
    assert after[unknown] - before.get(unknown, 0) == 1
    assert not any("nobody" in label for labels in after for label in labels)


def test_latency_leaves_feeds_out(client: FlaskClient) -> None:
    """An open feed is no slow request; other requests are timed."""
    stream = client.get("/api/stream")
    stream.close()
    client.get("/api/status")
    counted = samples(client, "app_request_latency_seconds_count")
    assert ("/api/status",) in counted
    assert ("/api/stream",) not in counted
    assert ("/api/stream", "GET", "200") in samples(client, "app_request_count_total")


def test_feed_tells_that_kafka_is_away(client: FlaskClient) -> None:
    """A feed opens without Kafka and says so; it is given back when it is closed."""
    answer = client.get("/api/stream", buffered=False)
    frames = iter(answer.response)
    assert next(frames) == b"retry: 2000\n\n"
    status = next(frames)
    assert isinstance(status, bytes)
    assert status.startswith(b"event: status\ndata: {")
    assert b'"connected":false' in status
    assert samples(client, "sentiment_web_feeds")[()] == 1
    answer.close()
    assert samples(client, "sentiment_web_feeds")[()] == 0


def test_feeds_leave_threads_for_others(client: FlaskClient) -> None:
    """When as many feeds are open as may be, the next is told to come again; a wait too."""
    held = services.of(client.application).held
    while not held.take(f"somebody {time.monotonic_ns()}", 1):
        pass
    for path, code in (("stream", "too_many_feeds"), ("results/a?wait=1", "too_many_waits")):
        answer = client.get(f"/api/{path}")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, code)
        assert answer.headers["Retry-After"] == "2"
    # Who only looks takes nobody's place.
    assert client.get("/api/results/a").get_json()["error"]["code"] != "too_many_waits"


@pytest.mark.parametrize("path", ["/api/status", "/readyz", "/api/results/a"])
def test_nobody_is_told_where_the_brokers_are(client: FlaskClient, path: str) -> None:
    """That Kafka is away is said; where it would be, and what its client says, is for the log."""
    inbox = services.of(client.application).inbox
    deadline = time.monotonic() + 60
    while NOWHERE not in inbox.trouble:
        assert time.monotonic() < deadline, inbox.trouble
        time.sleep(0.05)
    told = client.get(path).text
    assert "Kafka does not answer" in told
    assert NOWHERE not in told
    feed = client.get("/api/stream")
    lines = iter(feed.response)
    frame = next(line for line in lines if b"event: status" in line)
    feed.close()
    assert NOWHERE.encode() not in frame


def test_failures_tell_nothing_of_the_inside(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw is a 500 with a fixed sentence; the cause is for the log."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(services.of(client.application).inbox.outcomes, "find", fail)
    answer = client.get("/api/results/a")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
