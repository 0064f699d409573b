"""Claims about drift as Prometheus sees it: a real worker, a real Kafka, its metrics scraped."""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial

from prometheus_client.parser import text_string_to_metric_families

from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.workers import PATIENCE_S, WorkerProcess, changed, send
from tests.unit import drifting

LATEST = "sentiment_drift_window_texts"
# So many texts at a time, in batches of so many: the sampler sees some of each batch.
AT_A_TIME, MAX_BATCH = 2000, "200"
# A sampler that may take a fifth of a core: at a thousandth it pauses for seconds between batches.
EAGER = changed("stream_worker.drift", BUDGET=0.2)


def figures(worker: WorkerProcess) -> dict[str, float]:
    """What the worker tells of drift, by metric."""
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(worker.get("/metrics"))
        for sample in family.samples
        if sample.name.startswith("sentiment_drift_") and sample.labels == {"model_version": "1"}
    }


def sent_until(
    settings: Settings,
    worker: WorkerProcess,
    texts: Sequence[str],
    enough: Callable[[dict[str, float]], bool],
) -> dict[str, float]:
    """Send texts until the worker's figures are as they should be."""
    values = [json.dumps({"text": text}).encode() for text in texts]
    deadline = time.monotonic() + PATIENCE_S
    while not enough(found := figures(worker)):
        assert time.monotonic() < deadline, found
        send(settings, values)
    return found


def raises(found: dict[str, float]) -> set[str]:
    """The alerts' expressions, over one worker."""
    if LATEST not in found:
        return set()
    unknown = found["sentiment_drift_unknown_token_share"]
    known = found["sentiment_drift_reference_unknown_token_share"]
    above = {
        "unknown": unknown - known > 0.1,
        "repeated": found["sentiment_drift_repeated_text_share"] > 0.25,
        "scores": found["sentiment_drift_score_psi"] > 1.5,
    }
    return {name for name, is_above in above.items() if is_above}


def is_raised(alert: str, found: dict[str, float]) -> bool:
    """Whether an alert's expression is true."""
    return alert in raises(found)


# By what each raises: a flood, and another language.
OTHERS = {
    "repeated": ["Buy now, best pills!"] * AT_A_TIME,
    "unknown": drifting.tweets("es", AT_A_TIME),
}


def test_ordinary_reviews_raise_nothing_and_others_do(
    settings: Settings, start_worker: StartWorker
) -> None:
    """A worker's figures of reviews are below the limits; what follows them is above one."""
    worker = start_worker(*EAGER, WORKER_MAX_BATCH=MAX_BATCH)
    worker.wait_for_log("worker starts")
    reviews = drifting.reviews(AT_A_TIME)
    found = sent_until(settings, worker, reviews, lambda found: LATEST in found)
    assert found[LATEST] >= 1000
    assert raises(found) == set()
    for expected, texts in OTHERS.items():
        sent_until(settings, worker, reviews, lambda found: not raises(found))
        sent_until(settings, worker, texts, partial(is_raised, expected))
        assert texts[0] not in worker.log, "a message text was logged"
