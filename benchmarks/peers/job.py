"""What every peer has to do with an event, so that they differ in the engine alone."""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sentiment.model.formats.scikit_learn import load_pipeline
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model

# As many as `take(1000)` in the guides of these engines, and Bytewax's own default.
BATCH = 1000

Score = Callable[[Sequence[str]], Sequence[float]]


class Arguments(argparse.Namespace):
    """The command line of a peer: where Kafka is, topics, a name of its own, and how to score."""

    servers: str
    events: str
    output: str
    name: str
    how: str


def arguments(*hows: str) -> Arguments:
    """Read the command line.

    Args:
        hows: The ways of scoring that this peer knows.
    """
    parser = argparse.ArgumentParser()
    for name in ("servers", "events", "output", "name"):
        parser.add_argument(name)
    parser.add_argument("how", choices=hows)
    return parser.parse_args(namespace=Arguments())


def sklearn() -> Score:
    """The scikit-learn pipeline of the bundled model: texts to P(positive)."""
    pipeline = load_pipeline(bundled_model())

    def score(texts: Sequence[str]) -> Sequence[float]:
        scores: list[float] = pipeline.predict_proba(texts)[:, 1].tolist()
        return scores

    return score


def compiled() -> Score:
    """The same model in our own compiled form."""
    with tempfile.TemporaryDirectory() as kept:
        scorer = open_model(bundled_model(), Path(kept))
    if scorer.kind != "compiled":
        raise RuntimeError("the bundled model was not compiled; the log says why")

    def score(texts: Sequence[str]) -> Sequence[float]:
        scores: list[float] = scorer.score(texts).tolist()
        return scores

    return score


def result(event: dict[str, str], score: float) -> dict[str, str | float]:
    """What is told of an event."""
    sentiment = "positive" if score >= 0.5 else "negative"  # noqa: PLR2004 - a probability
    return {"id": event["id"], "sentiment": sentiment, "score": score}


def answer(values: Sequence[bytes], score: Score) -> list[bytes]:
    """The results of a batch of events, as JSON, by one call to the model."""
    events = [json.loads(value) for value in values]
    scores = score([event["text"] for event in events])
    return [json.dumps(result(*pair)).encode() for pair in zip(events, scores, strict=True)]
