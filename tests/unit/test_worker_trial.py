"""Claims about a challenger on trial, without a broker: in the canary, and in the shadow."""

import json
from collections.abc import Sequence

import numpy as np
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from numpy.typing import NDArray

from sentiment import wire
from sentiment.classify.assemble import Batch, Piece, assemble
from sentiment.classify.decode import decode
from sentiment.classify.score import Models, answer
from sentiment.registry.registry import LoadedModel
from sentiment.settings import TopicSettings
from sentiment.wire import decode_tally

TOPICS = TopicSettings()
COUNT = 2000


class Constant:
    """Gives every text the same score; fails on texts that say so, if it may."""

    kind = "sklearn"

    def __init__(self, score: float, *, fails: bool = False) -> None:
        self._score = score
        self._fails = fails

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text."""
        if self._fails and any("FAIL" in text for text in texts):
            raise RuntimeError("a model's own failure")
        return np.full(len(texts), self._score)


def model(version: str, score: float, *, fails: bool = False) -> LoadedModel:
    """A model whose answers tell who gave them."""
    return LoadedModel("sentiment", version, Constant(score, fails=fails), 0.0)  # type: ignore[arg-type]  # a protocol


CHAMPION, CHALLENGER = model("1", 0.9), model("2", 0.2)


def classified(models: Models, *, keys: bool = True, text: str = "x") -> tuple[Batch, list[str]]:
    """Two thousand events through the models, and the version that answered each."""
    messages = [
        Message(
            topic="text-events",
            partition=i % 3,
            offset=i,
            key=f"user-{i % 200}".encode() if keys else None,
            value=json.dumps({"text": text, "source": "s"}).encode(),
            timestamp=(TIMESTAMP_CREATE_TIME, 1_700_000_000_000),
        )
        for i in range(COUNT)
    ]
    decoded = decode(messages, 1000)
    batch = assemble([Piece(decoded, answer(decoded, models))], TOPICS)
    results = [
        wire.decode_result(output.value or b"")
        for output in batch.outputs
        if output.topic == TOPICS.results
    ]
    assert all(result.canary == (result.model.version == "2") for result in results)
    assert all(result.score == {"1": 0.9, "2": 0.2}[result.model.version] for result in results)
    return batch, [result.model.version for result in results]


def test_the_canary_has_its_share_of_the_keys_and_always_the_same() -> None:
    """A key's events all have the same model; a larger share takes none of the keys away."""
    few = classified(Models(CHAMPION, CHALLENGER, canary_share=0.2))[1]
    more = classified(Models(CHAMPION, CHALLENGER, canary_share=0.6))[1]
    for versions, share in ((few, 0.2), (more, 0.6)):
        assert all(versions[i] == versions[i % 200] for i in range(COUNT))
        assert abs(versions.count("2") / COUNT - share) < 0.1
    assert all(later == "2" for first, later in zip(few, more, strict=True) if first == "2")


def test_events_without_keys_are_in_the_canary_too() -> None:
    """What has no key is chosen by its place."""
    _, versions = classified(Models(CHAMPION, CHALLENGER, canary_share=0.5), keys=False)
    assert abs(versions.count("2") / COUNT - 0.5) < 0.1


def test_counts_tell_the_canary_apart_and_add_up() -> None:
    """Results and tallies are counted by the model that answered."""
    batch, versions = classified(Models(CHAMPION, CHALLENGER, canary_share=0.3))
    canaries = versions.count("2")
    assert batch.results["negative", "2"] == canaries > 0
    assert batch.results["positive", "1"] == COUNT - canaries
    counts = [
        row
        for output in batch.outputs
        if output.topic == TOPICS.tallies
        for row in decode_tally(output.value or b"").counts
    ]
    assert sum(row.negative for row in counts if row.challenger == "2") == canaries
    assert sum(row.positive for row in counts if row.challenger is None) == COUNT - canaries


def test_the_champion_answers_where_the_challenger_fails() -> None:
    """A challenger that raises costs no event: no dead letter, the champion's answer instead."""
    models = Models(CHAMPION, model("2", 0.2, fails=True), canary_share=1.0)
    batch, versions = classified(models, text="FAIL")
    assert not batch.errors
    assert set(versions) == {"1"}


def test_the_shadow_scores_its_share_and_answers_nothing() -> None:
    """All results are the champion's; of the share, both scores are kept for the metrics."""
    batch, versions = classified(Models(CHAMPION, CHALLENGER, shadow_share=0.3))
    assert set(versions) == {"1"}
    shadows = batch.answers[0].shadows
    assert set(shadows) == {(0.9, 0.2)}
    assert abs(len(shadows) / COUNT - 0.3) < 0.1
    assert batch.answers[0].texts == {"1": COUNT, "2": len(shadows)}


def test_canary_and_shadow_go_together() -> None:
    """What the challenger answered is not compared: the champion has no score for it."""
    batch, versions = classified(Models(CHAMPION, CHALLENGER, canary_share=0.5, shadow_share=1.0))
    assert len(batch.answers[0].shadows) == versions.count("1")
