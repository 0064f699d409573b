"""The checker finds each kind of violation. What it is given here is made, not read from Kafka."""

import json
from collections.abc import Callable

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.made_run import EVENTS, Topics, good_run
from tests.chaos.records import Record
from tests.chaos.schedule import plan
from tests.chaos.traffic import INVALID, SOMEWHERE

Spoil = Callable[[Topics], object]


def changed(record: Record, **fields: object) -> Record:
    """A record with other fields in its value."""
    return record._replace(value=json.dumps(json.loads(record.value or b"") | fields).encode())


def spoilt(topic: str, number: int, change: Callable[[Record], Record]) -> Spoil:
    """Changes one record of a topic."""

    def spoil(topics: Topics) -> None:
        records: list[Record] = getattr(topics, topic)
        records[number] = change(records[number])

    return spoil


def reordered(topic: str) -> Spoil:
    """Lets two records of one partition change places."""

    def spoil(topics: Topics) -> None:
        records: list[Record] = getattr(topics, topic)
        later = range(21, len(records))
        other = next(n for n in later if records[n].partition == records[20].partition)
        records[20], records[other] = records[other], records[20]

    return spoil


def _opposite(record: Record) -> Record:
    before = json.loads(record.value or b"")["sentiment"]
    return changed(record, sentiment="negative" if before == "positive" else "positive")


def _result_of(topics: Topics, event: Record) -> None:
    """Adds a result of an event that should have none."""
    place = {"partition": event.partition, "offset": event.offset}
    topics.results.append(changed(topics.results[0], input=place))


def _strip(topics: Topics) -> None:
    number = next(n for n, record in enumerate(topics.results) if record.headers)
    topics.results[number] = topics.results[number]._replace(headers=())


def _lost_somewhere(topics: Topics) -> None:
    """Loses the last event, which was acknowledged without its place."""
    topics.places[-1] = SOMEWHERE
    topics.events.pop()


def _add_header(record: Record) -> Record:
    return record._replace(headers=(*record.headers, ("private", b"x")))


def _other_reason(record: Record) -> Record:
    return record._replace(headers=(*record.headers[:-1], ("sentiment.error.code", b"another")))


def _dead(topics: Topics) -> Record:
    return next(record for record in topics.events if record.value is None)


def _invalid(topics: Topics) -> Record:
    return next(r for r in topics.events if r.value == topics.letters[0].value)


SPOILT: dict[str, tuple[str, Spoil]] = {
    "a result is lost": ("lost", lambda t: t.results.pop(7)),
    "the last result is lost": ("lost", lambda t: t.results.pop()),
    "a dead letter is lost": ("lost", lambda t: t.letters.pop(3)),
    "a result is doubled": ("doubled", lambda t: t.results.insert(90, t.results[80])),
    "an aborted result shows at the end": ("doubled", lambda t: t.results.append(t.results[5])),
    "a dead letter is doubled": ("doubled", lambda t: t.letters.append(t.letters[5])),
    "a dead letter and a result": ("doubled", lambda t: _result_of(t, _invalid(t))),
    "two results change places": ("reordered", reordered("results")),
    "two dead letters change places": ("reordered", reordered("letters")),
    "a result is in another partition": (
        "other partition",
        spoilt("results", 9, lambda r: r._replace(partition=1 - r.partition)),
    ),
    "another key": ("mismatch", spoilt("results", 9, lambda r: r._replace(key=b"another"))),
    "no key": ("mismatch", spoilt("letters", 9, lambda r: r._replace(key=b"another"))),
    "another id": ("mismatch", spoilt("results", 9, lambda r: changed(r, id="another"))),
    "another source": ("mismatch", spoilt("results", 9, lambda r: changed(r, source="another"))),
    "another sentiment": ("mismatch", spoilt("results", 9, _opposite)),
    "headers are lost": ("mismatch", _strip),
    "a header too many": ("mismatch", spoilt("results", 9, _add_header)),
    "other bytes": ("mismatch", spoilt("letters", 3, lambda r: r._replace(value=b"another"))),
    "original headers are lost": (
        "mismatch",
        spoilt("letters", 3, lambda r: r._replace(headers=r.headers[-4:])),
    ),
    "another reason": ("mismatch", spoilt("letters", 3, _other_reason)),
    "a tombstone has a result": ("mismatch", lambda t: _result_of(t, _dead(t))),
    "a result names no event": (
        "unknown input",
        spoilt("results", 9, lambda r: changed(r, input={"partition": 0, "offset": 9999})),
    ),
    "a tally is lost": ("tally gap", lambda t: t.tallies.pop(4)),
    "the last tally is lost": ("tally gap", lambda t: t.tallies.pop()),
    "a tally is doubled": ("tally overlap", lambda t: t.tallies.insert(4, t.tallies[3])),
    "a tally counts wrongly": (
        "tally sum",
        spoilt("tallies", 4, lambda r: changed(r, tombstones=9)),
    ),
    "a tally covers too much": (
        "tally overlap",
        spoilt("tallies", 4, lambda r: changed(r, next_offset=51)),
    ),
    "Kafka lost an event": ("input gap", lambda t: t.events.pop(9)),
    "Kafka lost the last event": ("input lost", lambda t: t.events.pop()),
    "Kafka lost what it had somewhere": ("input lost", _lost_somewhere),
}


def test_a_good_run_has_no_violation() -> None:
    """A run with every kind of event, in which all went well, passes."""
    checker = good_run().check()
    assert checker.violations == []
    assert checker.seen["input"] == EVENTS
    assert checker.seen["results"] > EVENTS / 2
    assert checker.seen["dead letters"] > len(INVALID)


@pytest.mark.parametrize("what", SPOILT)
def test_a_planted_violation_is_found(what: str) -> None:
    """Each kind of violation is found and called by its name."""
    kind, spoil = SPOILT[what]
    topics = good_run()
    spoil(topics)
    checker = topics.check()
    assert checker.counts[kind] > 0, checker.counts


def test_what_a_producer_sends_twice_is_two_events() -> None:
    """An event that is on the topic again is told, and needs an outcome of its own."""
    topics = good_run()
    topics.events.append(topics.events[-2]._replace(offset=topics.events[-2].offset + 1))
    checker = topics.check()
    assert len(checker.sent_twice) == 1
    assert checker.counts == {"lost": 1, "tally gap": 1}


def test_an_event_that_is_somewhere_is_not_lost() -> None:
    """An event whose place the client was not told is looked for by its number."""
    topics = good_run()
    topics.places[-1] = SOMEWHERE
    assert topics.check().violations == []


def test_thousands_of_violations_are_counted_and_not_told() -> None:
    """A worker that loses everything makes a short report."""
    topics = good_run()
    topics.results.clear()
    checker = topics.check()
    assert checker.counts["lost"] > EVENTS / 2
    assert len(checker.violations) <= 20


def test_a_seed_makes_one_schedule() -> None:
    """The same seed makes the same schedule, another one another; each kind of fault is in it."""
    steps = plan(1, 100, 4.0)
    assert steps == plan(1, 100, 4.0)
    assert steps != plan(2, 100, 4.0)
    assert {step.name for step in steps} == set(FAULTS)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
