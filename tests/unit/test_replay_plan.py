"""Claims about what makes two commands the same replay."""

import dataclasses
from typing import Any

import msgspec
import pytest

from sentiment.errors import InputError
from sentiment.wire import Model
from stream_worker.replay.plan import Mark, Order, Plan, mark_of, require_same, summary

ORDER = Order("2h", None, "models:/sentiment@challenger", "again", "group")
PLAN = Plan("2h", None, ORDER.uri, Model("sentiment", "7"), 1000.0, 8200.0, "topic-id")
MARK = Mark(PLAN, start=10, next=15, end=20)


def test_the_same_words_are_the_same_replay() -> None:
    """The words count, not what they would mean now; the very version may be named as well."""
    require_same(ORDER, {0: MARK})
    require_same(dataclasses.replace(ORDER, uri="models:/sentiment/7"), {0: MARK})
    require_same(dataclasses.replace(ORDER, rate=5.0), {0: MARK})


@pytest.mark.parametrize(
    "change",
    [
        {"since": "3h"},
        {"until": "1h"},
        {"uri": "models:/sentiment@champion"},
        {"uri": "models:/sentiment/8"},
        {"uri": "models:/other/7"},
    ],
)
def test_other_words_are_another_replay(change: dict[str, Any]) -> None:
    """The refusal says how the first one was begun."""
    with pytest.raises(InputError, match="another replay") as refusal:
        require_same(dataclasses.replace(ORDER, **change), {0: MARK})
    assert "--from 2h --model sentiment@challenger" in refusal.value.hint


def test_finished_is_when_every_partition_is() -> None:
    """One partition that isn't done makes the replay go on."""
    done = msgspec.structs.replace(MARK, next=20)
    require_same(ORDER, {0: done, 1: MARK})
    with pytest.raises(InputError, match="is finished"):
        require_same(ORDER, {0: done, 1: done})


def test_a_mark_comes_back_from_its_metadata() -> None:
    """What is committed is what is read, in far fewer bytes than the 4,096 that brokers take."""
    mark = MARK.advanced(18, 1, 1, {"not_json": 1}).advanced(20, 1, 0, {"not_json": 1, "x": 0})
    part = mark.committed("events", 3)
    assert (part.topic, part.partition, part.offset) == ("events", 3, 20)
    assert mark_of(part.metadata) == mark
    assert len(part.metadata or "") < 1000
    assert (mark.results, mark.tombstones, mark.dead_letters) == (2, 1, {"not_json": 2})


@pytest.mark.parametrize("metadata", [None, "", "x", "{}", "7"])
def test_other_metadata_is_no_mark(metadata: str | None) -> None:
    """Offsets that something else committed are told apart."""
    assert mark_of(metadata) is None


def test_the_summary_adds_up() -> None:
    """Events are results, dead letters and tombstones of all partitions."""
    marks = {0: MARK.advanced(18, 2, 1, {"not_json": 1}), 1: MARK.advanced(20, 5, 0, {})}
    figures = summary(marks)
    assert (figures["events"], figures["results"], figures["tombstones"]) == (9, 7, 1)
    assert figures["dead_letters"] == {"not_json": 1}
    assert not figures["finished"]
    assert figures["to"] == "1970-01-01T02:16:40.000+00:00"
