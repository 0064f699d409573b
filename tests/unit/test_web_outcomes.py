import threading
from datetime import UTC, datetime

import pytest

from sentiment.events import Input, Model, SentimentResult
from web.feeds import BURST, QUEUE, Feeds
from web.outcomes import DeadLetter, Outcomes


def result(name: str, sentiment: str = "positive", source: str | None = "a") -> SentimentResult:
    """A result to file."""
    now = datetime.now(UTC)
    return SentimentResult(
        id=name,
        sentiment="positive" if sentiment == "positive" else "negative",
        score=0.9,
        confidence=0.9,
        model=Model("m", "1"),
        input=Input("t", 0, 0),
        received_at=now,
        processed_at=now,
        source=source,
    )


def test_only_the_latest_are_kept() -> None:
    """Beyond the limit the oldest outcomes go first."""
    outcomes = Outcomes(3)
    outcomes.add({str(number): result(str(number)) for number in range(5)})
    assert [outcomes.wait(str(number), 0) is not None for number in range(5)] == [
        *[False] * 2,
        *[True] * 3,
    ]


def test_waiting_ends_with_the_outcome() -> None:
    """Everybody who waits for an id gets its outcome as soon as it is there, and no other."""
    outcomes = Outcomes(10)
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(outcomes.wait("mine", 60))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    outcomes.add({"other": result("other")})
    mine = DeadLetter("mine", "empty_text", "it is empty", Input("t", 0, 1))
    outcomes.add({"mine": mine})
    for thread in threads:
        thread.join(30)
    assert found == [mine] * 3


def test_waiting_ends_in_time_and_with_the_process() -> None:
    """A wait ends without an outcome when its time is over, and at once when the process ends."""
    outcomes = Outcomes(10)
    assert outcomes.wait("absent", 0.01) is None
    waiting = threading.Thread(target=outcomes.wait, args=("absent", 300))
    waiting.start()
    outcomes.close()
    waiting.join(30)
    assert not waiting.is_alive()
    assert outcomes.wait("absent", 300) is None


def test_latest_passes_the_filter() -> None:
    """The newest matching results come oldest first; dead letters are none."""
    outcomes = Outcomes(10)
    outcomes.add({"1": result("1"), "2": result("2", "negative"), "3": result("3", source="b")})
    outcomes.add({"4": DeadLetter("4", "x", "y", Input("t", 0, 1)), "5": result("5")})
    assert [found.id for found in outcomes.latest(2, "", "")] == ["3", "5"]
    assert [found.id for found in outcomes.latest(9, "positive", "a")] == ["1", "5"]


@pytest.mark.parametrize(
    ("sentiment", "source", "names"),
    [
        ("", "", "1234"),
        ("negative", "", "24"),
        ("", "b", "34"),
        ("negative", "b", "4"),
        ("", "c", ""),
    ],
)
def test_feed_filters(sentiment: str, source: str, names: str) -> None:
    """A feed has the results of its sentiment and source, in order, and no others."""
    feeds = Feeds(1)
    feed = feeds.open(sentiment, source)
    assert feed is not None
    feeds.publish([result("1"), result("2", "negative"), result("3", "positive", "b")])
    feeds.publish([result("4", "negative", "b")])
    results, skipped = feed.take(0)
    assert "".join(found.id for found in results) == names
    assert skipped == 0


def test_flood_is_sampled_and_counted() -> None:
    """Of a batch that is too large the newest are shown, and the rest is counted."""
    feeds = Feeds(1)
    feed = feeds.open("", "")
    assert feed is not None
    feeds.publish([result(str(number)) for number in range(1000)])
    results, skipped = feed.take(0)
    assert [found.id for found in results] == [str(number) for number in range(1000 - BURST, 1000)]
    assert skipped == 1000 - BURST
    assert feed.take(0) == ([], 0)


def test_rare_source_is_seen_in_a_flood() -> None:
    """A filter for a quiet source shows all of it, however much else there is."""
    feeds = Feeds(1)
    feed = feeds.open("", "quiet")
    assert feed is not None
    for number in range(20):
        flood = [result("x", source="loud") for _ in range(500)]
        feeds.publish([result(str(number), source="quiet"), *flood])
    results, skipped = feed.take(0)
    assert [found.id for found in results] == [str(number) for number in range(20)]
    assert skipped == 0


def test_slow_browser_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a browser doesn't take is bounded; it loses the oldest, and each is counted."""
    now = 0.0
    monkeypatch.setattr("web.feeds.time.monotonic", lambda: now)
    feeds = Feeds(1)
    feed = feeds.open("", "")
    assert feed is not None
    for number in range(QUEUE + 30):
        now += 1
        feeds.publish([result(str(number))])
    results, skipped = feed.take(0)
    assert [found.id for found in results] == [str(number) for number in range(30, QUEUE + 30)]
    assert skipped == 30


def test_feeds_are_limited_and_end() -> None:
    """No more feeds open than threads allow; closing ends each, and none opens after it."""
    feeds = Feeds(2)
    first, second = feeds.open("", ""), feeds.open("", "")
    assert first is not None
    assert second is not None
    assert feeds.open("", "") is None
    feeds.leave(first)
    third = feeds.open("", "")
    assert third is not None
    feeds.close()
    assert (second.closed, third.closed, feeds.open("", "")) == (True, True, None)
    assert third.take(300) == ([], 0)
