"""Claims about spans, with an exporter in memory."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from numpy.typing import NDArray
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from sentiment.classify.assemble import Batch, Piece, assemble
from sentiment.classify.decode import decode
from sentiment.classify.score import Models, answer
from sentiment.model.scorer import Scorer
from sentiment.registry.registry import LoadedModel
from sentiment.settings import Settings
from sentiment.spans import Spans
from sentiment.wire import Headers
from stream_worker.traces import MOST, Traces

# pragma: allowlist nextline secret - a trace
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED: Headers = [("traceparent", f"00-{TRACE}-{PARENT}-01".encode()), ("ce_type", b"text")]
UNSAMPLED: Headers = [("traceparent", f"00-{TRACE}-{PARENT}-00".encode())]
GARBAGE: Headers = [("traceparent", b"\xff of no form"), ("tracestate", None)]


class Half(Scorer):
    """Gives every text one half."""

    kind = "sklearn"

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text."""
        return np.full(len(texts), 0.5)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Holds the spans that have ended."""
    return InMemorySpanExporter()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Spans:
    """What makes them."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Spans(provider)


def record(number: int, headers: Headers, value: bytes = b'{"text": "a"}') -> Message:
    """A record of the events topic, of now."""
    now = TIMESTAMP_CREATE_TIME, int(time.time() * 1000) + 1
    return Message("text-events", 0, number, None, value, headers, None, now)


def pieces(*records: Message) -> list[Piece]:
    """Records as the worker has them before it publishes."""
    decoded = decode(records, 1000)
    return [Piece(decoded, answer(decoded, Models(LoadedModel("m", "1", Half(), 0.0))))]


def batch(of: list[Piece]) -> Batch:
    """What is made of them."""
    return assemble(of, Settings().topics)


def parent_of(span: ReadableSpan) -> str:
    """The identifier of its parent, in hexadecimal; empty where it has none."""
    return f"{span.parent.span_id:016x}" if span.parent else ""


@pytest.mark.parametrize("headers", [[], UNSAMPLED, GARBAGE], ids=["none", "unsampled", "garbage"])
def test_batch_without_traced_events_has_no_span(
    spans: Spans, exporter: InMemorySpanExporter, headers: Headers
) -> None:
    """What its sender did not choose costs no span and changes no header."""
    read = pieces(record(0, headers), record(1, headers, b"{"))
    made, untouched = batch(read), batch(read)
    traces = Traces(spans, Settings())
    traces.begin(made, read)
    traces.end()
    assert exporter.get_finished_spans() == ()
    assert [out.headers for out in made.outputs if out.topic == "sentiment-results"] == [
        out.headers for out in untouched.outputs if out.topic == "sentiment-results"
    ]


def test_result_goes_on_with_its_events_trace(spans: Spans, exporter: InMemorySpanExporter) -> None:
    """The event's span is its sender's child, begins at the reading, and its result's parent."""
    read = pieces(record(0, []), record(1, SAMPLED), record(2, []))
    made, traces = batch(read), Traces(spans, Settings())
    traces.begin(made, read)
    assert exporter.get_finished_spans() == ()
    traces.end()
    whole, event = exporter.get_finished_spans()
    assert (parent_of(whole), parent_of(event)) == ("", PARENT)
    assert whole.kind == event.kind == SpanKind.CONSUMER
    assert whole.name == event.name == "process text-events"
    assert whole.start_time == event.start_time == read[0].decoded.read_ns
    assert whole.attributes
    assert whole.attributes["messaging.batch.message_count"] == 3
    assert [link.context.span_id for link in whole.links] == [int(PARENT, 16)]
    assert [link.context for link in event.links] == [whole.context]
    first, second, third = made.outputs[:3]
    assert first.headers == third.headers == []
    context = event.context
    assert context is not None
    assert dict(second.headers) == {
        "traceparent": f"00-{TRACE}-{context.span_id:016x}-01",
        "ce_type": b"text",
    }


def test_flood_of_traced_events_is_bounded(spans: Spans, exporter: InMemorySpanExporter) -> None:
    """The first so many have spans; the traces of the others go on from their senders."""
    read = pieces(*(record(number, SAMPLED) for number in range(MOST + 10)))
    made, traces = batch(read), Traces(spans, Settings())
    traces.begin(made, read)
    traces.end()
    assert len(exporter.get_finished_spans()) == MOST + 1
    assert [dict(out.headers)["traceparent"] for out in made.outputs[MOST:-1]] == [
        SAMPLED[0][1]
    ] * 10


def test_aborted_transaction_fails_its_spans(spans: Spans, exporter: InMemorySpanExporter) -> None:
    """What was aborted is seen as such, and done again with spans of its own."""
    read = pieces(record(0, SAMPLED))
    traces = Traces(spans, Settings())
    for error in ("aborted", ""):
        traces.begin(batch(read), read)
        traces.end(error)
    # Nothing is open any more.
    traces.end("twice")
    codes = [span.status.status_code for span in exporter.get_finished_spans()]
    assert codes == [StatusCode.ERROR] * 2 + [StatusCode.UNSET] * 2


def test_sender_goes_on_or_begins(spans: Spans, exporter: InMemorySpanExporter) -> None:
    """A `traceparent` is gone on with, its state too; without one, each event begins a trace."""
    given: Headers = [*SAMPLED, ("tracestate", "a=b")]
    sent = [dict(spans.create("text-events", headers)) for headers in (given, [], [])]
    on, first, second = exporter.get_finished_spans()
    assert parent_of(on) == PARENT
    assert (sent[0]["tracestate"], sent[0]["ce_type"]) == ("a=b", b"text")
    assert str(sent[0]["traceparent"]).startswith(f"00-{TRACE}-")
    assert parent_of(first) == parent_of(second) == ""
    assert first.context
    assert second.context
    assert first.context.trace_id != second.context.trace_id
    with spans.sending("text-events", 7, []) as headers:
        assert [name for name, _ in headers] == ["traceparent"]
    last = exporter.get_finished_spans()[-1]
    assert (last.name, last.kind) == ("send text-events", SpanKind.PRODUCER)
    assert last.attributes
    assert last.attributes["messaging.batch.message_count"] == 7


def test_history_is_no_end_of_a_trace(spans: Spans, exporter: InMemorySpanExporter) -> None:
    """Of records that are read, traced ones have a span, but for those from before the start."""
    old = Message(
        "sentiment-results", 0, 3, None, b"", SAMPLED, None, (TIMESTAMP_CREATE_TIME, 1_000)
    )
    spans.received([record(0, SAMPLED), record(1, UNSAMPLED), record(2, []), old])
    [span] = exporter.get_finished_spans()
    assert (span.name, parent_of(span)) == ("process text-events", PARENT)
    assert span.attributes
    assert span.attributes["messaging.kafka.offset"] == 0
