"""What the API answers, as types and as refusals; its OpenAPI document is made of the types."""

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response, g, jsonify
from msgspec import Meta, Struct

from sentiment import wire
from sentiment.wire import Input, Model, Time

# Kafka is watched once a second, and clients need a moment to connect again.
RETRY_AFTER_S = 2
# What may help with: too much at a time, and what is away.
RETRIED = {429, 502, 503}
# For everybody; addresses of brokers and words of their client are for the log alone.
AWAY = "Kafka does not answer; the server's log says why."


class Named(Struct, frozen=True):
    """An event that the brokers have."""

    id: Annotated[str, Meta(description="The caller's, or the one that was made for it.")]
    input: Annotated[Input, Meta(description="Where it stands: no other event's result is its.")]


class Sent(Struct, frozen=True):
    """The events of a request, in its order."""

    events: list[Named]
    token: Annotated[
        str | None,
        Meta(
            description="Shows the explanations of their results, and to nobody without it; null"
            " where no event asks for one."
        ),
    ]


class FeedbackTaken(Struct, frozen=True):
    """Feedback that the brokers have."""

    id: str
    label: Annotated[str, Meta(description="`positive` or `negative`.")]
    text_kept: Annotated[
        bool, Meta(description="Whether a text came with it and was kept (`WEB_FEEDBACK_TEXT`).")
    ]


class KafkaStatus(Struct, frozen=True):
    """Whether Kafka answers."""

    connected: bool
    reason: Annotated[str, Meta(description="Why not; empty while it does.")]


class Status(Struct, frozen=True):
    """How things are."""

    kafka: KafkaStatus
    model: Annotated[Model | None, Meta(description="Of the latest result; null before one.")]
    results_seen: int
    results_per_second: float
    dead_letters_seen: int
    sending_needs_key: Annotated[bool, Meta(description="Whether a POST needs an API key.")]


class ServedModel(Struct, frozen=True):
    """A model whose results came by."""

    name: str
    version: str
    since: Annotated[Time, Meta(description="When its first result that is known was made.")]
    canary: Annotated[bool, Meta(description="Whether it answers as a challenger.")]


class FeedStatus(Struct, frozen=True):
    """How things are, as a feed tells it whenever that changes."""

    connected: bool
    reason: Annotated[str, Meta(description="Why Kafka does not answer; empty while it does.")]
    model: Model | None
    results_per_second: float
    skipped: Annotated[int, Meta(description="Results that the feed left out since the last one.")]
    positive: Annotated[int, Meta(description="Live results since this process started.")]
    negative: Annotated[int, Meta(description="The same.")]
    dead_letters: Annotated[int, Meta(description="The same.")]
    latency_ms: Annotated[
        float | None,
        Meta(
            description="Median from event to classification, of the last minute's results; of each"
            " between 0 and a week."
        ),
    ]
    lag: Annotated[
        int | None, Meta(description="Events that the workers have not committed; null: not known.")
    ]
    models: list[ServedModel]


class Problem(Struct, frozen=True, omit_defaults=True):
    """What is wrong; which of the optional members are there depends on the code."""

    code: Annotated[str, Meta(description="What is wrong, for programs.")]
    message: Annotated[str, Meta(description="What is wrong and what to do, for people.")]
    request_id: Annotated[str, Meta(description="The same as the header `X-Request-ID`.")]
    event: Annotated[
        int | None, Meta(description="Number of the bad event in the request, from 0.")
    ] = None
    failed: Annotated[list[str] | None, Meta(description="Ids that Kafka did not acknowledge.")] = (
        None
    )
    delivered: Annotated[list[str] | None, Meta(description="Ids that it did.")] = None
    id: Annotated[str | None, Meta(description="The dead letter's id.")] = None
    input: Annotated[Input | None, Meta(description="Where the dead letter's event stands.")] = None
    refused_lines: Annotated[
        list[dict[str, Any]] | None, Meta(description="Lines that can't be sent, and why.")
    ] = None


class Refusal(Struct, frozen=True):
    """Every answer that is no success."""

    error: Problem


def respond(value: object, status: int = 200, **headers: str) -> Response:
    """An answer of one of these types, as JSON."""
    return Response(wire.encode(value), status, headers, mimetype="application/json")


class ApiError(Exception):
    """An answer that is no success, as `{"error": {"code": …, "message": …, "request_id": …}}`.

    The code is for programs, the message for people; `details` are further members.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after_s: int = RETRY_AFTER_S,
        **details: object,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self._body = {"code": code, "message": message, **details}
        self._headers = dict(headers or {})
        if status in RETRIED:
            self._headers["Retry-After"] = str(retry_after_s)

    def response(self) -> Response:
        """The answer."""
        answer = jsonify(error={**self._body, "request_id": g.get("request_id", "")})
        answer.status_code = self.status
        answer.headers.update(self._headers)
        return answer
