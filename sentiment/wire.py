"""The wire: what each topic's records hold, as types that encode and decode them.

`docs/asyncapi.yaml` and `docs/schemas/` are generated from this module (`make docs`), so a
docstring of a type here is what a consumer of the topic reads.
Fields that a newer program added are ignored by an older one, never an error.
"""

import re
from datetime import datetime
from operator import methodcaller
from typing import Annotated, Any, Literal

import msgspec
from confluent_kafka import Message
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from sentiment import metrics, times

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
        Meta(
            description="The n-grams that moved the score, where they were asked for. The text can"
            " be made from them: show them to no one but its sender, as the page does."
        ),
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


# Most bytes of a record's key. It goes into the result as it is, which has to fit its topic.
MAX_KEY_BYTES = 65536
# Of headers that go from an event to its result. A trace context's are below 1 kB, and most HTTP
# servers take 8 KiB of them in all.
MAX_PASSED_ON_BYTES = 8192

# Headers of a dead letter; the first ones have the names of Kafka Streams (KIP-1034).
ERROR_EXCEPTION = "__streams.errors.exception"
ERROR_MESSAGE = "__streams.errors.message"
ERROR_TOPIC = "__streams.errors.topic"
ERROR_PARTITION = "__streams.errors.partition"
ERROR_OFFSET = "__streams.errors.offset"
ERROR_CODE = "sentiment.error.code"
ERROR_TIMESTAMP = "sentiment.error.timestamp"
ERROR_ATTEMPT = "sentiment.error.attempt"
ERROR_MODEL_VERSION = "sentiment.error.model.version"
# Only where no topic took the dead letter as it was: it has no value and no headers of the event.
ERROR_VALUE_BYTES = "sentiment.error.value.bytes"
ERROR_VALUE_SHA256 = "sentiment.error.value.sha256"
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
        ERROR_VALUE_BYTES,
        ERROR_VALUE_SHA256,
    }
)

# Of an event whose sender alone may see its explanation, which the results topic has: a digest of
# the sender's secret, in hexadecimal; who shows it to others looks at this.
ASKER = "sentiment.asker"
# Passed on to an event's result, beside the attributes of CloudEvents.
PASSED_ON = frozenset({"traceparent", "tracestate", ASKER})

# In place of headers that can't be read.
UNREADABLE_HEADERS = "sentiment.headers.unreadable"

# As the client types them; what it has consumed is always bytes or None.
Headers = list[tuple[str, str | bytes | None]]
# Shared by all records without headers, and so never to be changed.
NO_HEADERS: Headers = []

_decoder = msgspec.json.Decoder(TextEvent)


def decode_event(value: bytes) -> TextEvent:
    """Decode one record's value, which should be UTF-8 JSON.

    The event's text has at least one character that is not white space.

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
    """The same for the fields of a row of a table, where None is a field that is not there."""
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
    """Encode many records in one call; JSON has no raw line feed, so lines separate them."""
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


# The client returns such headers with an exception that it has set and not raised. Python raises it
# behind this kind of call alone: behind a plain one it doesn't look any more once the loop is warm,
# and what comes next, anything at all, ends the process (seen with CPython 3.11).
_checked = methodcaller("__len__")


def headers_of(message: Message) -> Headers:
    """A consumed record's headers, in order; empty where it has none.

    Where a name is no UTF-8, the client gives none of them: `UNREADABLE_HEADERS` takes their place.
    (Of a name with a NUL, it gives what is before that.)
    """
    try:
        headers: Any = message.headers()
        if headers:
            _checked(headers)
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
    """The headers that travel from an event to its result; too large ones are counted instead."""
    own: Headers = []
    left = MAX_PASSED_ON_BYTES
    for key, value in headers:
        if key in PASSED_ON or key.startswith("ce_"):
            size = len(key.encode()) + len(value or b"")
            if size > left:
                metrics.LARGE_HEADERS.inc()
                continue
            left -= size
            own.append((key, value))
    return own


# For the documents.
EVENT_EXAMPLE: dict[str, Any] = {
    "id": "review-1042",
    "text": "I loved every minute of it.",
    "source": "shop",
    "created_at": "2026-01-31T08:00:00Z",
}
RESULT_EXAMPLE: dict[str, Any] = {
    "id": "review-1042",
    "sentiment": "positive",
    "score": 0.97,
    "confidence": 0.97,
    "model": {"name": "sentiment", "version": "3"},
    "input": {"topic": "text-events", "partition": 2, "offset": 4711},
    "received_at": "2026-01-31T08:00:00.120Z",
    "processed_at": "2026-01-31T08:00:00.131Z",
    "source": "shop",
    "created_at": "2026-01-31T08:00:00Z",
}


# What is wrong with a record that is no valid event, for programs.
ErrorCode = Literal[
    "invalid_utf8",  # the bytes are no UTF-8
    "not_json",  # not one JSON value (RFC 8259: NaN and Infinity are none)
    "too_deep",  # nested deeper than any honest event
    "not_object",  # JSON, but no object
    "missing_text",  # an object without `text`
    "text_not_string",  # `text` is no string
    "empty_text",  # `text` is empty or only white space
    "lone_surrogate",  # half of a UTF-16 pair: no character
    "invalid_field",  # an optional field has the wrong type or length
    "too_large",  # more bytes than the setting allows
    "model_failed",  # valid, but the model gave no answer for it
    "unreadable_batch",  # Kafka's client can't read it, and an operator had it passed over
]

# Escapes of surrogates; which of them are halves is of no account.
_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class _Text(Struct):
    text: Raw | UnsetType = UNSET


class EventError(Exception):
    """A record that is no valid `TextEvent`; it becomes a dead letter. It never tells the text."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def diagnose(value: bytes, error: Exception) -> EventError:  # noqa: PLR0911 - one line a code
    """Name what is wrong with a value, of which the decoder said this; slower than decoding."""
    try:
        value.decode()
        # No objects are made of it: a megabyte of `[[…` is a second of work for Python's parser.
        plain = _SURROGATES.sub(rb"\\ufffd", value.replace(rb"\\", b"//"))
        document = bytes(msgspec.json.decode(plain, type=Raw))
        if not document.startswith(b"{"):
            return EventError("not_object", f"JSON {_name(document)} instead of an object")
        text = msgspec.json.decode(plain, type=_Text).text
    except UnicodeDecodeError as bad:
        return EventError("invalid_utf8", f"not UTF-8 at byte {bad.start}: {bad.reason}")
    except RecursionError:
        return EventError("too_deep", "JSON is nested too deeply")
    except msgspec.DecodeError:
        said = str(error) if isinstance(error, msgspec.DecodeError) else "JSON is malformed"
        return EventError("not_json", said)
    if text is UNSET:
        return EventError("missing_text", "the object has no 'text'")
    kind = _name(bytes(text))
    if kind != "string":
        return EventError("text_not_string", f"'text' is JSON {kind} instead of a string")
    if isinstance(error, RecursionError):
        return EventError("too_deep", "JSON is nested too deeply")
    if isinstance(error, msgspec.ValidationError):
        return EventError("invalid_field", str(error))
    # The one thing that RFC 8259 takes and its readers may refuse.
    return EventError("lone_surrogate", "a string holds half of a UTF-16 surrogate pair")


def _name(value: bytes) -> str:
    names = {b"{": "object", b"[": "array", b'"': "string", b"n": "null"}
    return names.get(value[:1], "boolean" if value[:1] in b"tf" else "number")


# Kafka's own bounds for the name of a topic, the number of a partition, and an offset.
MAX_TOPIC_CHARS = 249
MAX_PARTITION = 2**31 - 1
MAX_OFFSET = 2**63 - 1
# Far above a batch of any worker. Sums of as many tallies as Kafka can hold stay below 2^63.
_Count = Annotated[int, Meta(ge=0, le=10_000_000)]


class TallyCount(Struct, frozen=True, gc=False):
    """What one source had in one interval of ten seconds, by the events' timestamps.

    A timestamp that is ahead of the worker's clock counts as the moment of classification.
    """

    source: Annotated[
        str,
        Meta(
            max_length=256,  # as long as the source of an event may be
            description="The events' source; empty where they have none.",
        ),
    ]
    interval: Annotated[
        int,
        Meta(
            ge=0,
            le=times.LATEST_MS // 1000,  # the last second that a date can tell
            description="Start, seconds since 1970; a multiple of 10.",
        ),
    ]
    positive: _Count = 0
    negative: _Count = 0
    dead_letters: _Count = 0
    challenger: Annotated[
        Annotated[str, Meta(max_length=256)] | None,
        Meta(description="Version of the challenger, where that answered these."),
    ] = None
    score_sum: Annotated[float, Meta(description="Sum of the scores.")] = 0.0
    latency_ms_sum: Annotated[
        float,
        Meta(
            description="Sum of the times from event to classification, ms, each between 0 and a"
            " week. Workers before that rule wrote any sums, negative ones too."
        ),
    ] = 0.0


class Tally(Struct, frozen=True, gc=False):
    """What one batch held of one input partition. The key is `topic-partition`."""

    topic: Annotated[str, Meta(max_length=MAX_TOPIC_CHARS)]
    partition: Annotated[int, Meta(ge=0, le=MAX_PARTITION)]
    first_offset: Annotated[
        int, Meta(ge=0, le=MAX_OFFSET, description="First input offset that is covered.")
    ]
    next_offset: Annotated[
        int, Meta(ge=0, le=MAX_OFFSET, description="One after the last that is covered.")
    ]
    model: Model
    tombstones: Annotated[int, Meta(ge=0, description="Records without a value: skipped.")]
    # Twice the rows that a worker writes at most.
    counts: Annotated[list[TallyCount], Meta(max_length=2000)]


class TrendCounts(Struct, frozen=True, gc=False):
    """What happened in a window."""

    events: Annotated[int, Meta(ge=0, description="Results.")]
    positive: Annotated[int, Meta(ge=0, description="Those that are positive.")]
    dead_letters: Annotated[int, Meta(ge=0)]
    positive_share: Annotated[float | None, Meta(description="Of the results; none without any.")]
    mean_score: Annotated[float | None, Meta(description="Mean probability of positive.")]
    mean_latency_ms: Annotated[
        float | None,
        Meta(
            description="Mean time from event to classification, ms; of each event between 0 and a"
            " week."
        ),
    ]


class Trend(Struct, frozen=True, gc=False):
    """A window of one source, or of all; a later record of the same window replaces this one.

    The key is `window_s:start:source`, and `window_s:start` for all sources together.
    """

    window_s: Annotated[int, Meta(description="Its length in seconds: 10, 60 or 3600.")]
    start: Annotated[int, Meta(description="Its start, seconds since 1970, by the events' times.")]
    source: Annotated[
        str | None,
        Meta(description="The source, empty for events without one; null: all of them."),
    ]
    total: TrendCounts
    models: Annotated[
        dict[str, TrendCounts], Meta(description="The same by the version of the model.")
    ]


_decode_tally = msgspec.json.Decoder(Tally).decode


def decode_tally(value: bytes | None) -> Tally:
    """Decode the value of a record that anybody may have written; a `ValueError` says why not."""
    if value is None:
        raise ValueError("it has no value")
    try:
        if not value.isascii():
            # The decoder skips unknown fields unread; bytes that are no UTF-8 must not pass there.
            value.decode()
        return _decode_tally(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
