"""The wire of what is counted: tallies of the workers, and the trends that are made of them."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sentiment import times
from sentiment.events import Model

# Kafka's own bounds for the name of a topic, the number of a partition, and an offset.
MAX_TOPIC_CHARS = 249
MAX_PARTITION = 2**31 - 1
MAX_OFFSET = 2**63 - 1
# Far above a batch of any worker. Sums of as many tallies as Kafka can hold stay below 2^63.
MAX_COUNT = 10_000_000
# Twice the rows that a worker writes at most.
MAX_COUNTS = 2000
# As long as the source of an event may be.
MAX_SOURCE_CHARS = 256

_Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class TallyCount(Struct, frozen=True, gc=False):
    """What one source had in one interval of ten seconds, by the events' timestamps.

    A timestamp that is ahead of the worker's clock counts as the moment of classification.
    """

    source: Annotated[
        str,
        Meta(
            max_length=MAX_SOURCE_CHARS,
            description="The events' source; empty where they have none.",
        ),
    ]
    interval: Annotated[
        int,
        Meta(
            ge=0,
            # The last second that a date can tell.
            le=times.LATEST_MS // 1000,
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
    counts: Annotated[list[TallyCount], Meta(max_length=MAX_COUNTS)]


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
    """Decode the value of a record that anybody may have written.

    Raises:
        ValueError: It is no tally; the message says why.
    """
    if value is None:
        raise ValueError("it has no value")
    try:
        if not value.isascii():
            # The decoder skips unknown fields unread; bytes that are no UTF-8 must not pass there.
            value.decode()
        return _decode_tally(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
