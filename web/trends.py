"""The trends of `sentiment trends`, for the page."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta, Struct

from sentiment.counts import Trend
from web import services
from web.errors import RETRY_AFTER_S, ApiError

trends = Blueprint("trends", __name__, url_prefix="/api")

# Whatever else a caller asks for is not passed on.
PARAMETERS = ("window", "seconds", "source")


class Windows(Struct, frozen=True):
    """Windows of one length, the oldest first."""

    window_s: Annotated[int, Meta(description="Their length in seconds.")]
    source: Annotated[str | None, Meta(description="As it was asked for; null: all together.")]
    trends: list[Trend]


class _Refused(Struct):
    error: str


@trends.get("/trends")
def show() -> Response:
    """Windows of results; `?window=` and `?seconds=` in seconds, `?source=` for one source."""
    client = services.current().trends
    if not client.url:
        raise ApiError(
            404,
            "trends_not_configured",
            "This server knows no trends: start 'sentiment trends' and set WEB_TRENDS_URL.",
        )
    asked = [(name, request.args[name]) for name in PARAMETERS if name in request.args]
    empty = [name for name, value in asked if not value and name != "source"]
    if empty:
        # The trends would take it for their default, and a mistake would show as other windows.
        raise ApiError(400, "invalid_parameter", f"'{empty[0]}' is empty.")
    status, body = client.ask(urlencode(asked))
    try:
        if status == 400:  # noqa: PLR2004 - HTTP
            message = msgspec.json.decode(body, type=_Refused).error
            raise ApiError(400, "invalid_parameter", f"{message}.")
        if status == 200:  # noqa: PLR2004 - HTTP
            msgspec.json.decode(body, type=Windows)
            return Response(body, mimetype="application/json")
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = -1
    raise ApiError(
        502,
        "trends_unavailable" if status == 0 else "trends_failed",
        "The trends don't answer at the moment."
        if status == 0
        else "The trends answer, but not with trends; see the log of 'sentiment trends'.",
        retry_after_s=RETRY_AFTER_S,
    )
