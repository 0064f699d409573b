"""The JSON API: send events, ask for a result, follow results, say what one really is."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import UNSET, Meta, Struct, UnsetType

from sentiment import tracing, wire
from sentiment.dead_letters.dead_letter import number_of
from web import access, services
from web.answers import (
    AWAY,
    ApiError,
    FeedbackTaken,
    KafkaStatus,
    Named,
    Sent,
    Status,
    respond,
)
from web.feeds import FOLLOW, Failure, event
from web.inbox import Inbox
from web.parsing import parse, trace

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
FIRST = 20
OPPOSITE: dict[wire.Sentiment, wire.Sentiment] = {"positive": "negative", "negative": "positive"}

api = Blueprint("api", __name__, url_prefix="/api")


@api.post("/events")
def send() -> Response:
    """Put one or many events on the topic; 202 once the brokers have them."""
    _require_json()
    shared = services.current()
    limits = shared.web.max_batch, shared.settings.worker.max_event_bytes
    batch = parse(request.get_data(cache=False), *limits)
    shared.require_kafka()
    topic = shared.settings.topics.events
    token = secrets.token_urlsafe(16) if any(event.explain for event in batch) else None
    with tracing.sending("sentiment-web", topic, len(batch), trace()) as headers:
        asker: wire.Headers = [(wire.ASKER, _asker(token))] if token else []
        places = shared.outbox.send(batch, [*headers, *asker])
        # Here, so that the span has it too.
        _require_delivered(batch, places)
    sent = [Named(event.id or "", at) for event, at in zip(batch, places, strict=True) if at]
    return respond(Sent(sent, token), 202)


def _require_delivered(
    batch: Sequence[wire.TextEvent], places: Sequence[wire.Input | None]
) -> None:
    if all(places):
        return
    failed, delivered = (
        [event.id for event, place in zip(batch, places, strict=True) if bool(place) is wanted]
        for wanted in (False, True)
    )
    message = (
        f"Kafka did not acknowledge {len(failed)} of {len(batch)} events in time. Send them again"
        " with the same ids, by which a late arrival can be told."
    )
    raise ApiError(503, "not_delivered", message, failed=failed, delivered=delivered)


def _asker(token: str) -> bytes:
    """What the topics have of a token: any replica can tell it by that, and nobody can make it."""
    return hashlib.sha256(token.encode()).hexdigest().encode()


@api.get("/results/<path:name>")
def result(name: str) -> Response:
    """What became of an event; `?wait=` seconds for it to come.

    In a `?partition=` and `?offset=`, else the last one with the id; explained for its `?token=`.
    """
    shared = services.current()
    wait_s = min(_seconds(request.args.get("wait", "0")), shared.web.max_wait_s)
    outcomes, place = shared.inbox.outcomes, _place(shared.settings.topics.events)
    outcome = outcomes.find(name, place)
    if outcome is None and wait_s:
        who = access.caller(shared.keys)
        access.hold(shared.held, who, "waits")
        try:
            outcome = outcomes.wait(name, wait_s, place)
        finally:
            shared.held.give(who)
    if outcome is None:
        shared.require_kafka()
        message = (
            f"No result for this id within {wait_s:g} s: it may still come, may be too long ago,"
            " or was never sent."
        )
        raise ApiError(404, "no_result", message)
    if isinstance(outcome, Failure):
        message = f"The event could not be classified: {outcome.message}."
        where = msgspec.to_builtins(outcome.input)
        raise ApiError(422, outcome.code, message, id=outcome.id, input=where)
    token = request.args.get("token")
    explanation = outcomes.explanation(outcome.input, _asker(token)) if token else None
    if explanation:
        explained = wire.decode_explanation(explanation)
        outcome = msgspec.structs.replace(outcome, explanation=explained)
    return respond(outcome)


def _place(topic: str) -> wire.Input | None:
    given = [request.args.get(name) for name in ("partition", "offset")]
    if given == [None, None]:
        return None
    partition, offset = (number_of(text or "") for text in given)
    if partition is None or offset is None:
        raise ApiError(400, "invalid_place", "'partition' and 'offset' are two whole numbers.")
    return wire.Input(topic, partition, offset)


def _seconds(text: str) -> float:
    # Python reads more as a number than JSON does: `nan`, `infinity`, `1_000`.
    if not NUMBER.fullmatch(text):
        raise ApiError(400, "invalid_wait", "'wait' has to be a number of seconds, 0 or more.")
    return float(text)


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


def _require_json() -> None:
    """Refuse a body that is not sent as JSON: no form of another site can send one."""
    if not request.is_json:
        raise ApiError(415, "not_json_type", "Send JSON, as Content-Type: application/json.")


@api.get("/stream")
def stream() -> Response:
    """Server-sent results as they come, `status` between; `?sentiment=` and `?source=` filter."""
    sentiment, source = request.args.get("sentiment", ""), request.args.get("source", "")
    if sentiment not in {"", "positive", "negative"}:
        raise ApiError(400, "invalid_sentiment", "'sentiment' is 'positive' or 'negative'.")
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream")
    shared = services.current()
    inbox, who = shared.inbox, access.caller(shared.keys)
    access.hold(shared.held, who, "feeds")
    # From here on the server writes to it; its thread goes on to the next request.
    request.environ[FOLLOW](inbox.feeds.open(sentiment, source, lambda: shared.held.give(who)))
    first = [event("result", one) for one in inbox.outcomes.latest(FIRST, sentiment, source)]
    # Without buffering, or a proxy would keep the news to itself.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    # No list, whose length would be told as the answer's.
    frames = iter([b"".join([b"retry: 2000\n\n", *first])])
    return Response(frames, mimetype="text/event-stream", headers=headers)


class Opinion(Struct, frozen=True):
    """What a person says of a result: a label, or whether the result is right."""

    id: Annotated[wire.ShortText, Meta(description="The result's id.")]
    # Unset and not null: exactly one of the two is there, and a schema can say that.
    label: Annotated[wire.Sentiment | UnsetType, Meta(description="What the text really is.")] = (
        UNSET
    )
    verdict: Annotated[
        Literal["right", "wrong"] | UnsetType,
        Meta(description="Instead of a label: whether what the result says is right."),
    ] = UNSET
    sentiment: Annotated[
        wire.Sentiment | None,
        Meta(description="What the result says; only looked at where it isn't known here."),
    ] = None
    model: Annotated[
        wire.Model | None,
        Meta(
            description="The result's model; looked at as `sentiment` is, and then one whose"
            " results came by."
        ),
    ] = None
    input: Annotated[
        wire.Input | None,
        Meta(description="The result's `input`: others may have sent an event with the same id."),
    ] = None
    text: Annotated[
        str | None, Meta(description="The text; dropped unless the server is set to keep it.")
    ] = None


@api.post("/feedback")
def judge() -> Response:
    """Put a person's word on a result on the topic; 202 once the brokers have it."""
    _require_json()
    shared = services.current()
    try:
        opinion = msgspec.json.decode(request.get_data(cache=False), type=Opinion)
    except msgspec.ValidationError as error:
        raise ApiError(400, "invalid_field", f"{str(error).rstrip('.')}.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ApiError(400, "not_json", "The body is no JSON.") from None
    if (opinion.label is UNSET) == (opinion.verdict is UNSET):
        raise ApiError(400, "label_or_verdict", "Give either 'label' or 'verdict'.")
    text = opinion.text if shared.web.feedback_text else None
    limit = shared.settings.worker.max_event_bytes
    if text is not None and len(text.encode()) > limit:
        raise ApiError(413, "too_large", f"A text of more than {limit:,} bytes.")
    shared.require_kafka()
    feedback = _feedback(opinion, shared.inbox, text)
    if not shared.outbox.send_feedback(feedback):
        message = "Kafka did not acknowledge the feedback in time. Send it again."
        raise ApiError(503, "not_delivered", message)
    return respond(FeedbackTaken(feedback.id, feedback.label, text is not None), 202)


def _feedback(opinion: Opinion, inbox: Inbox, text: str | None) -> wire.Feedback:
    """The feedback, on what the result says if it is known here, else on what the caller says."""
    model, sentiment = opinion.model, opinion.sentiment
    known = inbox.outcomes.find(opinion.id, opinion.input)
    if isinstance(known, wire.SentimentResult):
        model, sentiment = known.model, known.sentiment
    elif model and not inbox.overview.knows(model):
        # Else anybody could make up versions, each of them a series of Prometheus for ever.
        message = (
            "This server has seen no result of this model lately. Leave 'model' out, and the label"
            " is kept, but counts for none."
        )
        raise ApiError(422, "unknown_model", message)
    if sentiment is None:
        message = (
            "This server has no result of this id: it may still come, or be too long ago. Say what"
            " the result said, as 'sentiment', and its 'model'."
        )
        raise ApiError(404, "no_result", message)
    label = opinion.label
    if label is UNSET:
        label = sentiment if opinion.verdict == "right" else OPPOSITE[sentiment]
    return wire.Feedback(opinion.id, label, model, sentiment, text)
