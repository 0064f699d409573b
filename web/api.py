"""The JSON API: send events, ask for a result, ask how things are."""

import re

import msgspec
from flask import Blueprint, Response, jsonify, request

from sentiment import events, tracing
from sentiment.events import Headers
from web import services
from web.errors import ApiError
from web.outcomes import DeadLetter
from web.parsing import parse

api = Blueprint("api", __name__, url_prefix="/api")

# Kafka is watched once a second, and clients need a moment to connect again.
RETRY_AFTER_S = 2
# W3C Trace Context; anything else would only be noise on the topic.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@api.post("/events")
def send() -> tuple[Response, int]:
    """Put one or many events on the topic; 202 once the brokers have them."""
    if not request.is_json:
        raise ApiError(415, "not_json_type", "Send JSON, as Content-Type: application/json.")
    shared = services.current()
    batch = parse(
        request.get_data(cache=False),
        shared.settings.web.max_batch,
        shared.settings.worker.max_event_bytes,
    )
    _require_kafka()
    topic = shared.settings.topics.events
    with tracing.sending("sentiment-web", topic, len(batch), _trace()) as headers:
        failed = set(shared.outbox.send(batch, headers))
    if failed:
        raise ApiError(
            503,
            "not_delivered",
            f"Kafka did not acknowledge {len(failed)} of {len(batch)} events in time. Send them"
            " again with the same ids, by which a late arrival can be told.",
            details={
                "failed": [event.id for event in batch if event.id in failed],
                "delivered": [event.id for event in batch if event.id not in failed],
            },
            retry_after_s=RETRY_AFTER_S,
        )
    return jsonify(events=[{"id": event.id} for event in batch]), 202


@api.get("/results/<path:name>")
def result(name: str) -> Response:
    """What became of an event; `?wait=` seconds for it to come."""
    shared = services.current()
    wait_s = min(_seconds(request.args.get("wait", "0")), shared.settings.web.max_wait_s)
    outcome = shared.inbox.outcomes.wait(name, wait_s)
    if outcome is None:
        _require_kafka()
        raise ApiError(
            404,
            "no_result",
            f"No result for this id within {wait_s:g} s: it may still come, may be too long ago,"
            " or was never sent.",
        )
    if isinstance(outcome, DeadLetter):
        raise ApiError(
            422,
            outcome.code,
            f"The event could not be classified: {outcome.message}.",
            details={"id": outcome.id, "input": msgspec.to_builtins(outcome.input)},
        )
    return Response(events.encode(outcome), mimetype="application/json")


@api.get("/status")
def status() -> Response:
    """Whether Kafka answers, the model last seen, and what has come by."""
    inbox = services.current().inbox
    return jsonify(
        kafka={"connected": not inbox.trouble, "reason": inbox.trouble},
        model=inbox.model and {"name": inbox.model.name, "version": inbox.model.version},
        results_seen=inbox.results_seen,
        results_per_second=inbox.results_per_second,
        dead_letters_seen=inbox.dead_letters_seen,
    )


def _require_kafka() -> None:
    trouble = services.current().inbox.trouble
    if trouble:
        raise ApiError(503, "kafka_unavailable", trouble, retry_after_s=RETRY_AFTER_S)


def _trace() -> Headers:
    """A trace that began in the caller goes on through the worker to the result."""
    parent, state = (request.headers.get(name, "") for name in ("traceparent", "tracestate"))
    if not TRACEPARENT.fullmatch(parent):
        return []
    return [("traceparent", parent), *([("tracestate", state)] if state else [])]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    # The comparison is false for NaN too.
    if not seconds >= 0:
        raise ApiError(400, "invalid_wait", "'wait' has to be a number of seconds, 0 or more.")
    return seconds
