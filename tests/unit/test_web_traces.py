"""What the page passes on of traces, and tells of an event that the brokers don't take."""

import pytest
from flask import Flask
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from sentiment import tracing
from sentiment.spans import Spans
from sentiment.wire import Headers
from tests.unit.web_apps import app
from web import parsing
from web.services import Services

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def test_the_span_of_what_was_not_delivered_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that go away while an event is sent fail the answer, and the span as well."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "of", lambda _: Spans(provider))
    # None ever answers here, and what was never there can't go away.
    monkeypatch.setattr(Services, "require_kafka", lambda _: None)
    with app(monkeypatch) as page:
        answer = page.test_client().post("/api/events", json={"text": "a", "id": "one"})
    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "not_delivered"
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "did not acknowledge 1 of 1" in str(span.status.description)


@pytest.mark.parametrize(
    ("parent", "state", "kept"),
    [
        (PARENT, "a=1", [("traceparent", PARENT), ("tracestate", "a=1")]),
        (PARENT, f"a={'1' * 510}", [("traceparent", PARENT), ("tracestate", f"a={'1' * 510}")]),
        (PARENT, f"a={'1' * 511}", [("traceparent", PARENT)]),
        (f"{PARENT}-", "a=1", []),
    ],
)
def test_what_each_event_of_a_request_has_is_bounded(
    parent: str, state: str, kept: Headers
) -> None:
    """A `tracestate` beyond the length that has to be passed on is left out."""
    headers = {"traceparent": parent, "tracestate": state}
    with Flask("test").test_request_context(headers=headers):
        assert parsing.trace() == kept
