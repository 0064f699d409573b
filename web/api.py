"""The JSON API: send events, ask for a result, ask how things are."""

import re
from collections.abc import Sequence

import msgspec
from flask import Blueprint, Response, request

from sentiment import events, tracing
from sentiment.events import Headers
from web import services
from web.answers import KafkaStatus, Named, Sent, Status, respond
from web.errors import RETRY_AFTER_S, ApiError
from web.outcomes import DeadLetter
from web.parsing import parse

api = Blueprint("api", __name__, url_prefix="/api")

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# W3C Trace Context; anything else would only be noise on the topic.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@api.post("/events")
def send() -> Response:
    """Put one or many events on the topic; 202 once the brokers have them."""
    require_json()
    shared = services.current()
    batch = parse(
        request.get_data(cache=False),
        shared.settings.web.max_batch,
        shared.settings.worker.max_event_bytes,
    )
    require_kafka()
    topic = shared.settings.topics.events
    with tracing.sending("sentiment-web", topic, len(batch), trace()) as headers:
        failed = set(shared.outbox.send(batch, headers))
        if failed:
            # Here, so that the span has it too.
            raise _not_delivered(batch, failed)
    return respond(Sent([Named(event.id or "") for event in batch]), 202)


def _not_delivered(batch: Sequence[events.TextEvent], failed: set[str]) -> ApiError:
    return ApiError(
        503,
        "not_delivered",
        f"Kafka did not acknowledge {len(failed)} of {len(batch)} events in time. Send them again"
        " with the same ids, by which a late arrival can be told.",
        details={
            "failed": [event.id for event in batch if event.id in failed],
            "delivered": [event.id for event in batch if event.id not in failed],
        },
        retry_after_s=RETRY_AFTER_S,
    )


@api.get("/results/<path:name>")
def result(name: str) -> Response:
    """What became of an event; `?wait=` seconds for it to come."""
    shared = services.current()
    wait_s = min(_seconds(request.args.get("wait", "0")), shared.settings.web.max_wait_s)
    outcome = shared.inbox.outcomes.wait(name, wait_s)
    if outcome is None:
        require_kafka()
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
    shared = services.current()
    inbox = shared.inbox
    return respond(
        Status(
            kafka=KafkaStatus(not inbox.trouble, inbox.trouble),
            model=inbox.model,
            results_seen=inbox.results_seen,
            results_per_second=inbox.results_per_second,
            dead_letters_seen=inbox.dead_letters_seen,
            sending_needs_key=shared.keys.needed,
        )
    )


def require_json() -> None:
    """Refuse a body that is not sent as JSON: no form of another site can send one."""
    if not request.is_json:
        raise ApiError(415, "not_json_type", "Send JSON, as Content-Type: application/json.")


def require_kafka() -> None:
    """Refuse what would only wait for brokers that are away."""
    trouble = services.current().inbox.trouble
    if trouble:
        raise ApiError(503, "kafka_unavailable", trouble, retry_after_s=RETRY_AFTER_S)


def trace() -> Headers:
    """A trace that began in the caller goes on through the worker to the result."""
    parent, state = (request.headers.get(name, "") for name in ("traceparent", "tracestate"))
    if not TRACEPARENT.fullmatch(parent):
        return []
    return [("traceparent", parent), *([("tracestate", state)] if state else [])]


def _seconds(text: str) -> float:
    # Python reads more as a number than JSON does: `nan`, `infinity`, `1_000`.
    if not NUMBER.fullmatch(text):
        raise ApiError(400, "invalid_wait", "'wait' has to be a number of seconds, 0 or more.")
    return float(text)
