"""What a worker counts of its loop, and of a batch once it is committed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sentiment import metrics, times
from stream_worker.batch import Batch
from stream_worker.scoring import Answers


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Count a block's time as one of the loop's phases."""
    began = time.perf_counter()
    try:
        yield
    finally:
        metrics.LOOP_SECONDS.labels(name).inc(time.perf_counter() - began)


def count(batch: Batch) -> None:
    """Count a batch once it is committed, and not before."""
    for tally in batch.tallies.values():
        metrics.EVENTS.labels(tally.topic, str(tally.partition)).inc(tally.events)
        metrics.TOMBSTONES.inc(tally.tombstones)
    for (sentiment, version), results in batch.results.items():
        metrics.RESULTS.labels(sentiment, version).inc(results)
    for answers in batch.answers:
        _count_scores(answers)
    for code, letters in batch.errors.items():
        metrics.DEAD_LETTERS.labels(code).inc(letters)
    metrics.BATCH_EVENTS.observe(batch.events)
    for kind, events in batch.skews.items():
        metrics.CLOCK_SKEW_EVENTS.labels(kind).inc(events)
    metrics.EVENT_LATENCY.observe(times.age_ms(batch.oldest_ms, time.time() * 1000) / 1000)


def _count_scores(answers: Answers) -> None:
    for version, seconds in answers.seconds.items():
        metrics.SCORING_SECONDS.labels(version).inc(seconds)
        metrics.SCORED_TEXTS.labels(version).inc(answers.texts[version])
    for ours, theirs in answers.shadows:
        agree = (ours >= 0.5) == (theirs >= 0.5)  # noqa: PLR2004 - a probability's decision rule
        versions = [model.version for model in answers.models[:2] if model]
        metrics.SHADOW_TEXTS.labels(*versions, str(agree).lower()).inc()
        metrics.SHADOW_DIFFERENCE.labels(*versions).observe(abs(ours - theirs))
