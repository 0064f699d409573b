"""A person's word on a result, onto the topic of feedback."""

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import UNSET, Meta, Struct, UnsetType

from sentiment.wire import Feedback, Input, Model, Sentiment, SentimentResult, ShortText
from web import services
from web.answers import RETRY_AFTER_S, ApiError, FeedbackTaken, decode_error, respond
from web.api import require_json, require_kafka

feedback = Blueprint("feedback", __name__, url_prefix="/api")

OPPOSITE: dict[Sentiment, Sentiment] = {"positive": "negative", "negative": "positive"}


class Opinion(Struct, frozen=True):
    """What a person says of a result: a label, or whether the result is right."""

    id: Annotated[ShortText, Meta(description="The result's id.")]
    # Unset and not null: exactly one of the two is there, and a schema can say that.
    label: Annotated[Sentiment | UnsetType, Meta(description="What the text really is.")] = UNSET
    verdict: Annotated[
        Literal["right", "wrong"] | UnsetType,
        Meta(description="Instead of a label: whether what the result says is right."),
    ] = UNSET
    sentiment: Annotated[
        Sentiment | None,
        Meta(description="What the result says; only looked at where it isn't known here."),
    ] = None
    model: Annotated[
        Model | None,
        Meta(
            description="The result's model; looked at as `sentiment` is, and then one whose"
            " results came by."
        ),
    ] = None
    input: Annotated[
        Input | None,
        Meta(description="The result's `input`: others may have sent an event with the same id."),
    ] = None
    text: Annotated[
        str | None, Meta(description="The text; dropped unless the server is set to keep it.")
    ] = None


_decode = msgspec.json.Decoder(Opinion).decode


@feedback.post("/feedback")
def give() -> Response:
    """Put a person's word on a result on the topic; 202 once the brokers have it."""
    require_json()
    shared = services.current()
    try:
        opinion = _decode(request.get_data(cache=False))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, *_wrong(error)) from None
    if (opinion.label is UNSET) == (opinion.verdict is UNSET):
        raise ApiError(400, "label_or_verdict", "Give either 'label' or 'verdict'.")
    text = opinion.text if shared.web.feedback_text else None
    limit = shared.settings.worker.max_event_bytes
    if text is not None and len(text.encode()) > limit:
        raise ApiError(413, "too_large", f"A text of more than {limit:,} bytes.")
    require_kafka()
    known = shared.inbox.outcomes.wait(opinion.id, 0, opinion.input)
    judged = _judged(opinion, known, shared.inbox.pulse.knows, text)
    if not shared.outbox.send_feedback(judged):
        raise ApiError(
            503,
            "not_delivered",
            "Kafka did not acknowledge the feedback in time. Send it again.",
            retry_after_s=RETRY_AFTER_S,
        )
    return respond(FeedbackTaken(judged.id, judged.label, text is not None), 202)


def _wrong(error: Exception) -> tuple[str, str]:
    if isinstance(error, msgspec.ValidationError):
        return "invalid_field", decode_error(error)
    return "not_json", "The body is no JSON."


def _judged(
    opinion: Opinion, known: object, knows: Callable[[Model], bool], text: str | None
) -> Feedback:
    """The feedback, on what the result says if it is known here, else on what the caller says."""
    model, sentiment = opinion.model, opinion.sentiment
    if isinstance(known, SentimentResult):
        model, sentiment = known.model, known.sentiment
    elif model and not knows(model):
        # Else anybody could make up versions, each of them a series of Prometheus for ever.
        raise ApiError(
            422,
            "unknown_model",
            "This server has seen no result of this model lately. Leave 'model' out, and the label"
            " is kept, but counts for none.",
        )
    if sentiment is None:
        raise ApiError(
            404,
            "no_result",
            "This server has no result of this id: it may still come, or be too long ago. Say"
            " what the result said, as 'sentiment', and its 'model'.",
        )
    if opinion.label is not UNSET:
        label = opinion.label
    else:
        label = sentiment if opinion.verdict == "right" else OPPOSITE[sentiment]
    return Feedback(opinion.id, label, model, sentiment, text)
