"""Probes, metrics, and the headers that every answer carries."""

import re
import time
import uuid

import structlog
from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from web import services
from web.answers import AWAY
from web.metrics import REQUEST_LATENCY, REQUESTS, WEB

probes = Blueprint("probes", __name__)

# Everything comes from this server; nothing is inline, so that a text can't become a script.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A year: who came by https once is never led off it, for this name alone.
STRICT_TRANSPORT = "max-age=31536000"
# Methods and paths are the caller's to choose, and must not make new time series.
METHODS = {"GET", "HEAD", "OPTIONS", "POST"}
OTHER = "other"
FEED = "/api/stream"


@probes.get("/metrics")
def metrics() -> Response:
    """Metrics for Prometheus."""
    return Response(generate_latest(WEB.shown), content_type=CONTENT_TYPE_LATEST)


@probes.get("/livez")
def livez() -> tuple[str, int, dict[str, str]]:
    """503 when only a restart helps."""
    alive = services.current().inbox.alive
    return ("ok" if alive else "a thread has died", 200 if alive else 503, _PLAIN)


@probes.get("/readyz")
def readyz() -> tuple[str, int, dict[str, str]]:
    """503 while Kafka is away."""
    away = bool(services.current().inbox.trouble)
    return (AWAY if away else "ok", 503 if away else 200, _PLAIN)


_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


def install(app: Flask) -> None:
    """Count and time every request of an app, and set the headers of its answers."""

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def finish(answer: Response) -> Response:
        endpoint = request.url_rule.rule if request.url_rule else OTHER
        method = request.method if request.method in METHODS else OTHER
        REQUESTS.labels(method, endpoint, answer.status_code).inc()
        if endpoint != FEED and "begun" in g:
            REQUEST_LATENCY.labels(endpoint).observe(time.perf_counter() - g.begun)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if request.is_secure:
            answer.headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
        if request.path.startswith("/api/"):
            answer.headers.setdefault("Cache-Control", "no-store")
        return answer


# A name for each request: in its answer, in its errors, and in each of its log lines.


HEADER = "X-Request-ID"
# What tracing tools send: UUIDs, ULIDs, hexadecimal. Nothing that could break a line of a log.
WELL_FORMED = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")


def install_request_ids(app: Flask) -> None:
    """Name every request of an app: as its caller does, or else anew."""

    @app.before_request
    def begin() -> None:
        name = request.headers.get(HEADER, "")
        g.request_id = name if WELL_FORMED.fullmatch(name) else uuid.uuid4().hex
        # Threads are used again: nothing of an earlier request may stay.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def name_answer(answer: Response) -> Response:
        answer.headers[HEADER] = g.get("request_id") or uuid.uuid4().hex
        return answer

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        del error
        structlog.contextvars.clear_contextvars()

    del begin, name_answer, end
