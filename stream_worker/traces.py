"""The worker's spans: one for a batch, and one for each of its events that is traced."""

from collections.abc import Sequence
from itertools import islice

from msgspec import structs
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from sentiment.classify.assemble import Batch, Piece
from sentiment.settings import Settings
from sentiment.spans import ROOT, Spans, context_of, continued, sampled
from sentiment.wire import ERROR_CODE

# As many links as OpenTelemetry lets a span have by default. A batch with more traced events shows
# enough, and a flood of them must not slow the loop down; their traces go on from their senders.
MOST = 128


class Traces:
    """The spans of the transaction that is under way."""

    def __init__(self, spans: Spans, settings: Settings) -> None:
        self._spans = spans
        self._names = settings.topics
        self._group = settings.worker.group_id
        self._open: list[Span] = []

    def begin(self, batch: Batch, pieces: Sequence[Piece]) -> None:
        """Begin the spans of a batch at its first read; its traced results carry them on."""
        began_ns = pieces[0].decoded.read_ns
        contexts = ((number, sampled(out.headers)) for number, out in enumerate(batch.outputs))
        traced = list(islice(((number, one) for number, one in contexts if one), MOST))
        if not traced:
            return
        links = [Link(context) for _, context in traced]
        whole = self._process(ROOT, links, began_ns)
        whole.set_attribute("messaging.batch.message_count", batch.events)
        self._open = [whole]
        to_whole = [Link(whole.get_span_context())]
        for number, _ in traced:
            output = batch.outputs[number]
            span = self._process(context_of(output.headers), to_whole, began_ns)
            span.set_attribute("messaging.destination.partition.id", str(output.partition))
            self._open.append(span)
            if output.topic == self._names.results:
                headers = continued(output.headers, span)
                batch.outputs[number] = structs.replace(output, headers=headers)
            else:
                code = dict(output.headers)[ERROR_CODE]
                span.set_attribute("error.type", code.decode() if isinstance(code, bytes) else "")
                span.set_status(StatusCode.ERROR, "a dead letter")

    def end(self, error: str = "") -> None:
        """End what is open: the transaction is committed, or why it is not."""
        for span in self._open:
            if error:
                span.set_status(StatusCode.ERROR, error)
            span.end()
        self._open = []

    def _process(self, parent: Context, links: list[Link], began_ns: int) -> Span:
        topic, kind = self._names.events, SpanKind.CONSUMER
        span = self._spans.start("process", topic, kind, parent, links, began_ns)
        span.set_attribute("messaging.consumer.group.name", self._group)
        return span
