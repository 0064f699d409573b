"""What explanations cost: texts with and without them, by the model alone and by a worker.

The worker's steps are those of `stream_worker.batch.classify`: decode, score, encode. What Kafka
takes for the longer results comes on top.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import msgspec
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from sentiment.compiled.scorer import CompiledScorer
from sentiment.events import TextEvent, decode_explanation
from sentiment.registry import LoadedModel
from sentiment.settings import TopicSettings
from stream_worker.batch import classify

MODEL_ALONE, WORKERS_STEPS = "the model alone", "the worker's steps"
# Above the longest made text.
MAX_BYTES = 1 << 20


class Cost(TypedDict):
    """Microseconds a text, without explanations and with one for each text; parts of each."""

    plain_us: float
    explained_us: float
    over_plain: float
    parts: float


def costs(scorer: CompiledScorer, batches: Sequence[list[str]], rounds: int) -> dict[str, Cost]:
    """Measure both ways in turn; of the rounds, the least counts.

    Args:
        scorer: The model.
        batches: Texts; no two batches alike.
        rounds: How often.
    """
    found = scorer.explain(batches[0]).explanations
    parts = sum(len(decode_explanation(one).parts) for one in found if one) / len(batches[0])
    model = LoadedModel("sentiment", "1", scorer, 0.0)
    topics = TopicSettings.model_construct()
    records = [[_record(n, text) for n, text in enumerate(batch)] for batch in batches]
    return {
        MODEL_ALONE: _cost(batches, scorer.score, scorer.explain, rounds, parts),
        WORKERS_STEPS: _cost(
            records,
            lambda batch: classify(batch, model, topics, MAX_BYTES, "never"),
            lambda batch: classify(batch, model, topics, MAX_BYTES, "always"),
            rounds,
            parts,
        ),
    }


def _cost(
    batches: Sequence[Any],
    plain: Callable[[Any], object],
    explained: Callable[[Any], object],
    rounds: int,
    parts: float,
) -> Cost:
    times = [
        (_microseconds(batches, plain), _microseconds(batches, explained)) for _ in range(rounds)
    ]
    without, with_one = (min(of_one) for of_one in zip(*times, strict=True))
    return Cost(plain_us=without, explained_us=with_one, over_plain=with_one / without, parts=parts)


def _microseconds(batches: Sequence[Any], work: Callable[[Any], object]) -> float:
    """Of the time that the core spent, for each text."""
    began = time.thread_time()
    for batch in batches:
        work(batch)
    return (time.thread_time() - began) / sum(map(len, batches)) * 1e6


def _record(number: int, text: str) -> Message:
    return Message(
        topic="text-events",
        partition=0,
        offset=number,
        value=msgspec.json.encode(TextEvent(text, id=str(number), source="bench")),
        timestamp=(TIMESTAMP_CREATE_TIME, 1_700_000_000_000),
    )
