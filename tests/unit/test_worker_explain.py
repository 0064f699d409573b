"""Claims about explanations in the worker's results, without a broker."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from sentiment import wire
from sentiment.classify.assemble import Batch, Piece, assemble
from sentiment.classify.decode import Explain, decode
from sentiment.classify.score import Models, answer
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.scorer import Explained, Fractions
from sentiment.registry.registry import LoadedModel
from sentiment.settings import TopicSettings
from sentiment.wire import SentimentResult
from tests import compiled
from tests.unit.test_explain import check_sum, spans

TOPICS = TopicSettings()
TEXTS = [
    "I loved it",
    "not a good film \U0001f44d",
    "b\u00f8ring, \u0130stanbul bad",
    "awful awful",
]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """The bundled model."""
    return LoadedModel("sentiment", "1", compiled.bundled(), 0.0)


def shifted(model: LoadedModel, version: str) -> LoadedModel:
    """The same model with other intercepts."""
    assert isinstance(model.scorer, CompiledScorer)
    table = model.scorer.table
    fractions = table.fractions.copy()
    fractions[:2] -= 0.5
    scorer = CompiledScorer(table._replace(fractions=fractions))
    return LoadedModel(model.name, version, scorer, 0.0)


def record(offset: int, **fields: object) -> Message:
    """A record as the consumer returns it; each has a key of its own."""
    value = json.dumps(fields).encode()
    return Message(
        topic="text-events",
        partition=0,
        offset=offset,
        key=f"user-{offset}".encode(),
        value=value,
        timestamp=(TIMESTAMP_CREATE_TIME, 1_700_000_000_000),
    )


def run(models: Models, messages: Sequence[Message], explain: Explain = "asked") -> Batch:
    """The worker's steps."""
    decoded = decode(messages, 65536, explain)
    return assemble([Piece(decoded, answer(decoded, models))], TOPICS)


def results(batch: Batch) -> list[SentimentResult]:
    """What a batch says on the results topic."""
    values = [output.value or b"" for output in batch.outputs if output.topic == TOPICS.results]
    return [wire.decode_result(value) for value in values]


def check_explained(result: SentimentResult, text: str) -> None:
    """A result's explanation is one of its own score, and of its text."""
    assert result.explanation is not None
    check_sum(result.explanation, result.score)
    spans(result.explanation, text)


def test_those_that_ask_get_one_and_all_have_their_score(model: LoadedModel) -> None:
    """In a mixed batch, with dead letters and tombstones, each explanation is in its own result."""
    messages = [record(i, text=TEXTS[i % 4], explain=i % 3 == 0) for i in range(40)]
    messages[7] = record(7, text="")
    messages[9] = record(9, explain=True)
    plain = [record(i, text=TEXTS[i % 4]) for i in range(40) if i not in {7, 9}]
    found, expected = results(run(Models(model), messages)), results(run(Models(model), plain))
    assert [result.score for result in found] == [result.score for result in expected]
    for result in found:
        number = result.input.offset
        assert (result.explanation is not None) == (number % 3 == 0)
        if result.explanation:
            check_explained(result, TEXTS[number % 4])


@pytest.mark.parametrize(("explain", "explained"), [("asked", 1), ("always", 2), ("never", 0)])
def test_the_setting_decides(model: LoadedModel, explain: Explain, explained: int) -> None:
    """`always` explains what doesn't ask, `never` not even what does."""
    messages = [record(0, text="good", explain=True), record(1, text="bad")]
    found = results(run(Models(model), messages, explain))
    assert sum(result.explanation is not None for result in found) == explained


def test_a_result_without_an_explanation_is_as_before(model: LoadedModel) -> None:
    """The field is not there, and neither is `rest` where nothing was left out."""
    batch = run(Models(model), [record(0, text="good"), record(1, text="bad", explain=True)])
    plain, explained = [json.loads(output.value or b"") for output in batch.outputs[:2]]
    assert "explanation" not in plain
    assert list(explained["explanation"]) == ["log_odds", "intercept", "parts"]


def test_who_answers_explains(model: LoadedModel) -> None:
    """In the canary and beside it, an explanation is of the model that the result names."""
    challenger = shifted(model, "2")
    messages = [record(i, text=TEXTS[i % 4], explain=i % 2 == 0) for i in range(200)]
    models = Models(model, challenger, canary_share=0.4, shadow_share=0.5)
    found = results(run(models, messages))
    assert {(r.canary, r.explanation is None) for r in found} == {
        (canary, plain) for canary in (True, False) for plain in (True, False)
    }
    for result in found:
        if result.explanation:
            check_explained(result, TEXTS[result.input.offset % 4])
    intercepts = {
        version: {
            r.explanation.intercept for r in found if r.explanation and r.model.version == version
        }
        for version in ("1", "2")
    }
    assert intercepts["1"].isdisjoint(intercepts["2"])


class Failing:
    """Scores all texts alike and fails to explain, or to score what says so."""

    kind = "compiled"

    def score(self, texts: Sequence[str]) -> Fractions:
        """P(positive) of each text."""
        if any("FAIL" in text for text in texts):
            raise RuntimeError("a model's own failure")
        return np.full(len(texts), 0.9)

    def explain(self, texts: Sequence[str]) -> Explained:
        """Never."""
        raise ValueError(f"no reason for {len(texts)} texts")


def test_an_explanation_costs_no_answer(model: LoadedModel) -> None:
    """Where explaining fails, there is a result without it; where scoring does, one dead letter."""
    failing = LoadedModel("sentiment", "3", Failing(), 0.0)  # type: ignore[arg-type]  # a protocol
    texts = ["good", "FAIL", "bad"]
    batch = run(Models(failing), [record(i, text=t, explain=True) for i, t in enumerate(texts)])
    assert batch.errors == {"model_failed": 1}
    assert [(r.input.offset, r.score, r.explanation) for r in results(batch)] == [
        (0, 0.9, None), (2, 0.9, None),
    ]  # fmt: skip
    # What a challenger can't score, the champion answers and explains.
    models = Models(model, failing, canary_share=1.0)
    [result] = results(run(models, [record(0, text="FAIL good", explain=True)]))
    assert result.model.version == "1"
    check_explained(result, "FAIL good")


def test_the_largest_result_is_far_below_the_topics_limit(model: LoadedModel) -> None:
    """An event of 64 KiB of the shortest known words has a result of less than 128 KiB."""
    text = "i . a . " * 8150
    batch = run(Models(model), [record(0, text=text, explain=True)])
    [result] = results(batch)
    check_explained(result, text)
    assert result.explanation
    assert result.explanation.rest
    assert len(batch.outputs[0].value or b"") < 131_072
