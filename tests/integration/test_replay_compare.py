"""Claims about comparing a replay with the live results, on a real Kafka."""

import json
import time
from typing import Any

import msgspec
import pytest
from confluent_kafka.cimpl import NewTopic

from sentiment import wire
from sentiment.kafka import clients
from sentiment.wire import Input, Model, SentimentResult
from tests.integration.commands import sentiment
from tests.integration.replays import Replays, event
from tests.integration.workers import PATIENCE_S, send

HOUR_MS = 3_600_000


def opposite(result: SentimentResult) -> SentimentResult:
    """The same event's result with the other answer."""
    other = "negative" if result.sentiment == "positive" else "positive"
    return msgspec.structs.replace(result, sentiment=other, score=1 - result.score)


def publish_live(replays: Replays, results: list[SentimentResult], **options: Any) -> None:  # noqa: ANN401 - produce's
    """Put results on the live topic as the worker does: on their input's partition, in order."""
    producer = clients.new_producer(replays.settings.kafka)
    for result in results:
        live = msgspec.structs.replace(result, model=Model("sentiment", "1"))
        producer.produce(
            replays.settings.topics.results, wire.encode(live),
            partition=result.input.partition, **options,
        )  # fmt: skip
    assert producer.flush(PATIENCE_S) == 0


def compare(replays: Replays, *more: str) -> dict[str, Any]:
    """The command's figures."""
    done = sentiment("replay", "compare", "--output-topic", replays.topic, "--json", *more)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.fixture
def answers(replays: Replays) -> list[SentimentResult]:
    """The results of a replay of 400 events, of which one is bad, into three partitions."""
    admin = clients.new_admin(replays.settings.kafka)
    # Fewer than the events have: two input partitions share one of these.
    admin.create_topics([NewTopic(replays.topic, 3)])[replays.topic].result(PATIENCE_S)
    send(replays.settings, [*map(event, range(399)), b"not an event"])
    replays.finish("--from", "1h")
    answers = replays.results()
    assert len(answers) == 399
    return answers


def test_a_planted_difference_is_found(replays: Replays, answers: list[SentimentResult]) -> None:
    """Changed decisions by direction and source, what is missing, and the largest as examples."""
    changed = {"6": 0.0, "9": 0.0, "200": 0.0}
    live = [opposite(r) if r.id in changed else r for r in answers if r.id != "77"]
    # What the replay's model could not answer, a repeated answer, and another topic's.
    bad = max((r for r in answers if r.input.partition == 3), key=lambda r: r.input.offset)
    place = Input(bad.input.topic, 3, bad.input.offset + 1)
    live += [msgspec.structs.replace(bad, id="bad", input=place), live[0]]
    live += [msgspec.structs.replace(bad, input=Input("elsewhere", 3, 10))]
    publish_live(replays, live)
    figures = compare(replays)
    assert figures["compared"] == 398
    assert figures["agreement"] == pytest.approx(1 - 3 / 398)
    assert figures["changed"] == {"positive to negative": 2, "negative to positive": 1}
    assert (figures["only_live"], figures["only_replay"], figures["repeated"]) == (1, 1, 1)
    assert figures["by_source"] == {
        "s0": {"compared": 133, "changed": 2},
        "s2": {"compared": 132, "changed": 1},
        "s1": {"compared": 133, "changed": 0},
    }
    moved = {r.id: abs(2 * r.score - 1) for r in answers if r.id in changed}
    assert figures["score_difference"]["largest"] == pytest.approx(max(moved.values()))
    assert figures["score_difference"]["mean"] == pytest.approx(sum(moved.values()) / 398)
    assert {example["id"] for example in figures["examples"]} == set(changed)
    assert figures["live_models"] == {"1": 398}
    assert figures["model"] == {"name": "sentiment", "version": "2"}


def test_texts_are_shown_when_asked_for(replays: Replays, answers: list[SentimentResult]) -> None:
    """Ids only, unless `--show-text`."""
    publish_live(replays, [opposite(result) for result in answers if result.id == "8"])
    arguments = ("replay", "compare", "--output-topic", replays.topic)
    plain = sentiment(*arguments).stdout
    assert "Agreement: 0.00%; 1 decisions changed (1 positive to negative)." in plain
    assert "  8  (" in plain
    assert "I hated it" not in plain
    assert "I hated it" in sentiment(*arguments, "--show-text").stdout
    assert compare(replays, "--show-text")["examples"][0]["text"] == "I hated it"


def test_live_results_with_an_earlier_time_are_found(
    replays: Replays, answers: list[SentimentResult]
) -> None:
    """Clocks that differ hide nothing: half of the live results seem older than the range."""
    now = int(time.time() * 1000)
    publish_live(replays, answers[:200], timestamp=now - 2 * HOUR_MS)
    publish_live(replays, answers[200:], timestamp=now)
    figures = compare(replays)
    assert (figures["compared"], figures["only_replay"]) == (399, 0)


def test_an_unknown_replay_is_a_sentence(replays: Replays) -> None:
    """Nothing to compare is told, with code 2."""
    done = sentiment("replay", "compare", "--output-topic", replays.topic)
    assert done.returncode == 2
    assert "No replay into" in done.stderr
