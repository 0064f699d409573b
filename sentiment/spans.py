"""Spans by OpenTelemetry's semantic conventions for messaging; needs the extra `tracing`.

Only imported where traces are wanted, see `sentiment.tracing`.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Message
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sentiment.wire import Headers, headers_of

# The last digit of a `traceparent`'s flags; its lowest bit says that the trace is to be seen. Most
# records of a stream say no, and a whole context takes microseconds to read.
FLAGS = slice(54, 55)
ODD = frozenset(bytes([digit]) for digit in b"13579bdf")

# At its end a process waits for a collector that is away; ten seconds, the default, are too long.
EXPORT_S = 3.0
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")

_propagator = TraceContextTextMapPropagator()
# An event without a trace begins its own, whatever happens around it.
ROOT = Context()


def exported(service: str) -> "Spans":
    """Spans that go to the endpoint of OpenTelemetry's variables, on a thread of their own."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    given = any(os.environ.get(name) for name in TIMEOUTS)
    exporter = OTLPSpanExporter(timeout=None if given else EXPORT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Spans(provider)


class Spans:
    """Makes the spans of a process."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("sentiment")
        self._began_ms = int(time.time() * 1000)

    def create(self, topic: str, headers: Headers) -> Headers:
        """An event is handed to the client library, which sends it when it likes.

        A `traceparent` among its headers is gone on with; those to send have this span's own.
        """
        span = self.start("create", topic, SpanKind.PRODUCER, context_of(headers))
        span.end()
        return continued(headers, span)

    @contextmanager
    def sending(self, topic: str, count: int, headers: Headers) -> Iterator[Headers]:
        """A block that sends events and waits for the brokers; see `create`."""
        span = self.start("send", topic, SpanKind.PRODUCER, context_of(headers))
        span.set_attribute("messaging.batch.message_count", count)
        with trace.use_span(span, end_on_exit=True):
            yield continued(headers, span)

    def received(self, records: Sequence[Message]) -> None:
        """Records were read: a span for each that is traced, at the end of its trace.

        What is older than this process is history that is read back, and not the end of anything.
        """
        for record in records:
            headers = headers_of(record)
            if not sampled(headers) or record.timestamp()[1] < self._began_ms:
                continue
            topic = record.topic() or ""
            span = self.start("process", topic, SpanKind.CONSUMER, context_of(headers))
            span.set_attribute("messaging.destination.partition.id", str(record.partition()))
            span.set_attribute("messaging.kafka.offset", record.offset() or 0)
            span.end()

    def start(  # noqa: PLR0913, PLR0917 - what a span is made of
        self,
        operation: str,
        topic: str,
        kind: SpanKind,
        parent: Context,
        links: Sequence[Link] = (),
        began_ns: int | None = None,
    ) -> Span:
        """Begin a span of `create`, `send` or `process`; `began_ns`, since 1970, is else now."""
        return self._tracer.start_span(
            f"{operation} {topic}",
            parent,
            kind,
            {
                "messaging.system": "kafka",
                "messaging.operation.name": operation,
                "messaging.operation.type": operation,
                "messaging.destination.name": topic,
            },
            links,
            began_ns,
        )


def context_of(headers: Headers) -> Context:
    """The trace that a record's headers name; an empty context where they name none."""
    carrier = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in headers
        if name in _propagator.fields and value is not None
    }
    return _propagator.extract(carrier, ROOT)


def sampled(headers: Headers) -> SpanContext | None:
    """Where a consumed record's trace stands, if its sender decided that it is to be seen."""
    if not any(name == "traceparent" and value and value[FLAGS] in ODD for name, value in headers):
        return None
    context = trace.get_current_span(context_of(headers)).get_span_context()
    return context if context.is_valid and context.trace_flags.sampled else None


def continued(headers: Headers, span: Span) -> Headers:
    """A record's headers with a span as the place that its trace goes on from."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span, ROOT))
    others = [(name, value) for name, value in headers if name not in _propagator.fields]
    return [*others, *carrier.items()]
