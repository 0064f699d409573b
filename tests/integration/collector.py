"""A collector of traces: what processes export to it by OpenTelemetry's protocol over HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

# Far above what any span takes to come; reached only when something is broken.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Seen:
    """A span, and the process that made it."""

    service: str
    span: Span

    @property
    def trace(self) -> str:
        """The trace that it belongs to, in hexadecimal."""
        trace: bytes = self.span.trace_id
        return trace.hex()

    def attribute(self, name: str) -> str | int:
        """An attribute of it, a text or a number."""
        [value] = [item.value for item in self.span.attributes if item.key == name]
        text: str = value.string_value
        number: int = value.int_value
        return text if value.HasField("string_value") else number


class Collector:
    """Keeps every span that comes."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            # At once, where production gathers for five seconds.
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        seen = self._seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                    [service] = [
                        item.value.string_value
                        for item in part.resource.attributes
                        if item.key == "service.name"
                    ]
                    seen.extend(
                        Seen(service, span) for scope in part.scope_spans for span in scope.spans
                    )
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler

    @property
    def seen(self) -> list[Seen]:
        """Every span so far."""
        return list(self._seen)

    def wait_for(self, enough: Callable[[list[Seen]], bool]) -> list[Seen]:
        """Every span so far, once there is enough."""
        deadline = time.monotonic() + PATIENCE_S
        while not enough(self.seen):
            assert time.monotonic() < deadline, [(s.service, s.span.name) for s in self.seen]
            time.sleep(0.05)
        return self.seen

    def serve(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever(0.05)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that runs as long as the block."""
    collector = Collector()
    thread = threading.Thread(target=collector.serve, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.stop()
        thread.join()
