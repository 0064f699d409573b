"""Answers to operators: a page for people, JSON for a program that brings the token with it."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask import Blueprint, Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from sentiment.errors import BrokerError, InputError, ModelError, SentimentError

PATH = "/operators"
# The status of each kind of failure of the caller's; the others are ours.
STATUS: dict[type[SentimentError], int] = {InputError: 400, BrokerError: 503, ModelError: 502}
# How surrogateescape brings the bytes 0x80 to 0xff, which are no UTF-8.
_BYTES = range(0xDC80, 0xDD00)
_BYTES_BASE = 0xDC00
# Some screens of text: whoever needs all of it wants the bytes, not a page.
LIMIT = 10_000

operators = Blueprint("operators", __name__, url_prefix=PATH)


def rendered(template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 - the template's own
    """A page, of a template below `templates/operators/`."""
    page = make_response(render_template(f"operators/{template}", **values), status)
    page.vary.update(("Cookie", "Authorization"))
    return page


def answer(template: str, document: dict[str, Any], **values: Any) -> Response:  # noqa: ANN401 - the template's own
    """A document as a page, which shows other values too, or as JSON."""
    return jsonify(document) if _by_program() else rendered(template, **document, **values)


def problem(status: int, message: str, hint: str = "") -> Response:
    """Why something can't be shown or done, and what to do about it."""
    if not _by_program():
        return rendered("problem.html", status, code=status, message=message, hint=hint)
    said = jsonify(error={"message": message, "hint": hint})
    said.status_code = status
    if status == 401:  # noqa: PLR2004 - the status that asks for a login
        said.headers["WWW-Authenticate"] = "Bearer"
    return said


def _by_program() -> bool:
    return "operator" in g and request.headers.get("Authorization", "").startswith("Bearer ")


@operators.errorhandler(SentimentError)
def failed(error: SentimentError) -> Response:
    """The answer to an error, such as Kafka being down."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return problem(status, error.message, error.hint)


@operators.errorhandler(HTTPException)
def refused(error: HTTPException) -> Response | HTTPException:
    """The answer to a request that can't be one: no such page, too large, a wrong method."""
    code = error.code or 500
    # A redirect is an exception too, and is its own answer.
    return error if code < 400 else problem(code, f"{error.description}")  # noqa: PLR2004 - HTTP's first error


@operators.after_request
def private(answer: Response) -> Response:
    """Let nobody keep a page of an operator."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


@operators.app_template_filter()
def day(seconds: float) -> str:
    """A moment, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


class Part(NamedTuple):
    """Characters that are all shown as they are, or that are all escaped."""

    text: str
    escaped: bool


class Visible(NamedTuple):
    """What can be seen of a value: its parts, and how many characters were left out."""

    parts: list[Part]
    more: int


def visible(value: str | bytes | None, limit: int = LIMIT) -> Visible:
    r"""Split foreign text into what shows, and what would act or hide: that as Python writes it.

    An escape in the text itself (`\n` as two characters) looks the same as one of ours; so ours are
    apart, and the page marks them. Bytes that are no UTF-8 are escaped one by one.
    """
    text = value.decode(errors="surrogateescape") if isinstance(value, bytes) else value or ""
    parts: list[Part] = []
    for character in text[:limit]:
        plain = character.isprintable()
        code = ord(character)
        if plain:
            shown = character
        elif code in _BYTES:
            shown = f"\\x{code - _BYTES_BASE:02x}"
        else:
            shown = character.encode("unicode_escape").decode()
        if parts and parts[-1].escaped != plain:
            parts[-1] = Part(parts[-1].text + shown, not plain)
        else:
            parts.append(Part(shown, not plain))
        if character == "\n":
            # A line end is shown, and ends the line too.
            parts.append(Part("\n", escaped=False))
    return Visible(parts, max(0, len(text) - limit))
