"""Windows of tallies: the right sums, however often a tally is read, in bounded memory."""

import json
import random
from collections import Counter

import msgspec
import pytest

from sentiment.classify.tallies import OTHER_SOURCE, PartitionTally
from sentiment.feedback import MOST_VERSIONS, Labels
from sentiment.times import OLDEST_MS
from sentiment.wire import Feedback, Model, Tally, TallyCount, decode_tally, encode
from stream_worker.trends import book as trends_book
from stream_worker.trends.book import KEPT_S, MAX_ROWS, SIZES_S, Book, Key, Row, Window

NOW = 1_700_000_000
START = 1_699_999_990
MODEL = Model("sentiment", "1")
# Kafka's default bound for a record.
RECORD_BYTES = 1_000_000
# A source that takes the most bytes as JSON.
LONGEST = "\x01" * 250


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
    made = counted(first, [count], partition, version)
    return msgspec.structs.replace(made, topic="text-events", next_offset=first + events + 1)


def counted(first: int, counts: list[TallyCount], partition: int = 0, version: str = "1") -> Tally:
    """A tally that covers as many offsets as it has counts."""
    model = Model("sentiment", version)
    return Tally("e", partition, first, first + len(counts), model, 0, counts)


def recalled(table: dict[bytes, bytes]) -> Book:
    """What a process knows after it has read the table's changelog."""
    book = Book(table, "ours")
    for key, value in table.items():
        book.recall(key, value)
    return book


def results(book: Book, size_s: int = 10, source: str | None = None) -> int:
    """Results in all windows of a length."""
    return sum(t.total.events for t in book.trends(book.spans(size_s, 0), source))


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
    assert results(book, 60, "b") == 14
    assert list(book.trends(book.spans(60, 0), "c")) == []


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
        assert results(book, size) == expected


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
    assert results(book, 60) == 20
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
    assert results(book) == 2 * (MAX_ROWS + 50)
    assert results(book, 10, "(other)") == 100
    assert len(book.sources()) == MAX_ROWS + 1


def test_windows_of_another_cluster_are_not_recalled() -> None:
    """One would hide what a rebuilt cluster has at smaller offsets; an older version's count."""
    own, other, older = (Key(10, START, "text-events", number) for number in range(3))
    book = Book({}, "ours")
    for place, cluster in ((own, "ours"), (other, "theirs"), (older, "")):
        left = Window(3, [Row("app", "1", positive=1)], cluster)
        book.recall(place.encode(), trends_book.encode(left))
    assert results(book) == 2


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
    assert results(after) == 10
    for key in older:
        after.recall(key, None)
    assert results(after) == 0


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


def test_distinct_sources_are_counted_exactly_in_a_bounded_number_of_rows() -> None:
    """200,000 sources over time and partitions: all count, and what keeps them does not grow."""
    table: dict[bytes, bytes] = {}
    book = Book(table, "ours")
    for number in range(200):
        interval = NOW - 10 * (number % 300)
        counts = [TallyCount(f"s{number}-{one}", interval, 1) for one in range(1000)]
        book.merge([counted(1000 * number, counts, number % 7)], NOW)
        book.save(NOW)
    for size in SIZES_S:
        assert results(book, size) == 200_000
        assert results(book, size, "s0-0") == 1
    assert len(book.sources()) <= trends_book.MAX_SOURCES + 1
    assert sum(len(trends_book.decode(value).rows) for value in table.values()) < 10_000
    assert max(map(len, table.values())) < RECORD_BYTES
    # A start from the changelog is bounded by the same rule.
    again = Book({}, "ours")
    for key, value in table.items():
        again.recall(key, value)
    assert results(again, 3600) == 200_000
    assert again.sources() == book.sources()


def test_known_sources_in_many_windows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of all windows of a length together are bounded; versions stay apart for longer."""
    monkeypatch.setattr(trends_book, "MAX_NAME_ROWS", 500)
    monkeypatch.setattr(trends_book, "SPARE_ROWS", 100)
    table: dict[bytes, bytes] = {}
    book = Book(table, "ours")
    for number in range(100):
        counts = [TallyCount(f"s{one}", NOW - 10 * number, 1) for one in range(50)]
        book.merge([counted(50 * number, counts, version=str(number % 2))], NOW)
    book.save(NOW)
    for size in SIZES_S:
        assert results(book, size) == 5000
    rows = [len(trends_book.decode(table[key]).rows) for key in table if key.startswith(b"10:")]
    assert sum(rows) < 600
    models = [trend.models for trend in book.trends(book.spans(10, 0))]
    assert {name for found in models for name in found} == {"0", "1"}


def test_old_windows_free_their_sources() -> None:
    """Sources of windows that are gone count no longer towards the bound."""
    book = Book({}, "ours")
    counts = [TallyCount(f"s{one}", NOW, 1) for one in range(trends_book.MAX_SOURCES)]
    book.merge([counted(0, counts)], NOW)
    later = NOW + 40 * 86_400
    book.save(later)
    book.merge([counted(5000, [TallyCount("new", later, 1)])], later)
    assert book.sources() == ["new"]


def test_windows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many partitions the oldest windows of the shortest go, from the table as well."""
    monkeypatch.setattr(trends_book, "MAX_WINDOWS", 100)
    monkeypatch.setattr(trends_book, "LEFT_WINDOWS", 90)
    table: dict[bytes, bytes] = {}
    book = Book(table, "ours")
    for partition in range(500):
        book.merge([counted(0, [TallyCount("s", NOW - partition % 50, 1)], partition)], NOW)
        book.save(NOW)
        assert len(table) <= 100
    lengths = Counter(Key.decode(key).size_s for key in table)
    assert lengths[3600] >= 80
    assert lengths[10] + lengths[60] <= 20


def test_versions_are_bounded() -> None:
    """A tally of anybody may name any version: beyond the bound they count together."""
    book = Book({}, "ours")
    for number in range(500):
        book.merge([counted(number, [TallyCount("s", NOW, 1)], version=f"v{number}")], NOW)
    [trend] = book.trends(book.spans(3600, 0))
    assert len(trend.models) == trends_book.MAX_VERSIONS + 1
    assert trend.total.events == 500
    assert trend.models[trends_book.OTHER_VERSION].events == 500 - trends_book.MAX_VERSIONS


def test_the_longest_sources_fit_into_records() -> None:
    """A worker's tally and a window of sources of the longest kind stay below Kafka's bound."""
    worked = PartitionTally("e", 0, 0, 5000)
    for number in range(5000):
        worked.row(f"{LONGEST}{number}", NOW * 1000).add("positive", 0.75, 4.0)
    value = encode(worked.record(MODEL))
    assert len(value) < RECORD_BYTES
    made = decode_tally(value)
    assert sum(count.positive for count in made.counts) == 5000
    assert made.counts[-1].source == OTHER_SOURCE
    table: dict[bytes, bytes] = {}
    book = Book(table, "ours")
    for part in range(5):
        counts = [TallyCount(f"{LONGEST}{part}-{one}", NOW, 1) for one in range(200)]
        book.merge([counted(200 * part, counts)], NOW)
    book.save(NOW)
    assert max(map(len, table.values())) < RECORD_BYTES
    assert results(book, 3600) == 1000


def test_labels_are_bounded_by_version_and_name() -> None:
    """Names of any length cost the same, and of versions those labelled last are kept."""
    labels = Labels()
    for number in range(3 * MOST_VERSIONS):
        model = Model("sentiment", f"v{number}")
        labels.add("n" * 1000 + str(number), Feedback("a", "positive", model, "positive"))
    assert set(labels.accuracy()) == {
        f"v{number}" for number in range(2 * MOST_VERSIONS, 3 * MOST_VERSIONS)
    }


def test_a_state_of_the_changelog_is_bounded_too() -> None:
    """A window of too many rows, as somebody else wrote it, is recalled with all that it sums."""
    book = Book({}, "ours")
    rows = [Row(f"s{one}", f"v{one % 100}", positive=1) for one in range(5000)]
    book.recall(Key(3600, NOW // 3600 * 3600, "e", 0).encode(), trends_book.encode(Window(9, rows)))
    assert results(book, 3600) == 5000
    assert len(book.sources()) <= trends_book.MAX_SOURCES + 1


@pytest.mark.parametrize("value", [None, b"", b"[]", b"\xff", b"[" * 10**6, b'{"a":\xff}'])
def test_what_is_no_tally_is_a_value_error(value: bytes | None) -> None:
    """One sort of error for all that others write."""
    with pytest.raises(ValueError, match=r"."):
        decode_tally(value)


def test_numbers_of_a_tally_are_bounded() -> None:
    """What could not be written again, or would make a sum infinite, is refused or brought in."""
    sane = json.loads(encode(counted(0, [TallyCount("s", NOW, 1)])))
    for name, value in (("positive", 10**9), ("interval", 10**15), ("dead_letters", 2**64)):
        bad = json.loads(json.dumps(sane))
        bad["counts"][0][name] = value
        with pytest.raises(ValueError, match=name):
            decode_tally(json.dumps(bad).encode())
    book = Book({}, "ours")
    for first in (0, 1, 2):
        book.merge([counted(first, [TallyCount("s", NOW, 1, score_sum=1.7e308)])], NOW)
    [trend] = book.trends(book.spans(3600, 0))
    assert trend.total.mean_score == 1.0
