"""The OpenAPI document."""

from functools import lru_cache

from flask import Blueprint, Response, render_template

from web import services
from web.answers import respond
from web.openapi.paths import paths
from web.openapi.schemas import TEXT, Json, schemas
from web.settings import WebSettings

# The version of the API, not of the programs: the first number grows when a caller would break.
API_VERSION = "1.0.0"


# Building it takes 20 ms of the processor, which anybody may ask for.
@lru_cache(maxsize=1)
def document(settings: WebSettings) -> Json:
    """Build the document, with the limits of these settings.

    Returns:
        An OpenAPI 3.1 document.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Streaming sentiment classification",
            "version": API_VERSION,
            "description": "Texts in, sentiments out, through Apache Kafka. Unknown members and"
            " parameters are no error: ignore those that you don't know.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths(settings),
        "components": {
            "schemas": schemas(settings),
            "headers": {
                "RequestId": {
                    "required": True,
                    "schema": TEXT,
                    "description": "The request's own if it came with a well-formed one; in the"
                    " log lines of the request too.",
                },
                "RetryAfter": {
                    "required": True,
                    "schema": {"type": "integer", "minimum": 0},
                    "description": "Seconds after which to try again.",
                },
            },
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


# The document, for programs and for people.


openapi = Blueprint("openapi", __name__, url_prefix="/api")


@openapi.get("/openapi.json")
def for_programs() -> Response:
    """The OpenAPI document, with this server's limits."""
    return respond(document(services.current().web))


@openapi.get("/docs")
def for_people() -> str:
    """The same as a page, made here: no script, and nothing from elsewhere."""
    return render_template("docs.html", api=document(services.current().web))
