import itertools
import threading
from datetime import UTC, datetime

import pytest

from sentiment.wire import Input, Model, SentimentResult
from tests.unit.web_apps import Shown
from web.answers import FeedStatus
from web.feeds import BURST, QUEUE, Failure, Feeds, Outcomes

OFFSETS = itertools.count(1_000_000)
STATUS = FeedStatus(
    connected=True,
    reason="",
    model=None,
    results_per_second=0,
    skipped=0,
    positive=0,
    negative=0,
    dead_letters=0,
    latency_ms=None,
    lag=None,
    models=[],
)


def result(
    name: str, sentiment: str = "positive", source: str | None = "a", place: int | None = None
) -> SentimentResult:
    """A result to file."""
    now = datetime.now(UTC)
    return SentimentResult(
        id=name,
        sentiment="positive" if sentiment == "positive" else "negative",
        score=0.9,
        confidence=0.9,
        model=Model("m", "1"),
        # Each has a place of its own, as events have.
        input=Input("t", 0, place if place is not None else next(OFFSETS)),
        received_at=now,
        processed_at=now,
        source=source,
    )


def test_only_the_latest_are_kept() -> None:
    """Beyond the limit the oldest outcomes go first."""
    outcomes = Outcomes(3)
    outcomes.add([result(str(number)) for number in range(5)])
    assert [outcomes.find(str(number)) is not None for number in range(5)] == [
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
    outcomes.add([result("other")])
    mine = Failure("mine", "empty_text", "it is empty", Input("t", 0, 1))
    outcomes.add([mine])
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
    outcomes.add([result("1"), result("2", "negative"), result("3", source="b")])
    outcomes.add([Failure("4", "x", "y", Input("t", 0, 1)), result("5")])
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
    feeds, shown = Feeds(lambda: STATUS), Shown()
    feeds.open(sentiment, source, shown.leave).begin(shown)
    feeds.publish([result("1"), result("2", "negative"), result("3", "positive", "b")])
    feeds.publish([result("4", "negative", "b")])
    shown.all_of(feeds)
    assert ("".join(shown.names), shown.told["skipped"]) == (names, 0)


def test_flood_is_sampled_and_counted() -> None:
    """Of a batch that is too large the newest are shown, and the rest is counted."""
    feeds, shown = Feeds(lambda: STATUS), Shown()
    feeds.open("", "", shown.leave).begin(shown)
    feeds.publish([result(str(number)) for number in range(1000)])
    shown.all_of(feeds)
    assert shown.names == [str(number) for number in range(1000 - BURST, 1000)]
    assert shown.told["skipped"] == 1000 - BURST


def test_rare_source_is_seen_in_a_flood() -> None:
    """A filter for a quiet source shows all of it, however much else there is."""
    feeds, shown = Feeds(lambda: STATUS), Shown()
    feeds.open("", "quiet", shown.leave).begin(shown)
    for number in range(20):
        flood = [result("x", source="loud") for _ in range(500)]
        feeds.publish([result(str(number), source="quiet"), *flood])
    shown.all_of(feeds)
    assert (shown.names, shown.told["skipped"]) == ([str(number) for number in range(20)], 0)


def test_slow_browser_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a browser doesn't take is bounded; it loses the oldest, and each is counted."""
    now = 0.0
    monkeypatch.setattr("web.feeds.time.monotonic", lambda: now)
    feeds, shown = Feeds(lambda: STATUS), Shown()
    feed = feeds.open("", "", shown.leave)
    feed.begin(shown)
    shown.behind = True
    for number in range(QUEUE + 30):
        now += 1
        feeds.publish([result(str(number))])
        feed.send(lambda: STATUS, lambda _: b"never")
    shown.behind = False
    shown.all_of(feeds)
    assert shown.names == [str(number) for number in range(30, QUEUE + 30)]
    assert shown.told["skipped"] == 30


def test_feeds_end() -> None:
    """Closing ends each feed, begun or not, and whatever is opened after it."""
    feeds = Feeds(lambda: STATUS)
    before, late, after = Shown(), Shown(), Shown()
    feeds.open("", "", before.leave).begin(before)
    begins_late = feeds.open("", "", late.leave)
    before.all_of(feeds)
    begins_late.begin(late)
    feeds.open("", "", after.leave).begin(after)
    assert [before.ended, late.ended, after.ended] == [True] * 3


def test_a_feed_is_left_once() -> None:
    """However often its connection says that the reader has gone, one place is given back."""
    feeds, shown = Feeds(lambda: STATUS), Shown()
    feed = feeds.open("", "", shown.leave)
    feed.leave()
    feed.leave()
    assert shown.left == 1


def test_another_event_with_the_same_id_wakes_nobody() -> None:
    """Who waits for an event in its place gets its outcome, and none before it is there."""
    outcomes, mine = Outcomes(10), result("mine", place=5)
    found: list[object] = []
    waiting = threading.Thread(
        target=lambda: found.append(outcomes.wait("mine", 60, Input("t", 0, 5)))
    )
    waiting.start()
    outcomes.add([result("mine", place=4), result("mine", place=6)])
    outcomes.add([mine, result("mine", place=7)])
    waiting.join(30)
    assert found == [mine]
    assert outcomes.find("other", Input("t", 0, 5)) is None


def test_a_result_is_the_last_word_on_an_id() -> None:
    """An event that was mended and sent again has its result; a dead letter is its own place's."""
    outcomes = Outcomes(10)
    letter = Failure("a", "empty_text", "it is empty", Input("t", 0, 1))
    outcomes.add([letter])
    assert outcomes.find("a") == letter
    mended = result("a", place=2)
    outcomes.add([mended])
    outcomes.add([letter])
    assert outcomes.find("a") == mended
    assert outcomes.find("a", letter.input) == letter


def test_outcomes_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long names take the place of many short ones, and what goes is given back to the sum."""
    monkeypatch.setattr("web.feeds.MOST_BYTES", 100_000)
    outcomes = Outcomes(1000)
    for number in range(1000):
        name = f"{number}" + "\U0001f600" * (250 * (number % 2))
        letter = Failure(name + "b", "x", "y" * 500, Input("t", 1, number % 10))
        outcomes.add([result(name, place=number), letter])
    kept = [number for number in range(1000) if outcomes.find(*_named(number))]
    assert kept == list(range(kept[0], 1000))
    assert 20 < len(kept) < 60
    outcomes.add([result(f"x{number}", place=number) for number in range(1000)])
    assert 90 < sum(outcomes.find(f"x{number}") is not None for number in range(1000)) < 120


def _named(number: int) -> tuple[str, Input]:
    return f"{number}" + "\U0001f600" * (250 * (number % 2)), Input("t", 0, number)


def test_explanations_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first; one is for its asker alone, and the last one of a place counts."""
    monkeypatch.setattr("web.feeds.MOST_EXPLANATION_BYTES", 10_000)
    outcomes, place = Outcomes(10), Input("t", 0, 0)
    for number in range(100):
        outcomes.explain(place, (b"a", b"%d" % number))
    assert outcomes.explanation(place, b"a") == b"99"
    assert outcomes.explanation(place, b"b") is None
    for number in range(1, 20):
        outcomes.explain(Input("t", 0, number), (b"a" * 500, b"x" * 1000))
    kept = [n for n in range(20) if outcomes.explanation(Input("t", 0, n), b"a" * 500)]
    assert kept == [15, 16, 17, 18, 19]
    outcomes.explain(place, (b"a", b"x" * 10_000))
    assert outcomes.explanation(place, b"a") is None
