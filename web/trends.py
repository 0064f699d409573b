"""The trends of `sentiment trends`, for the page."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Annotated
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta, Struct

from sentiment import logs
from sentiment.wire import Trend
from web import services
from web.answers import ApiError

log = logs.get(__name__)
trends = Blueprint("trends", __name__, url_prefix="/api")

# Whatever else a caller asks for is not passed on.
PARAMETERS = ("window", "seconds", "source")

# No source of an event is longer; the trends' own server refuses a line of 8,190 bytes.
MAX_LENGTH = 256
# The trends change about once a second, and 200 open pages must not make 200 calls.
KEPT_S = 1.0
# It answers from memory; a person waits no longer for a chart.
TIMEOUT_S = 3.0
# A day of minutes of ten models is about 2 MB; whatever has more than this is no trends.
MAX_BYTES = 8 * 1024 * 1024
# Different questions at one time: callers choose sources, and must not fill the memory.
MAX_KEPT = 64


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
    for name, value in asked:
        if not value and name != "source":
            # The trends would take it for their default, and a mistake would show as other windows.
            raise ApiError(400, "invalid_parameter", f"'{name}' is empty.")
        if len(value) > MAX_LENGTH:
            message = f"'{name}' has more than {MAX_LENGTH} characters."
            raise ApiError(400, "invalid_parameter", message)
    status, body = client.ask(urlencode(asked))
    try:
        if status == 400:  # noqa: PLR2004 - HTTP
            message = msgspec.json.decode(body, type=_Refused).error
            raise ApiError(400, "invalid_parameter", f"{message}.")
        if status == 200:  # noqa: PLR2004 - HTTP
            msgspec.json.decode(body, type=Windows)
            return Response(body, mimetype="application/json")
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if status:
        code, message = "failed", "answer, but not with trends; see the log of 'sentiment trends'"
    else:
        code, message = "unavailable", "don't answer at the moment"
    message = f"The trends {message}."
    raise ApiError(502, f"trends_{code}", message)


@dataclass
class _Kept:
    """An answer that all who ask the same within `KEPT_S` get."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0
    status: int = 0
    body: bytes = b""


class TrendsClient:
    """Asks the trends' own server, where its address is no empty one; any thread may use it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def ask(self, query: str) -> tuple[int, bytes]:
        """Status and body of an answer that is at most `KEPT_S` old; 0 where none came."""
        with self._lock:
            kept = self._kept.setdefault(query, _Kept())
            self._kept.move_to_end(query)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        # Whoever comes while one asks waits for that one's answer, a failure too.
        with kept.lock:
            if time.monotonic() >= kept.until:
                kept.status, kept.body = _fetch(f"{self.url}/trends?{query}")
                kept.until = time.monotonic() + KEPT_S
            return kept.status, kept.body


def _fetch(url: str) -> tuple[int, bytes]:
    try:
        try:
            answer = urlopen(url, timeout=TIMEOUT_S)  # noqa: S310 - the setting allows HTTP alone
        except HTTPError as error:
            answer = error
        with answer:
            body = answer.read(MAX_BYTES + 1)
            # Cut off, it is no JSON, and so no answer.
            return answer.status, body if len(body) <= MAX_BYTES else b""
    except (URLError, OSError, HTTPException) as error:
        log.warning("no trends", reason=str(error))
        return 0, b""
