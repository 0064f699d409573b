"""The JSON API under the page."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import msgspec
from flask import Blueprint, Response, abort, current_app, request

from sentiment import events
from sentiment.events import EventError, Headers

if TYPE_CHECKING:
    from web.app import Page

api = Blueprint("api", __name__, url_prefix="/api")

# What a browser's page waits for a result when it doesn't say.
DEFAULT_WAIT_S = 0.0


def page() -> "Page":
    """What the app's requests share."""
    return cast("Page", current_app.extensions["page"])


@api.post("/events")
def send() -> tuple[dict[str, Any], int]:
    """Send one event, a list of them, or `{"events": [...]}`; 202 once Kafka has them all."""
    if not request.is_json:
        abort(415, "Send JSON, with Content-Type: application/json.")
    items = _items(request.get_data())
    limits = page().settings
    if not 1 <= len(items) <= limits.web.max_batch:
        abort(400, f"Send 1 to {limits.web.max_batch} events in one request.")
    encoded = [
        _encoded(item, number, limits.worker.max_event_bytes) for number, item in enumerate(items)
    ]
    # A trace that began in the caller goes on through the worker to the result.
    headers: Headers = [
        (name, request.headers[name].encode())
        for name in ("traceparent", "tracestate")
        if name in request.headers
    ]
    page().sender.send(encoded, headers)
    return {"events": [{"id": key} for key, _ in encoded]}, 202


def _items(body: bytes) -> list[Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        abort(400, f"The body is no valid JSON: {events.diagnose(body, error)}")
    if isinstance(document, dict) and "text" not in document and "events" in document:
        document = document["events"]
    return document if isinstance(document, list) else [document]


def _encoded(item: Any, number: int, max_bytes: int) -> tuple[str, bytes]:  # noqa: ANN401 - any JSON
    """Key and value of an event, checked by the worker's own rules; 400 or 413 where it fails."""
    if not isinstance(item, dict):
        abort(400, f"Event {number} is no object.")
    identity = item.get("id") or str(uuid.uuid4())
    value = events.encode({"source": "web", **item, "id": identity})
    if len(value) > max_bytes:
        abort(413, f"Event {number} has {len(value)} bytes; {max_bytes} are allowed.")
    try:
        event = events.decode_event(value)
    except EventError as error:
        abort(400, f"Event {number}: {error.message} ({error.code}).")
    return event.id or identity, value


@api.get("/results/<path:identity>")
def result(identity: str) -> Response:
    """The result of an event; waits for it up to `wait` seconds."""
    most = page().settings.web.max_wait_s
    try:
        wait_s = float(request.args.get("wait", DEFAULT_WAIT_S))
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= most:
        abort(400, f"'wait' is a number of seconds from 0 to {most:g}.")
    answer = page().inbox.wait_for(identity, wait_s)
    if answer is None:
        abort(404, f"No result for this id after {wait_s:g} s.")
    status = 200 if answer.is_result else 422
    return Response(answer.body, status, mimetype="application/json")


@api.get("/stream")
def stream() -> Response:
    """Results as they come, as server-sent events; `sentiment` and `source` choose among them."""
    sentiment = request.args.get("sentiment", "")
    source = request.args.get("source", "")
    if sentiment not in {"", "positive", "negative"}:
        abort(400, "'sentiment' is positive or negative.")
    inbox = page().inbox

    def lines() -> Iterator[bytes]:
        with inbox.feed(sentiment, source) as feed:
            yield from feed.stream(inbox.status)

    # A proxy that collects before it sends would make the feed come in lumps.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(lines(), mimetype="text/event-stream", headers=headers)


@api.get("/status")
def status() -> Response:
    """Whether Kafka is there, the model last seen, and the rate of results."""
    return Response(msgspec.json.encode(page().inbox.status()), mimetype="application/json")
