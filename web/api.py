"""The JSON API: send events, ask for a result, ask how things are."""

import hashlib
import re
import secrets
import time
from collections.abc import Iterator, Sequence

import msgspec
from flask import Blueprint, Response, request

from sentiment import tracing, wire
from sentiment.dead_letters.dead_letter import number_of
from sentiment.wire import Headers, Input
from web import access, services
from web.answers import (
    AWAY,
    RETRY_AFTER_S,
    ApiError,
    FeedStatus,
    KafkaStatus,
    Named,
    Sent,
    Status,
    respond,
)
from web.feeds import Feed, Unclassified
from web.inbox import Inbox
from web.parsing import parse

api = Blueprint("api", __name__, url_prefix="/api")

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# W3C Trace Context; anything else would only be noise on the topic.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# As many as everybody has to pass on by that standard. Each event of a request has a copy.
MAX_TRACESTATE = 512


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
    token = secrets.token_urlsafe(16) if any(event.explain for event in batch) else None
    with tracing.sending("sentiment-web", topic, len(batch), trace()) as headers:
        asker: Headers = [(wire.ASKER, _asker(token))] if token else []
        places = shared.outbox.send(batch, [*headers, *asker])
        sent = [
            Named(event.id or "", place)
            for event, place in zip(batch, places, strict=True)
            if place
        ]
        if len(sent) < len(batch):
            # Here, so that the span has it too.
            raise _not_delivered(batch, places)
    return respond(Sent(sent, token), 202)


def _not_delivered(batch: Sequence[wire.TextEvent], places: Sequence[Input | None]) -> ApiError:
    failed, delivered = (
        [event.id for event, place in zip(batch, places, strict=True) if bool(place) is wanted]
        for wanted in (False, True)
    )
    return ApiError(
        503,
        "not_delivered",
        f"Kafka did not acknowledge {len(failed)} of {len(batch)} events in time. Send them again"
        " with the same ids, by which a late arrival can be told.",
        details={"failed": failed, "delivered": delivered},
        retry_after_s=RETRY_AFTER_S,
    )


def _asker(token: str) -> bytes:
    """What the topics have of a token: any replica can tell it by that, and nobody can make it."""
    return hashlib.sha256(token.encode()).hexdigest().encode()


@api.get("/results/<path:name>")
def result(name: str) -> Response:
    """What became of an event; `?wait=` seconds for it to come.

    Of the event in a `?partition=` and `?offset=`, else of the last one with the id; explained to
    who has the `?token=`.
    """
    shared = services.current()
    wait_s = min(_seconds(request.args.get("wait", "0")), shared.settings.web.max_wait_s)
    outcomes, place = shared.inbox.outcomes, _place(shared.settings.topics.events)
    outcome = outcomes.wait(name, 0, place)
    if outcome is None and wait_s:
        who = access.caller(shared.keys)
        access.hold(shared.held, who, "waits")
        try:
            outcome = outcomes.wait(name, wait_s, place)
        finally:
            shared.held.give(who)
    if outcome is None:
        require_kafka()
        raise ApiError(
            404,
            "no_result",
            f"No result for this id within {wait_s:g} s: it may still come, may be too long ago,"
            " or was never sent.",
        )
    if isinstance(outcome, Unclassified):
        raise ApiError(
            422,
            outcome.code,
            f"The event could not be classified: {outcome.message}.",
            details={"id": outcome.id, "input": msgspec.to_builtins(outcome.input)},
        )
    token = request.args.get("token")
    explanation = outcomes.explanation(outcome.input, _asker(token)) if token else None
    if explanation:
        explained = wire.decode_explanation(explanation)
        outcome = msgspec.structs.replace(outcome, explanation=explained)
    return Response(wire.encode(outcome), mimetype="application/json")


@api.get("/status")
def status() -> Response:
    """Whether Kafka answers, the model last seen, and what has come by."""
    shared = services.current()
    inbox = shared.inbox
    return respond(
        Status(
            kafka=KafkaStatus(not inbox.trouble, AWAY if inbox.trouble else ""),
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
    if services.current().inbox.trouble:
        raise ApiError(503, "kafka_unavailable", AWAY, retry_after_s=RETRY_AFTER_S)


def trace() -> Headers:
    """A trace that began in the caller goes on through the worker to the result.

    A `tracestate` of more than `MAX_TRACESTATE` characters is left out.
    """
    parent, state = (request.headers.get(name, "") for name in ("traceparent", "tracestate"))
    if not TRACEPARENT.fullmatch(parent):
        return []
    return [
        ("traceparent", parent),
        *([("tracestate", state)] if 0 < len(state) <= MAX_TRACESTATE else []),
    ]


def _place(topic: str) -> Input | None:
    given = [request.args.get(name) for name in ("partition", "offset")]
    if given == [None, None]:
        return None
    partition, offset = (number_of(text or "") for text in given)
    if partition is None or offset is None:
        raise ApiError(400, "invalid_place", "'partition' and 'offset' are two whole numbers.")
    return Input(topic, partition, offset)


def _seconds(text: str) -> float:
    # Python reads more as a number than JSON does: `nan`, `infinity`, `1_000`.
    if not NUMBER.fullmatch(text):
        raise ApiError(400, "invalid_wait", "'wait' has to be a number of seconds, 0 or more.")
    return float(text)


# The live feed, as server-sent events (WHATWG HTML, section 9.2).


stream = Blueprint("stream", __name__, url_prefix="/api")

# How often a feed looks whether there is a new status to tell.
STATUS_S = 1.0
# A browser that has gone is only seen when it is written to, and then the second time; and proxies
# close a connection that is silent for 30 or 60 seconds.
HEARTBEAT_S = 5.0
# What a newly opened feed shows at once.
FIRST = 20


@stream.get("/stream")
def feed() -> Response:
    """Results as they come, with `status` between; `?sentiment=` and `?source=` filter."""
    sentiment, source = request.args.get("sentiment", ""), request.args.get("source", "")
    if sentiment not in {"", "positive", "negative"}:
        raise ApiError(400, "invalid_sentiment", "'sentiment' is 'positive' or 'negative'.")
    shared = services.current()
    inbox, who = shared.inbox, access.caller(shared.keys)
    access.hold(shared.held, who, "feeds")
    opened = inbox.feeds.open(sentiment, source)

    def leave() -> None:
        inbox.feeds.leave(opened)
        shared.held.give(who)

    first = inbox.outcomes.latest(FIRST, sentiment, source)
    body = _frames(inbox, opened)
    lines = [b"retry: 2000\n\n", *(_frame("result", result) for result in first)]
    # Without buffering, or a proxy would keep the news to itself.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    answer = Response(_chain(lines, body), mimetype="text/event-stream", headers=headers)
    # Called whether the browser leaves before, within or after the first line.
    answer.call_on_close(leave)
    return answer


def _chain(lines: list[bytes], frames: Iterator[bytes]) -> Iterator[bytes]:
    yield b"".join(lines)
    yield from frames


def _frames(inbox: Inbox, feed: Feed) -> Iterator[bytes]:
    told: FeedStatus | None = None
    next_status = last = time.monotonic()
    skipped = 0
    while not feed.closed:
        # The first status goes out at once: a person waits to hear whether all is well.
        results, more = feed.take(STATUS_S if told else 0)
        skipped += more
        frames = [_frame("result", result) for result in results]
        now = time.monotonic()
        if now >= next_status:
            status = _status(inbox, skipped)
            if status != told:
                frames.append(_frame("status", status))
            told, skipped, next_status = status, 0, now + STATUS_S
        if not frames and now - last > HEARTBEAT_S:
            frames.append(b": still here\n\n")
        if frames:
            last = now
            yield b"".join(frames)


def _status(inbox: Inbox, skipped: int) -> FeedStatus:
    return FeedStatus(
        not inbox.trouble,
        AWAY if inbox.trouble else "",
        inbox.model,
        inbox.results_per_second,
        skipped,
        **inbox.pulse.status(),
    )


def _frame(kind: str, data: object) -> bytes:
    # JSON has no line breaks, and so ends no line of the stream too early.
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), wire.encode(data))
