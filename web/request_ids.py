"""A name for each request: in its answer, in its errors, and in each of its log lines."""

import re
import uuid

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
# What tracing tools send: UUIDs, ULIDs, hexadecimal. Nothing that could break a line of a log.
WELL_FORMED = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")


def install(app: Flask) -> None:
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
