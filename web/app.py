"""The Flask app: the page, its API, probes, metrics and headers."""

import time
from dataclasses import dataclass

from flask import Flask, Response, g, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import HTTPException

from sentiment import metrics
from sentiment.errors import BrokerError
from sentiment.settings import Settings
from web.api import api, page
from web.inbox import Inbox
from web.sender import Sender

EXAMPLES = (
    "I loved every minute of it.",
    "The plot made no sense and the acting was worse.",
    "Not bad at all, I was pleasantly surprised!",
    "Two hours of my life that I will never get back.",
)

# Everything comes from this app, and nothing that a person writes can become a script.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Page:
    """What all requests of one process share."""

    settings: Settings
    sender: Sender
    inbox: Inbox

    def close(self) -> None:
        """Stop its threads."""
        self.inbox.close()
        self.sender.close()


def create_app(settings: Settings) -> Flask:
    """Make the app and start its Kafka clients; call it in the process that serves.

    Args:
        settings: The settings tree. Kafka need not be there yet.

    Returns:
        The app; `app.extensions["page"].close()` stops its threads.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.web.max_request_bytes
    app.extensions["page"] = Page(settings, Sender(settings), Inbox(settings))
    app.register_blueprint(api)
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(BrokerError, _kafka_error)
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/metrics", view_func=exposition, endpoint="metrics")
    app.add_url_rule("/livez", view_func=lambda: ("ok", 200), endpoint="livez")
    app.add_url_rule("/readyz", view_func=ready, endpoint="readyz")
    return app


def index() -> str:
    """The page."""
    limits = page().settings.worker
    # The text's own share of an event, with room for the JSON around it.
    return render_template(
        "index.html", examples=EXAMPLES, max_length=max(limits.max_event_bytes // 4, 1)
    )


def exposition() -> Response:
    """Metrics for Prometheus."""
    return Response(generate_latest(metrics.REGISTRY), content_type=CONTENT_TYPE_LATEST)


def ready() -> tuple[str, int]:
    """Whether this replica can answer: not while Kafka is away."""
    return ("ok", 200) if page().inbox.connected else ("Kafka is away", 503)


def _begin() -> None:
    g.began = time.perf_counter()


def _finish(response: Response) -> Response:
    # The rule and not the path: anybody can ask for any path, and each would be a series.
    endpoint = request.url_rule.rule if request.url_rule else "(none)"
    metrics.REQUESTS.labels(request.method, endpoint, str(response.status_code)).inc()
    if response.mimetype != "text/event-stream":
        metrics.REQUEST_LATENCY.labels(endpoint).observe(time.perf_counter() - g.began)
    response.headers.update(SECURITY_HEADERS)
    return response


def _http_error(error: HTTPException) -> tuple[dict[str, dict[str, str]], int]:
    code = (error.name or "error").lower().replace(" ", "_")
    return {"error": {"code": code, "message": error.description or ""}}, error.code or 500


def _kafka_error(error: BrokerError) -> tuple[dict[str, dict[str, str]], int, dict[str, str]]:
    body = {"error": {"code": "kafka_away", "message": f"{error.message} {error.hint}".strip()}}
    return body, 503, {"Retry-After": str(RETRY_AFTER_S)}
