import re
import time
from collections.abc import Iterator

import jsonschema
import pytest
from flask.testing import FlaskClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from sentiment import tracing
from sentiment.spans import Spans
from tests.unit.web_apps import NOWHERE, Shown, app
from tests.waiting import until
from web import outbox, services
from web.app import EXAMPLES
from web.feeds import FOLLOW, Feed
from web.services import Services

OWN = {"/api/openapi.json", "/api/docs"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The app where no Kafka answers."""
    with app(monkeypatch) as made:
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


def followed(client: FlaskClient) -> list[Feed]:
    """The feeds that are opened, in place of connections that write them."""
    feeds: list[Feed] = []
    client.environ_base[FOLLOW] = feeds.append  # type: ignore[assignment]  # it may hold anything
    return feeds


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
        (client.post("/api/events", json={"text": "a" * 1_100_000}), 413),
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
    feeds = followed(client)
    client.get("/api/stream")
    feeds[0].leave()
    client.get("/api/status")
    counted = samples(client, "app_request_latency_seconds_count")
    assert ("/api/status",) in counted
    assert ("/api/stream",) not in counted
    assert ("/api/stream", "GET", "200") in samples(client, "app_request_count_total")


def test_feed_tells_that_kafka_is_away(client: FlaskClient) -> None:
    """A feed opens without Kafka and says so; it is given back when its reader has gone."""
    assert samples(client, "sentiment_web_feeds")[()] == 0
    shown, feeds = Shown(), followed(client)
    assert client.get("/api/stream").data == b"retry: 2000\n\n"
    [feed] = feeds
    feed.begin(shown)
    until(lambda: shown.told)
    assert shown.told["connected"] is False
    assert samples(client, "sentiment_web_feeds")[()] == 1
    feed.leave()
    assert samples(client, "sentiment_web_feeds")[()] == 0


def test_asking_for_the_head_opens_no_feed(client: FlaskClient) -> None:
    """HEAD has the type of what GET would have, and takes nobody's place."""
    feeds = followed(client)
    assert client.head("/api/stream").mimetype == "text/event-stream"
    assert not feeds


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
    until(lambda: NOWHERE in inbox.trouble)
    told = client.get(path).text
    assert "Kafka does not answer" in told
    assert NOWHERE not in told
    shown, feeds = Shown(), followed(client)
    client.get("/api/stream")
    feeds[0].begin(shown)
    until(lambda: shown.told)
    assert NOWHERE not in str(shown.told)
    feeds[0].leave()


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
def test_wrong_feedback_is_refused(
    client: FlaskClient, body: bytes, status: int, code: str
) -> None:
    """Each wrong body has its status and code; a right one waits for nothing without Kafka."""
    answer = client.post("/api/feedback", data=body, content_type="application/json")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)


def test_feedback_is_json(client: FlaskClient) -> None:
    """A form of another site can't give feedback."""
    answer = client.post("/api/feedback", data={"id": "a", "label": "positive"})
    assert answer.status_code == 415


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


def test_the_span_of_what_was_not_delivered_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that go away while an event is sent fail the answer, and the span as well."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "of", lambda _: Spans(provider))
    # None ever answers here, and what was never there can't go away.
    monkeypatch.setattr(Services, "require_kafka", lambda _: None)
    monkeypatch.setattr(outbox, "DELIVERY_TIMEOUT_S", 0.5)
    with app(monkeypatch) as page:
        answer = page.test_client().post("/api/events", json={"text": "a", "id": "one"})
    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "not_delivered"
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "did not acknowledge 1 of 1" in str(span.status.description)
