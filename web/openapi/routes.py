"""The document, for programs and for people."""

from flask import Blueprint, Response, render_template

from web import services
from web.answers import respond
from web.openapi.document import document

openapi = Blueprint("openapi", __name__, url_prefix="/api")


@openapi.get("/openapi.json")
def for_programs() -> Response:
    """The OpenAPI document, with this server's limits."""
    return respond(document(services.current().settings.web))


@openapi.get("/docs")
def for_people() -> str:
    """The same as a page, made here: no script, and nothing from elsewhere."""
    return render_template("docs.html", api=document(services.current().settings.web))
