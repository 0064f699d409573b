"""The wire: what each topic's records hold, as types that encode and decode them.

`docs/asyncapi.yaml` and `docs/schemas/` are generated from this module and from `sentiment.counts`,
which has what is counted (`make docs`), so a docstring here is what a consumer of the topic reads.
Fields that a newer program added are ignored by an older one, never an error.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from confluent_kafka import Message
from msgspec import Meta, Struct

from sentiment import metrics
from sentiment.event_errors import EventError, diagnose

# An identifier travels in URLs, logs and headers: long enough for any UUID or URL, bounded.
ShortText = Annotated[str, Meta(min_length=1, max_length=256)]
Time = Annotated[datetime, Meta(tz=True)]
Sentiment = Literal["positive", "negative"]


class TextEvent(Struct, frozen=True, gc=False):
    """A text to classify."""

    text: Annotated[str, Meta(description="The text; not empty and not only white space.")]
    id: Annotated[
        ShortText | None,
        Meta(description="Names the event in its result; by default `topic-partition-offset`."),
    ] = None
    source: Annotated[ShortText | None, Meta(description="Where the text comes from.")] = None
    created_at: Annotated[Time | None, Meta(description="When it was written; RFC 3339.")] = None
    explain: Annotated[bool, Meta(description="Ask for an explanation in the result.")] = False
    attributes: Annotated[
        dict[str, Any] | None, Meta(description="The caller's own data; not looked at.")
    ] = None


class Model(Struct, frozen=True, gc=False):
    """The model that classified a text, by its name and version in the registry."""

    # MLflow's own bound for names; versions are numbers. Others write models too, as feedback.
    name: Annotated[str, Meta(max_length=256)]
    version: Annotated[str, Meta(max_length=256)]


class Input(Struct, frozen=True, gc=False):
    """Where the event of a result stands on its topic."""

    topic: str
    partition: int
    offset: int


class Part(Struct, frozen=True, array_like=True, gc=False):
    """What an n-gram adds to the log-odds at one place of the text: `[contribution, begin, end]`.

    Of an n-gram that stands in a text more than once, each place has an equal share. Parts overlap,
    as pairs of words overlap with their words.
    """

    contribution: Annotated[float, Meta(description="Above 0 speaks for positive.")]
    begin: Annotated[
        int, Meta(ge=0, description="Where its first word begins, in Unicode code points.")
    ]
    end: Annotated[int, Meta(ge=1, description="Where its last word ends: one after it.")]


class Explanation(Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a text has its score, which is 1 / (1 + e^-log_odds).

    `log_odds` is the sum of `intercept`, all contributions and `rest`, to within 0.000001.
    """

    log_odds: float
    intercept: Annotated[float, Meta(description="What the model says before the first word.")]
    parts: Annotated[
        list[Part], Meta(description="The n-grams that the model knows, in the order of the text.")
    ]
    rest: Annotated[
        float,
        Meta(description="Sum of the smallest contributions, where there are too many parts."),
    ] = 0.0


class SentimentResult(Struct, frozen=True, omit_defaults=True, gc=False):
    """What the model says of one event."""

    id: Annotated[str, Meta(description="The event's id, or `topic-partition-offset`.")]
    sentiment: Sentiment
    score: Annotated[float, Meta(ge=0, le=1, description="Probability of positive.")]
    confidence: Annotated[
        float, Meta(ge=0.5, le=1, description="Probability of the sentiment named.")
    ]
    model: Model
    input: Input
    received_at: Annotated[
        Time,
        Meta(
            description="The event's timestamp on its topic, by its producer's clock and so perhaps"
            " later than `processed_at`; that moment where the timestamp is no date."
        ),
    ]
    processed_at: Annotated[Time, Meta(description="When it was classified.")]
    source: Annotated[str | None, Meta(description="The event's source.")] = None
    created_at: Annotated[Time | None, Meta(description="The event's `created_at`.")] = None
    explanation: Annotated[
        Explanation | None,
        Meta(description="The n-grams that moved the score, where they were asked for."),
    ] = None
    canary: Annotated[
        bool, Meta(description="Whether a challenger answered, on trial for a share of the keys.")
    ] = False


class Feedback(Struct, frozen=True, gc=False):
    """A person's word on a result; a later record of the same event replaces this one.

    The key is the event's id. A record without a value takes the word back.
    """

    id: Annotated[ShortText, Meta(description="The result's id.")]
    label: Annotated[Sentiment, Meta(description="What is right.")]
    model: Annotated[Model | None, Meta(description="The model that answered.")] = None
    sentiment: Annotated[Sentiment | None, Meta(description="What the result said.")] = None
    text: Annotated[
        str | None, Meta(description="Only where the text's owner agreed to its use.")
    ] = None


class Redriven(Struct, frozen=True, gc=False):
    """That a dead letter was put back on the events topic, in the transaction that put it there.

    The key is the dead letter's `partition-offset`.
    """

    topic_id: Annotated[
        str, Meta(description="Of the dead-letter topic: one that is made anew has another.")
    ]
    partition: Annotated[int, Meta(description="Of the dead letter.")]
    offset: Annotated[int, Meta(description="Of the dead letter.")]
    attempt: Annotated[int, Meta(ge=0, description="How often the event had failed by then.")]
    mended: Annotated[bool, Meta(description="Whether its value was changed.")]
    redriven_at: Time


# Headers of a dead letter. The first group has the names that Kafka Streams gives them (KIP-1034).
ERROR_EXCEPTION = "__streams.errors.exception"
ERROR_MESSAGE = "__streams.errors.message"
ERROR_TOPIC = "__streams.errors.topic"
ERROR_PARTITION = "__streams.errors.partition"
ERROR_OFFSET = "__streams.errors.offset"
ERROR_CODE = "sentiment.error.code"
ERROR_TIMESTAMP = "sentiment.error.timestamp"
ERROR_ATTEMPT = "sentiment.error.attempt"
ERROR_MODEL_VERSION = "sentiment.error.model.version"
ERROR_HEADERS = frozenset(
    {
        ERROR_EXCEPTION,
        ERROR_MESSAGE,
        ERROR_TOPIC,
        ERROR_PARTITION,
        ERROR_OFFSET,
        ERROR_CODE,
        ERROR_TIMESTAMP,
        ERROR_ATTEMPT,
        ERROR_MODEL_VERSION,
    }
)

# In place of headers that can't be read.
UNREADABLE_HEADERS = "sentiment.headers.unreadable"

# As the client types them; what it has consumed is always bytes or None.
Headers = list[tuple[str, str | bytes | None]]
# Shared by all records without headers, and so never to be changed.
NO_HEADERS: Headers = []

_decoder = msgspec.json.Decoder(TextEvent)


def decode_event(value: bytes) -> TextEvent:
    """Decode one record's value.

    Args:
        value: UTF-8 JSON.

    Returns:
        The event; its text has at least one character that is not white space.

    Raises:
        EventError: The value is no valid event.
    """
    try:
        if not value.isascii():
            # The decoder skips unknown fields unread; bytes that are no UTF-8 must not pass there.
            value.decode()
        event = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise diagnose(value, error) from None
    if not event.text or event.text.isspace():
        raise EventError("empty_text", "'text' is empty or only white space")
    return event


def convert_event(fields: dict[str, Any]) -> TextEvent:
    """The same for the fields of a row of a table, where None is a field that is not there.

    Raises:
        EventError: They make no valid event.
    """
    try:
        event = msgspec.convert(fields, TextEvent)
    except msgspec.ValidationError as error:
        text = fields.get("text")
        if text is None:
            raise EventError("missing_text", "the row has no text") from None
        if not isinstance(text, str):
            name = type(text).__name__
            raise EventError("text_not_string", f"the text is of type {name}") from None
        raise EventError("invalid_field", str(error)) from None
    if not event.text or event.text.isspace():
        raise EventError("empty_text", "the text is empty or only white space")
    return event


_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def encode_all(records: list[SentimentResult]) -> list[bytes]:
    """Encode many records in one call; JSON has no raw line feed, so that lines tell them apart."""
    return _encoder.encode_lines(records).split(b"\n")[: len(records)]


def encode_long(records: list[SentimentResult]) -> list[bytes]:
    """The same for records of kilobytes, where a call costs less than a second copy of all."""
    values, buffer = [], bytearray()
    for record in records:
        _encoder.encode_into(record, buffer)
        values.append(bytes(buffer))
    return values


decode_explanation = msgspec.json.Decoder(Explanation).decode
decode_result = msgspec.json.Decoder(SentimentResult).decode
decode_feedback = msgspec.json.Decoder(Feedback).decode
decode_redriven = msgspec.json.Decoder(Redriven).decode


def headers_of(message: Message) -> Headers:
    """A consumed record's headers, in order; empty where it has none.

    Where a name is no UTF-8, the client gives none of them: `UNREADABLE_HEADERS` takes their place.
    (Of a name with a NUL, it gives what is before that.)
    """
    try:
        headers: Any = message.headers()
    except (UnicodeDecodeError, SystemError):
        # Asked again, the client would give a list with null pointers in it.
        headers = [(UNREADABLE_HEADERS, b"a name is no UTF-8")]
        message.set_headers(headers)
        metrics.UNREADABLE_HEADERS.inc()
    return headers or NO_HEADERS


def name_of(place: Input) -> str:
    """What an event without an id is called."""
    return f"{place.topic}-{place.partition}-{place.offset}"


def passed_on(headers: Headers) -> Headers:
    """The headers that travel from an event to its result: trace context and CloudEvents."""
    return [
        (key, value)
        for key, value in headers
        if key in {"traceparent", "tracestate"} or key.startswith("ce_")
    ]
