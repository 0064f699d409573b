"""The wire of what is counted: tallies of the workers, and the trends that are made of them."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sentiment.events import Model


class TallyCount(Struct, frozen=True, gc=False):
    """What one source had in one interval of ten seconds, by the events' timestamps.

    A timestamp that is ahead of the worker's clock counts as the moment of classification.
    """

    source: Annotated[str, Meta(description="The events' source; empty where they have none.")]
    interval: Annotated[int, Meta(description="Start, seconds since 1970; a multiple of 10.")]
    positive: Annotated[int, Meta(ge=0)] = 0
    negative: Annotated[int, Meta(ge=0)] = 0
    dead_letters: Annotated[int, Meta(ge=0)] = 0
    challenger: Annotated[
        str | None, Meta(description="Version of the challenger, where that answered these.")
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

    topic: str
    partition: int
    first_offset: Annotated[int, Meta(description="First input offset that is covered.")]
    next_offset: Annotated[int, Meta(description="One after the last that is covered.")]
    model: Model
    tombstones: Annotated[int, Meta(ge=0, description="Records without a value: skipped.")]
    counts: list[TallyCount]


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


decode_tally = msgspec.json.Decoder(Tally).decode
