"""A run in which all went well, made by hand, for tests of the checker to spoil."""

import json
from array import array
from dataclasses import dataclass, field

from tests.chaos.checker import Checker
from tests.chaos.records import Record
from tests.chaos.traffic import INVALID, SHIFT, Event, event

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


def good_run() -> Topics:
    """What a worker makes of some events, by the wire's description and not by its code."""
    topics, ends = Topics(), [0] * PARTITIONS
    for number in range(EVENTS):
        made, partition = (
            event(number, invalid=True, storm=number < EVENTS / 4),
            number % PARTITIONS,
        )
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
    if label == "tombstone":
        return
    if label in INVALID:
        headers = (
            *made.headers,
            ("__streams.errors.topic", b"t"),
            ("__streams.errors.partition", b"%d" % record.partition),
            ("__streams.errors.offset", b"%d" % record.offset),
            ("sentiment.error.code", label.encode()),
        )
        topics.letters.append(record._replace(offset=len(topics.letters), headers=headers))
        return
    fields = json.loads(made.value or b"")
    value = {
        "id": fields.get("id") or f"t-{record.partition}-{record.offset}",
        "sentiment": label,
        "input": {"topic": "t", "partition": record.partition, "offset": record.offset},
    }
    if "source" in fields:
        value["source"] = fields["source"]
    headers = tuple(pair for pair in made.headers if pair[0] not in {"private", "chaos"})
    topics.results.append(
        Record(record.partition, len(topics.results), made.key, json.dumps(value).encode(), headers)
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
