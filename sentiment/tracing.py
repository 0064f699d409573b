"""Traces, where somebody wants them: off, and not even imported, until an endpoint is given.

One trace goes from the sending of an event through the worker to the page that reads its result, by
the `traceparent` header. `sentiment.spans` makes the spans; this module says whether there are any.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

from sentiment import logs
from sentiment.wire import Headers

if TYPE_CHECKING:
    from sentiment.spans import Spans

# OpenTelemetry's own variables, so that collectors and operators that set them need no others.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

log = logs.get(__name__)


@cache
def of(service: str) -> "Spans | None":
    """What makes the spans of this process; None where nobody asked for traces.

    Call it after any fork: the thread that exports them does not survive one. The service is the
    name of this process in its traces, unless `OTEL_SERVICE_NAME` has another.
    """
    wanted = any(os.environ.get(name) for name in ENDPOINTS)
    if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from sentiment import spans
    except ModuleNotFoundError as error:
        # Some clusters set the variable for every pod, and a pod without traces should still run.
        log.warning("no traces: install the extra 'tracing'", missing=error.name)
        return None
    return spans.exported(os.environ.get("OTEL_SERVICE_NAME") or service)


@contextmanager
def sending(service: str, topic: str, count: int, headers: Headers) -> Iterator[Headers]:
    """A block that sends events and waits for the brokers, as a span where traces are wanted.

    It has the headers to send: with this span's own `traceparent`, which goes on with theirs.
    """
    spans = of(service)
    with spans.sending(topic, count, headers) if spans else nullcontext(headers) as own:
        yield own
