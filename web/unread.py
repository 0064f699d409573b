"""Taking in what a refused request still sends, so that its sender gets to read the answer."""

import time

from flask import Flask, Response, request

# A connection that is closed while its sender sends is reset, and browsers then show no answer at
# all. Somebody who takes the wrong file sends a few times the limit; more than this is no mistake.
MAX_BYTES = 64 * 1024 * 1024
MAX_S = 10.0
CHUNK = 64 * 1024


def install(app: Flask) -> None:
    """Read to the end what the refused requests of an app have not been read of."""

    @app.after_request
    def take_in(answer: Response) -> Response:
        if answer.status_code >= 400 and request.method == "POST":  # noqa: PLR2004 - HTTP
            stream = request.environ["wsgi.input"]
            left, deadline = MAX_BYTES, time.monotonic() + MAX_S
            while left > 0 and time.monotonic() < deadline and (chunk := stream.read(CHUNK)):
                left -= len(chunk)
        return answer

    del take_in
