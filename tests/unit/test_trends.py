"""Windows of tallies: the right sums, however often a tally is read."""

import random
from collections import Counter

import msgspec
import pytest

from sentiment.times import OLDEST_MS
from sentiment.wire import Model, Tally, TallyCount
from stream_worker.trends import book as trends_book
from stream_worker.trends.book import KEPT_S, MAX_ROWS, SIZES_S, Book, Key, Row, Window

NOW = 1_700_000_000.0
START = 1_699_999_990


def tally(
    first: int,
    events: int,
    source: str = "app",
    *,
    interval: int = START,
    challenger: str | None = None,
    partition: int = 0,
    version: str = "1",
) -> Tally:
    """What a worker says of so many events from an offset on, half of them positive."""
    count = TallyCount(
        source=source,
        interval=interval,
        positive=events // 2,
        negative=events - events // 2,
        dead_letters=1,
        challenger=challenger,
        score_sum=0.75 * events,
        latency_ms_sum=4.0 * events,
    )
    model = Model("sentiment", version)
    return Tally("text-events", partition, first, first + events + 1, model, 0, [count])


def recalled(table: dict[bytes, bytes]) -> Book:
    """What a process knows after it has read the table's changelog."""
    book = Book(table, "ours")
    for key, value in table.items():
        book.recall(key, value)
    return book


def total(book: Book, size_s: int = 10, source: str | None = None) -> tuple[int, int, int]:
    """Results, positive ones and dead letters in all windows of a length."""
    found = [t.total for t in book.trends(book.spans(size_s, 0), source)]
    return (
        sum(t.events for t in found),
        sum(t.positive for t in found),
        sum(t.dead_letters for t in found),
    )


def test_a_tally_is_in_a_window_of_each_length() -> None:
    """Each length has the same sums, at the start that the interval falls into."""
    book = Book({}, "ours")
    assert book.merge([tally(0, 10)], NOW) == 0
    for size in SIZES_S:
        [trend] = book.trends(book.spans(size, 0))
        assert (trend.window_s, trend.start, trend.source) == (size, START // size * size, None)
        assert (trend.total.events, trend.total.positive, trend.total.dead_letters) == (10, 5, 1)
        assert trend.total.positive_share == 0.5
        assert trend.total.mean_score == 0.75
        assert trend.total.mean_latency_ms == 4.0


def test_sums_by_source_and_by_model() -> None:
    """Sources and versions are told apart, the challenger's answers too; all of it adds up."""
    book = Book({}, "ours")
    tallies = [
        tally(0, 4, "a"),
        tally(5, 6, "b", version="2"),
        tally(12, 8, "b", challenger="3", version="2"),
        tally(0, 2, "", partition=1),
    ]
    book.merge(tallies, NOW)
    trends = list(book.trends(book.spans(60, 0), each=True))
    assert [(t.source, t.total.events) for t in trends] == [
        (None, 20), ("", 2), ("a", 4), ("b", 14),
    ]  # fmt: skip
    assert {v: c.events for v, c in trends[0].models.items()} == {"1": 6, "2": 6, "3": 8}
    assert book.sources() == ["", "a", "b"]
    assert total(book, 60, "b")[0] == 14
    assert total(book, 60, "c") == (0, 0, 0)


def test_what_is_read_again_changes_nothing() -> None:
    """Wherever a reader begins again, and after a start from the table, the sums are right."""
    chance = random.Random(1)  # noqa: S311 - repeatable, not secret
    tallies, offsets = [], Counter[int]()
    for number in range(300):
        partition = number % 3
        events = chance.randrange(1, 50)
        interval = START - 10 * chance.randrange(30)
        tallies.append(tally(offsets[partition], events, partition=partition, interval=interval))
        offsets[partition] += events + 1
    expected = sum(count.positive + count.negative for t in tallies for count in t.counts)
    table: dict[bytes, bytes] = {}
    book, place = Book(table, "ours"), 0
    while place < len(tallies):
        ahead = place + chance.randrange(1, 40)
        book.merge(tallies[place:ahead], NOW)
        if chance.random() < 0.3:
            # Killed before anything of this was saved, or after, with nothing committed.
            if chance.random() < 0.5:
                book.save(NOW)
            book = recalled(table)
            place = max(0, place - chance.randrange(20))
            continue
        book.save(NOW)
        place = ahead
    for size in SIZES_S:
        assert total(book, size)[0] == expected


def test_old_windows_go_and_early_ones_do_not_come() -> None:
    """A window is kept for its time; an event that is too old or too early is told, not kept."""
    table: dict[bytes, bytes] = {}
    book = Book(table, "ours")
    book.merge([tally(0, 10)], NOW)
    book.save(NOW)
    assert len(table) == len(SIZES_S)
    later = NOW + KEPT_S[10] + 20
    assert book.merge([tally(11, 10)], later) == 11
    book.save(later)
    assert {Key.decode(key).size_s for key in table} == {60, 3600}
    assert total(book, 60)[0] == 20
    assert book.merge([tally(22, 3, interval=int(NOW) + 7200)], NOW) == 4 * len(SIZES_S)


def test_a_late_tally_goes_to_its_own_window() -> None:
    """Windows are by the events' times, not by when they are read."""
    book = Book({}, "ours")
    book.merge([tally(0, 4), tally(5, 6, interval=START - 600)], NOW)
    assert [(t.start, t.total.events) for t in book.trends(book.spans(10, 0))] == [
        (START - 600, 6),
        (START, 4),
    ]
    assert book.spans(10, START) == [(10, START)]


@pytest.mark.parametrize("latency_ms_sum", [-2_999_965.0, -1e300, 1.8e12, 1e300])
def test_ages_of_older_workers_are_bounded(latency_ms_sum: float) -> None:
    """A tally whose sum of ages can't be, and a window made of some, give a mean that can."""
    table: dict[bytes, bytes] = {}
    honest = tally(0, 4)
    strange = msgspec.structs.replace(
        tally(5, 2),
        counts=[msgspec.structs.replace(tally(5, 2).counts[0], latency_ms_sum=latency_ms_sum)],
    )
    book = Book(table, "ours")
    book.merge([honest, strange], NOW)
    book.save(NOW)
    # As a process without the rule left it in the changelog.
    row = Row("app", "1", 1, 1, 0, 1.5, latency_ms_sum)
    other = Key(10, START - 10, "text-events", 1)
    book.recall(other.encode(), trends_book.encode(Window(3, [row])))
    for trend in book.trends(book.spans(10, 0), each=True):
        for counts in (trend.total, *trend.models.values()):
            assert counts.mean_latency_ms is not None
            assert 0 <= counts.mean_latency_ms <= OLDEST_MS
    [kept] = trends_book.decode(table[Key(10, START, "text-events", 0).encode()]).rows
    assert kept.latency_ms_sum >= 16.0


def test_a_window_is_bounded() -> None:
    """Beyond the most rows, sources are counted together, and none is left out of the sum."""
    book = Book({}, "ours")
    book.merge((tally(3 * n, 2, f"s{n}") for n in range(MAX_ROWS + 50)), NOW)
    assert total(book)[0] == 2 * (MAX_ROWS + 50)
    assert total(book, 10, "(other)")[0] == 100
    assert len(book.sources()) == MAX_ROWS + 1


def test_windows_of_another_cluster_are_not_recalled() -> None:
    """One would hide what a rebuilt cluster has at smaller offsets; an older version's count."""
    own, other, older = (Key(10, START, "text-events", number) for number in range(3))
    book = Book({}, "ours")
    for place, cluster in ((own, "ours"), (other, "theirs"), (older, "")):
        left = Window(3, [Row("app", "1", positive=1)], cluster)
        book.recall(place.encode(), trends_book.encode(left))
    assert total(book)[0] == 2


def test_only_what_changed_is_written() -> None:
    """`save` names the windows that changed since the last one, and writes these alone."""
    book = Book({}, "ours")
    book.merge([tally(0, 4)], NOW)
    assert book.save(NOW) == {(size, START // size * size) for size in SIZES_S}
    assert book.save(NOW) == set()
    book.merge([tally(0, 4)], NOW)
    assert book.save(NOW) == set()


def test_an_older_state_of_a_window_does_not_replace_a_newer_one() -> None:
    """What a replaced process writes after its successor is passed over; a removal is not."""
    table: dict[bytes, bytes] = {}
    book = Book(table, "ours")
    book.merge([tally(0, 4)], NOW)
    book.save(NOW)
    older = dict(table)
    book.merge([tally(5, 6)], NOW)
    book.save(NOW)
    after = recalled(table)
    for key, value in older.items():
        after.recall(key, value)
    assert total(after)[0] == 10
    for key in older:
        after.recall(key, None)
    assert total(after)[0] == 0


def test_windows_are_written_again_when_asked() -> None:
    """What a changelog may lack is in the next one."""
    table: dict[bytes, bytes] = {}
    book = Book(table, "ours")
    book.merge([tally(0, 4)], NOW)
    book.save(NOW)
    kept = dict(table)
    table.clear()
    book.write_again()
    book.save(NOW)
    assert table == kept
