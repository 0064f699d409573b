"""The Flask app: the page, its API, its probes and metrics, and what every answer carries."""

import re
import time
import uuid

import structlog
from flask import Blueprint, Flask, Response, g, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from sentiment import logs
from sentiment.settings import Settings
from web import access, services
from web.access import Keys, Shares
from web.answers import AWAY, ApiError
from web.api import api
from web.feeds import FEED, Outcomes
from web.inbox import Inbox
from web.metrics import REQUEST_LATENCY, REQUESTS, WEB
from web.openapi import openapi
from web.operators import routes as operators
from web.outbox import Outbox
from web.services import Services
from web.settings import WebSettings
from web.trends import TrendsClient, trends
from web.uploads import Uploads, uploads as upload_routes

# Short enough for a chip; a clear one of each kind, a negation, and one that is in between.
EXAMPLES = [
    "I loved every minute of it.",
    "What a waste of two hours.",
    "Not bad at all!",
    "Great cast, but the story goes nowhere.",
]
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
REQUEST_ID = "X-Request-ID"
# What tracing tools send: UUIDs, ULIDs, hexadecimal. Nothing that could break a line of a log.
WELL_FORMED = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}

log = logs.get(__name__)
probes = Blueprint("probes", __name__)


def create_app(settings: Settings) -> Flask:
    """Make the app, with or without Kafka; `web.services.of(app).close()` ends its threads."""
    app = Flask("web")
    own = settings.of(WebSettings)
    app.config["MAX_CONTENT_LENGTH"] = own.max_request_bytes
    # An id may hold any characters, two slashes in a row among them.
    app.url_map.merge_slashes = False
    outcomes, outbox = Outcomes(own.recent_results), Outbox(settings)
    uploads = Uploads(own, outbox, outcomes.find)
    shared = Services(
        settings,
        outbox,
        uploads,
        Inbox(settings, outcomes, uploads.take),
        Keys(own),
        TrendsClient(own.trends_url),
        Shares(own.threads - own.quick_threads, own.max_open_per_caller),
    )
    # First, so that what is refused has its name and is counted.
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(lambda _: structlog.contextvars.clear_contextvars())
    access.install(app, own, shared.keys)
    for part in (api, upload_routes, openapi, trends, probes):
        app.register_blueprint(part)
    operators.install(app, settings)
    app.register_error_handler(ApiError, ApiError.response)
    app.register_error_handler(Exception, _unexpected)
    app.register_error_handler(HTTPException, _http_error)

    @app.get("/")
    def page() -> str:
        return render_template(
            "index.html", examples=EXAMPLES, web=own, needs_key=shared.keys.needed
        )

    shared.start(app)
    return app


@probes.get("/metrics")
def metrics() -> Response:
    """Metrics for Prometheus."""
    return Response(generate_latest(WEB.shown), content_type=CONTENT_TYPE_LATEST)


@probes.get("/livez")
def livez() -> tuple[str, int, dict[str, str]]:
    """503 when only a restart helps."""
    alive = services.current().inbox.alive
    return ("ok" if alive else "a thread has died", 200 if alive else 503, PLAIN)


@probes.get("/readyz")
def readyz() -> tuple[str, int, dict[str, str]]:
    """503 while Kafka is away."""
    away = bool(services.current().inbox.trouble)
    return (AWAY if away else "ok", 503 if away else 200, PLAIN)


def _begin() -> None:
    """Name the request, as its caller does or else anew: in its answer, errors and log lines."""
    g.begun = time.perf_counter()
    name = request.headers.get(REQUEST_ID, "")
    g.request_id = name if WELL_FORMED.fullmatch(name) else uuid.uuid4().hex
    # Threads are used again: nothing of an earlier request may stay.
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(answer: Response) -> Response:
    """Count and time the request, and set the headers of its answer."""
    endpoint = request.url_rule.rule if request.url_rule else OTHER
    method = request.method if request.method in METHODS else OTHER
    REQUESTS.labels(method, endpoint, answer.status_code).inc()
    if endpoint != FEED and "begun" in g:
        REQUEST_LATENCY.labels(endpoint).observe(time.perf_counter() - g.begun)
    answer.headers[REQUEST_ID] = g.get("request_id") or uuid.uuid4().hex
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if request.is_secure:
        answer.headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    if request.path.startswith("/api/"):
        answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _http_error(error: HTTPException) -> Response | HTTPException:
    """JSON below `/api`, the framework's own short page elsewhere."""
    if not request.path.startswith("/api/"):
        return error
    message = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        message = f"More than the {request.max_content_length:,} bytes that may be sent here."
    code = error.name.lower().replace(" ", "_")
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    return ApiError(error.code or 500, code, message, headers=allowed).response()


def _unexpected(error: Exception) -> Response:
    """Log what nobody foresaw; tell no caller of it."""
    log.error("request failed", path=request.path, exc_info=error)
    return ApiError(500, "internal_error", "The server failed; its log says why.").response()
