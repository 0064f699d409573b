"""The Flask app: the page, its API, its probes."""

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from sentiment import logs
from sentiment.settings import Settings
from web import access, telemetry
from web.answers import ApiError
from web.api import api, stream
from web.batches.export import batches
from web.feedback import feedback
from web.openapi.document import openapi
from web.operators.install import install as install_operators
from web.services import Services
from web.settings import WebSettings
from web.trends import trends

# Short enough for a chip; a clear one of each kind, a negation, and one that is in between.
EXAMPLES = [
    "I loved every minute of it.",
    "What a waste of two hours.",
    "Not bad at all!",
    "Great cast, but the story goes nowhere.",
]

log = logs.get(__name__)


def create_app(settings: Settings) -> Flask:
    """Make the app and start what it follows Kafka with; call it after any fork.

    Args:
        settings: The whole tree. Kafka need not be there yet.

    Returns:
        The app; `web.services.of(app).close()` ends its threads.
    """
    app = Flask("web")
    own = settings.of(WebSettings)
    app.config["MAX_CONTENT_LENGTH"] = own.max_request_bytes
    # An id may hold any characters, two slashes in a row among them.
    app.url_map.merge_slashes = False
    shared = Services.made_of(settings)
    shared.attach(app)
    telemetry.install(app)
    # In this order: what is refused has its name, and guesses of a key are counted too.
    telemetry.install_request_ids(app)
    access.install_limits(app, own, shared.keys)
    access.install(app, shared.keys)
    for part in (api, batches, feedback, openapi, stream, trends, telemetry.probes):
        app.register_blueprint(part)
    install_operators(app, settings)
    app.register_error_handler(ApiError, _refused)
    app.register_error_handler(Exception, _unexpected)
    app.register_error_handler(HTTPException, _http_error)

    @app.get("/")
    def page() -> str:
        return render_template(
            "index.html", examples=EXAMPLES, web=own, needs_key=shared.keys.needed
        )

    shared.start()
    return app


def _http_error(error: HTTPException) -> Response | HTTPException:
    """JSON below `/api`, the framework's own short page elsewhere."""
    if not request.path.startswith("/api/"):
        return error
    code = (error.name or "error").lower().replace(" ", "_")
    message = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        message = f"More than the {request.max_content_length:,} bytes that may be sent here."
    answer = ApiError(error.code or 500, code, message).response()
    if error.response is None:
        for name, value in error.get_headers():
            if name == "Allow":
                answer.headers[name] = value
    return answer


def _unexpected(error: Exception) -> Response:
    """Log what nobody foresaw; tell no caller of it."""
    log.error("request failed", path=request.path, exc_info=error)
    return ApiError(500, "internal_error", "The server failed; its log says why.").response()


def _refused(error: ApiError) -> Response:
    return error.response()
