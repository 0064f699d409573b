"""The checker finds each kind of violation. What it is given here is made, not read from Kafka."""

import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.chaos.checker import Checker
from tests.chaos.faults import FAULTS, plan
from tests.chaos.records import Record
from tests.chaos.traffic import INVALID, SHIFT, SOMEWHERE, Event, event

EVENTS = 400
PARTITIONS = 2
PER_TALLY = 10


@dataclass
class Topics:
    """A run in which all went well, to be spoilt."""

    events: list[Record] = field(default_factory=list)
    results: list[Record] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    tallies: list[Record] = field(default_factory=list)
    places: "array[int]" = field(default_factory=lambda: array("q"))

    def check(self) -> Checker:
        """What the checker says."""
        checker = Checker("t", outputs=PARTITIONS)
        checker.check_input(self.events, self.places)
        checker.check_results(self.results)
        checker.check_letters(self.letters)
        checker.check_tallies(self.tallies)
        checker.finish()
        return checker


@pytest.fixture
def run() -> Topics:
    """What a worker makes of some events, by the wire's description and not by its code."""
    topics, ends = Topics(), [0] * PARTITIONS
    for number in range(EVENTS):
        made = event(number, invalid=True, storm=number < EVENTS / 4)
        partition = number % PARTITIONS
        offset, ends[partition] = ends[partition], ends[partition] + 1
        topics.places.append(partition << SHIFT | offset)
        record = Record(partition, offset, made.key, made.value, tuple(made.headers))
        topics.events.append(record)
        _add_outcome(topics, made, record)
    for partition, end in enumerate(ends):
        for first in range(0, end, PER_TALLY):
            topics.tallies.append(_tally(topics, partition, first, min(first + PER_TALLY, end)))
    return topics


def _add_outcome(topics: Topics, made: Event, record: Record) -> None:
    label = _label(record)
    if label in INVALID:
        headers = (
            *made.headers,
            ("__streams.errors.topic", b"t"),
            ("__streams.errors.partition", b"%d" % record.partition),
            ("__streams.errors.offset", b"%d" % record.offset),
            ("sentiment.error.code", label.encode()),
        )
        topics.letters.append(record._replace(offset=len(topics.letters), headers=headers))
    elif label != "tombstone":
        fields = json.loads(made.value or b"")
        value = {
            "id": fields.get("id") or f"t-{record.partition}-{record.offset}",
            "sentiment": label,
            "input": {"topic": "t", "partition": record.partition, "offset": record.offset},
        }
        if "source" in fields:
            value["source"] = fields["source"]
        headers = tuple(pair for pair in made.headers if pair[0] not in {"private", "chaos"})
        encoded = json.dumps(value).encode()
        topics.results.append(
            Record(record.partition, len(topics.results), made.key, encoded, headers)
        )


def _label(record: Record) -> str:
    value = dict(record.headers)["chaos"]
    assert isinstance(value, bytes)
    return value.decode().split(":")[0]


def _tally(topics: Topics, partition: int, first: int, after: int) -> Record:
    labels = [
        _label(r) for r in topics.events if r.partition == partition and first <= r.offset < after
    ]
    count = {
        "positive": labels.count("positive"),
        "negative": labels.count("negative"),
        "dead_letters": sum(label in INVALID for label in labels),
    }
    value = {
        "topic": "t", "partition": partition, "first_offset": first, "next_offset": after,
        "tombstones": labels.count("tombstone"), "counts": [count],
    }  # fmt: skip
    return Record(partition, len(topics.tallies), b"", json.dumps(value).encode(), ())


def changed(record: Record, **fields: object) -> Record:
    """A record with other fields in its value."""
    return record._replace(value=json.dumps(json.loads(record.value or b"") | fields).encode())


Change = Callable[[Record], Record]
Spoil = Callable[[Topics], object]


def result(change: Change) -> Spoil:
    """Changes one result."""
    return lambda topics: topics.results.__setitem__(9, change(topics.results[9]))


def letter(change: Change) -> Spoil:
    """Changes one dead letter."""
    return lambda topics: topics.letters.__setitem__(3, change(topics.letters[3]))


def tally(**fields: object) -> Spoil:
    """Changes one tally."""
    return lambda topics: topics.tallies.__setitem__(4, changed(topics.tallies[4], **fields))


def _reorder(records: list[Record]) -> None:
    """Lets two records of one partition change places."""
    later = range(21, len(records))
    other = next(n for n in later if records[n].partition == records[20].partition)
    records[20], records[other] = records[other], records[20]


def _opposite(record: Record) -> Record:
    before = json.loads(record.value or b"")["sentiment"]
    return changed(record, sentiment="negative" if before == "positive" else "positive")


def _result_of(topics: Topics, value: bytes | None) -> None:
    """Adds a result of an event that should have none."""
    made = next(record for record in topics.events if record.value == value)
    place = {"partition": made.partition, "offset": made.offset}
    topics.results.append(changed(topics.results[0], input=place))


def _strip(topics: Topics) -> None:
    number = next(n for n, record in enumerate(topics.results) if record.headers)
    topics.results[number] = topics.results[number]._replace(headers=())


def _lose_somewhere(topics: Topics) -> None:
    """Loses the last event, which was acknowledged without its place."""
    topics.places[-1] = SOMEWHERE
    topics.events.pop()


def _other_reason(record: Record) -> Record:
    return record._replace(headers=(*record.headers[:-1], ("sentiment.error.code", b"another")))


SPOILT: dict[str, tuple[str, Spoil]] = {
    "a result is lost": ("lost", lambda t: t.results.pop(7)),
    "the last result is lost": ("lost", lambda t: t.results.pop()),
    "a dead letter is lost": ("lost", lambda t: t.letters.pop(3)),
    "a result is doubled": ("doubled", lambda t: t.results.insert(90, t.results[80])),
    "an aborted result shows at the end": ("doubled", lambda t: t.results.append(t.results[5])),
    "a dead letter is doubled": ("doubled", lambda t: t.letters.append(t.letters[5])),
    "a dead letter and a result": ("doubled", lambda t: _result_of(t, t.letters[0].value)),
    "two results change places": ("reordered", lambda t: _reorder(t.results)),
    "two dead letters change places": ("reordered", lambda t: _reorder(t.letters)),
    "a result is in another partition": (
        "other partition",
        result(lambda r: r._replace(partition=1 - r.partition)),
    ),
    "another key": ("mismatch", result(lambda r: r._replace(key=b"another"))),
    "another key of a dead letter": ("mismatch", letter(lambda r: r._replace(key=b"another"))),
    "another id": ("mismatch", result(lambda r: changed(r, id="another"))),
    "another source": ("mismatch", result(lambda r: changed(r, source="another"))),
    "another sentiment": ("mismatch", result(_opposite)),
    "headers are lost": ("mismatch", _strip),
    "a header too many": (
        "mismatch",
        result(lambda r: r._replace(headers=(*r.headers, ("private", b"x")))),
    ),
    "other bytes": ("mismatch", letter(lambda r: r._replace(value=b"another"))),
    "original headers are lost": ("mismatch", letter(lambda r: r._replace(headers=r.headers[-4:]))),
    "another reason": ("mismatch", letter(_other_reason)),
    "a tombstone has a result": ("mismatch", lambda t: _result_of(t, None)),
    "a result names no event": (
        "unknown input",
        result(lambda r: changed(r, input={"partition": 0, "offset": 9999})),
    ),
    "a tally is lost": ("tally gap", lambda t: t.tallies.pop(4)),
    "the last tally is lost": ("tally gap", lambda t: t.tallies.pop()),
    "a tally is doubled": ("tally overlap", lambda t: t.tallies.insert(4, t.tallies[3])),
    "a tally counts wrongly": ("tally sum", tally(tombstones=9)),
    "a tally covers too much": ("tally overlap", tally(next_offset=51)),
    "Kafka lost an event": ("input gap", lambda t: t.events.pop(9)),
    "Kafka lost the last event": ("input lost", lambda t: t.events.pop()),
    "Kafka has the last event in another place": (
        "input lost",
        lambda t: t.places.__setitem__(-1, t.places[-2]),
    ),
    "Kafka lost what it had somewhere": ("input lost", _lose_somewhere),
}


def test_a_good_run_has_no_violation(run: Topics) -> None:
    """A run with every kind of event, in which all went well, passes."""
    checker = run.check()
    assert checker.violations == []
    assert checker.seen["input"] == EVENTS
    assert checker.seen["results"] > EVENTS / 2
    assert checker.seen["dead letters"] > len(INVALID)


@pytest.mark.parametrize(("kind", "spoil"), SPOILT.values(), ids=SPOILT)
def test_a_planted_violation_is_found(run: Topics, kind: str, spoil: Spoil) -> None:
    """Each kind of violation is found and called by its name."""
    spoil(run)
    checker = run.check()
    assert checker.counts[kind] > 0, checker.counts


def test_what_a_producer_sends_twice_is_two_events(run: Topics) -> None:
    """An event that is on the topic again is told, and needs an outcome of its own."""
    run.events.append(run.events[-2]._replace(offset=run.events[-2].offset + 1))
    checker = run.check()
    assert len(checker.sent_twice) == 1
    assert checker.counts == {"lost": 1, "tally gap": 1}


def test_an_event_that_is_somewhere_is_not_lost(run: Topics) -> None:
    """An event whose place the client was not told is looked for by its number."""
    run.places[-1] = SOMEWHERE
    assert run.check().violations == []


def test_thousands_of_violations_are_counted_and_not_told(run: Topics) -> None:
    """A worker that loses everything makes a short report."""
    run.results.clear()
    checker = run.check()
    assert checker.counts["lost"] > EVENTS / 2
    assert len(checker.violations) <= 20


def test_a_seed_makes_one_schedule() -> None:
    """The same seed makes the same schedule, another one another; each kind of fault is in it."""
    steps = plan(1, 100, 4.0)
    assert steps == plan(1, 100, 4.0)
    assert steps != plan(2, 100, 4.0)
    assert {step.name for step in steps} == set(FAULTS)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
