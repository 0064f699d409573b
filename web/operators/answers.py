"""Answers: a page for people, JSON for a program that brings the token with its request."""

from typing import Any

from flask import Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from sentiment.errors import BrokerError, InputError, ModelError, SentimentError

# What each kind of failure is to whoever asked; the others are ours.
STATUS: dict[type[SentimentError], int] = {InputError: 400, BrokerError: 503, ModelError: 502}


def rendered(template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 - the template's own
    """A page."""
    page = make_response(render_template(f"operators/{template}", **values), status)
    page.vary.update(("Cookie", "Authorization"))
    return page


def answer(template: str, document: dict[str, Any], **values: Any) -> Response:  # noqa: ANN401 - the template's own
    """A page, or the same as JSON.

    Args:
        template: Below `templates/operators/`.
        document: What a program is told.
        values: What else the template shows.
    """
    return jsonify(document) if _by_program() else rendered(template, **document, **values)


def problem(status: int, message: str, hint: str = "") -> Response:
    """Why something can't be shown or done, and what to do about it."""
    if _by_program():
        said = jsonify(error={"message": message, "hint": hint})
        said.status_code = status
        if status == 401:  # noqa: PLR2004 - the status that asks for a login
            said.headers["WWW-Authenticate"] = "Bearer"
        return said
    return rendered("problem.html", status, code=status, message=message, hint=hint)


def failed(error: SentimentError) -> Response:
    """The answer to what went wrong, such as Kafka being away."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return problem(status, error.message, error.hint)


def refused(error: HTTPException) -> Response | HTTPException:
    """The answer to a request that can't be one: no such page, too large, a wrong method."""
    code = error.code or 500
    # A redirect is an exception too, and is its own answer.
    return error if code < 400 else problem(code, f"{error.description}")  # noqa: PLR2004 - HTTP's first error


def _by_program() -> bool:
    return "operator" in g and request.headers.get("Authorization", "").startswith("Bearer ")
