"""`python -m benchmarks.scoring`: the compiled model beside the same pipeline in scikit-learn.

On one core, in turn, on ten batches that differ, so that none is in the processor's caches; the
least time counts, as what disturbs a run makes it slower. Ratios are what to read.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from benchmarks import bench, events
from benchmarks.bench import LONG
from sentiment.classify.assemble import classify
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.formats.scikit_learn import load_pipeline
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
from sentiment.registry.registry import LoadedModel
from sentiment.settings import TopicSettings
from sentiment.wire import TextEvent, decode_explanation

# What explanations cost: the model alone, and the worker's steps, `classify`, with and without
# them. What Kafka takes for the longer results comes on top.

Batches = Sequence[Any]
Work = Callable[[Any], object]
# Above the longest made text.
MAX_BYTES = 1 << 20


# Microseconds a text, without explanations and with one for each text; parts of each.
Cost = dict[str, float]


def costs(scorer: CompiledScorer, batches: Sequence[list[str]]) -> dict[str, Cost]:
    """Measure both ways in turn, on batches that differ; of the rounds, the least counts."""
    found = scorer.explain(batches[0]).explanations
    parts = sum(len(decode_explanation(one).parts) for one in found if one) / len(batches[0])
    model = LoadedModel("sentiment", "1", scorer, 0.0)
    topics = TopicSettings.model_construct()
    records = [[_record(n, text) for n, text in enumerate(batch)] for batch in batches]
    return {
        "the model alone": _cost(batches, scorer.score, scorer.explain, parts),
        "the worker's steps": _cost(
            records,
            lambda batch: classify(batch, model, topics, MAX_BYTES, "never"),
            lambda batch: classify(batch, model, topics, MAX_BYTES, "always"),
            parts,
        ),
    }


def _cost(batches: Batches, plain: Work, explained: Work, parts: float) -> Cost:
    without, with_one = (1e6 / rate for rate in _rates(batches, plain, explained))
    return {"plain_us": without, "explained_us": with_one, "over_plain": with_one / without} | {
        "parts": parts
    }


def _record(number: int, text: str) -> Message:
    return Message(
        topic="text-events",
        partition=0,
        offset=number,
        value=msgspec.json.encode(TextEvent(text, id=str(number), source="bench")),
        timestamp=(TIMESTAMP_CREATE_TIME, 1_700_000_000_000),
    )


BATCH, BATCHES = 1000, 10
LENGTHS = {LONG: events.LENGTHS[LONG], "20-word texts": 20}
ROUNDS = 3
# A batch of single texts would take scikit-learn seconds; VADER is as slow for each as for many.
SINGLES = 300
SEED = 1
# What a process does that has to answer one text and has answered before.
FIRST_SCORE = """
import sys, time
began = time.perf_counter()
from pathlib import Path
from sentiment.registry.artifact import open_model
scorer = open_model(Path(sys.argv[1]), Path(sys.argv[2]))
scorer.score(["A fine film."])
print(time.perf_counter() - began, scorer.kind, "sklearn" in sys.modules)
"""


@click.command()
@click.option("--output", type=Path, default=Path("build/scoring.json"), show_default=True)
def main(*, output: Path) -> None:
    """Measure the compiled model, scikit-learn and VADER on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    directory = bundled_model()
    pipeline = load_pipeline(directory)
    with tempfile.TemporaryDirectory() as kept:
        compiled = open_model(directory, Path(kept))
        first_s = _first_score(directory, Path(kept))
    vader = SentimentIntensityAnalyzer()
    report: dict[str, object] = {"first_score_s": first_s, "machine": bench.describe()}
    print(f"{'':<16}{'':<10}{'compiled':>12}{'scikit-learn':>14}{'VADER':>10}{'ratios':>16}")
    for name, length in LENGTHS.items():
        batches = _batches(pipeline, length)
        texts = [text for batch in batches for text in batch]
        few = [[text] for text in texts[:SINGLES]]
        lexicon = _rate(few, lambda some: [vader.polarity_scores(text) for text in some])
        rows = {
            "batches": _rates(batches, compiled.score, pipeline.predict_proba),
            "single": _rates(few, compiled.score, pipeline.predict_proba),
        }
        megabytes = sum(len(text.encode()) for text in texts) / len(texts) / 1e6
        for kind, (ours, sklearn) in rows.items():
            ratios = f"{ours / sklearn:.1f} {ours / lexicon:.1f}"
            print(
                f"{name:<16}{kind:<10}{ours:>12,.0f}{sklearn:>14,.0f}{lexicon:>10,.0f}{ratios:>16}"
            )
            report[f"{name}, {kind}"] = {
                "compiled": ours, "sklearn": sklearn, "vader": lexicon,
                "over_sklearn": ours / sklearn, "over_vader": ours / lexicon,
                "megabytes_per_second": ours * megabytes,
            }  # fmt: skip
        print(f"{'':<26}{rows['batches'][0] * megabytes:>9,.0f} MB/s")
    explained: dict[str, dict[str, Cost]] = {}
    if isinstance(compiled, CompiledScorer):
        for name, length in events.LENGTHS.items():
            explained[name] = costs(compiled, _batches(pipeline, length))
    report["explanations"] = explained
    print(f"{'':<16}{'':<22}{'plain µs':>12}{'explained µs':>14}{'ratio':>8}{'parts':>8}")
    for name, measured in explained.items():
        for what, cost in measured.items():
            print(
                f"{name:<16}{what:<22}{cost['plain_us']:>12.2f}{cost['explained_us']:>14.2f}"
                f"{cost['over_plain']:>8.2f}{cost['parts']:>8.0f}"
            )
    print(f"from artifact to first score, compiled before: {first_s:.2f} s")
    bench.save(report, output)


def _rates(batches: Batches, *candidates: Work) -> list[float]:
    """Texts a second of each candidate, in turn."""
    rates = [[_rate(batches, work) for work in candidates] for _ in range(ROUNDS)]
    return [max(of_one) for of_one in zip(*rates, strict=True)]


def _rate(batches: Batches, work: Work) -> float:
    """Texts a second, of the time that the core spent on it."""
    began = time.thread_time()
    for batch in batches:
        work(batch)
    return sum(map(len, batches)) / (time.thread_time() - began)


def _batches(pipeline: object, length: int) -> list[list[str]]:
    writer = events.Writer(pipeline, SEED)
    return [[writer.text(length) for _ in range(BATCH)] for _ in range(BATCHES)]


def _first_score(directory: Path, kept: Path) -> float:
    """Seconds from the start of a process's work to its first score, the second time."""
    command = [sys.executable, "-c", FIRST_SCORE, str(directory), str(kept)]
    subprocess.run(command, capture_output=True, check=True)
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(answer.split()[0])


if __name__ == "__main__":
    main()
