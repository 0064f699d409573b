"""Claims about comparing two models' answers, without a broker."""

from datetime import UTC, datetime

from hypothesis import given, strategies

from sentiment.wire import Input, Model, SentimentResult
from stream_worker.replay.command import comparison_text
from stream_worker.replay.compare import EXAMPLES, MAX_SOURCES, OTHER_SOURCE, Comparison, paired

NOW = datetime.now(UTC)
OFFSETS = strategies.sets(strategies.integers(0, 30)).map(sorted)


def result(offset: int, score: float = 0.9, source: str | None = None) -> SentimentResult:
    """A result of one event."""
    positive = score >= 0.5
    return SentimentResult(
        id=f"e{offset}",
        sentiment="positive" if positive else "negative",
        score=score,
        confidence=max(score, 1 - score),
        model=Model("sentiment", "1"),
        input=Input("events", 0, offset),
        received_at=NOW,
        processed_at=NOW,
        source=source,
    )


@given(OFFSETS, OFFSETS)
def test_pairs_are_those_of_equal_offsets(left: list[int], right: list[int]) -> None:
    """Every result comes once, with the other side's of the same event if there is one."""
    pairs = list(paired(map(result, left), map(result, right)))
    places = [
        (live.input.offset if live else None, again.input.offset if again else None)
        for live, again in pairs
    ]
    assert places == [
        (offset if offset in left else None, offset if offset in right else None)
        for offset in sorted({*left, *right})
    ]


def test_figures() -> None:
    """Agreement, differences, directions and what is missing, by hand."""
    comparison = Comparison()
    for pair in (
        (result(1, 0.9), result(1, 0.8)),
        (result(2, 0.9), result(2, 0.2)),
        (result(3, 0.4), result(3, 0.6)),
        (result(4, 0.5), result(4, 0.5)),
        (result(5), None),
        (None, result(6)),
        (None, result(7)),
    ):
        comparison.add(pair)
    figures = comparison.as_dict()
    assert figures["compared"] == 4
    assert figures["agreement"] == 0.5
    assert figures["changed"] == {"positive to negative": 1, "negative to positive": 1}
    assert round(figures["score_difference"]["mean"], 6) == 0.25
    assert round(figures["score_difference"]["largest"], 6) == 0.7
    assert (figures["only_live"], figures["only_replay"]) == (1, 2)
    assert [example["id"] for example in figures["examples"]] == ["e2", "e3"]


def test_memory_is_bounded() -> None:
    """However many sources and changes there are, the sums stay right."""
    comparison = Comparison()
    count = MAX_SOURCES + 50
    for i in range(count):
        comparison.add((result(i, 0.9, f"s{i}"), result(i, 0.49 - i / 10_000, f"s{i}")))
    assert len(comparison.sources) == MAX_SOURCES + 1
    assert comparison.sources[OTHER_SOURCE]["changed"] == 50
    assert sum(source["compared"] for source in comparison.sources.values()) == count
    ids = [example["id"] for example in comparison.as_dict()["examples"]]
    assert ids == [f"e{i}" for i in range(count - 1, count - 1 - EXAMPLES, -1)]


def test_nothing_to_compare_is_told() -> None:
    """No share of nothing."""
    figures = Comparison().as_dict()
    assert figures["agreement"] is None
    assert figures["score_difference"]["mean"] is None
    text = comparison_text({**figures, "finished": False})
    assert "Compared 0 events" in text
    assert "not finished" in text
    assert "Agreement" not in text
