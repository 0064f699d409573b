"""Says whether each event had its one right outcome, from the topics alone.

It shares no code with the worker: what has to become of an event stands in the event, and the
results, dead letters and tallies are compared with that. It holds some twenty bytes per event,
whatever their size, and each topic is read once.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.records import Record
from tests.chaos.traffic import HEADER, SHIFT, SOMEWHERE, UNKNOWN

# What has to become of an event, as a byte.
POSITIVE, NEGATIVE, LETTER, TOMBSTONE = range(4)
OUTCOMES = {"positive": POSITIVE, "negative": NEGATIVE, "tombstone": TOMBSTONE}
# Violations beyond these are counted only: one broken partition makes thousands of them.
MOST_TOLD = 20
# What a dead letter's own headers begin with.
OWN = ("__streams.errors.", "sentiment.error.")
# Headers that travel from an event to its result.
TRAVELLING = ("traceparent", "tracestate", "ce_")
MOST_OUTCOMES = 255


@dataclass(frozen=True)
class Violation:
    """One broken promise, in a word and as it was found, at a place of the input."""

    kind: str
    text: str
    partition: int
    offset: int


@dataclass
class _Partition:
    """What is known of one input partition, by offset."""

    number: int
    digests: "array[int]" = field(default_factory=lambda: array("q"))
    shortened: dict[int, int] = field(default_factory=dict)
    expected: bytearray = field(default_factory=bytearray)
    outcomes: bytearray = field(default_factory=bytearray)
    # By partition of the output: order means something within one alone.
    last_result: dict[int, int] = field(default_factory=dict)
    last_letter: dict[int, int] = field(default_factory=dict)
    next_tally: int = 0


@dataclass
class Checker:
    """Takes the records of one topic after the other, the input, by its name, first."""

    topic: str
    # The results' partitions: they stay in the input's, modulo this. 0 doesn't look.
    outputs: int = 0
    # Whether there have to be tallies.
    tallies: bool = True
    # The first ones of each kind, and how many there are of each kind.
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    # Records by topic.
    seen: Counter[str] = field(default_factory=Counter)
    # Events that are on the input topic again: the producer's doubles, each of which has to have an
    # outcome of its own.
    sent_twice: list[str] = field(default_factory=list)
    _partitions: dict[int, _Partition] = field(default_factory=dict)

    def check_input(self, records: Iterable[Record], places: Sequence[int]) -> None:
        """Take in the events, and by number where Kafka said that each is; see `Traffic.places`."""
        times, found = bytearray(len(places)), bytearray(len(places))
        for record in records:
            self.seen["input"] += 1
            part = self._partitions.setdefault(record.partition, _Partition(record.partition))
            if record.offset != len(part.expected):
                text = f"offset {len(part.expected)} is missing"
                self._tell("input gap", text, record.partition, record.offset)
                return
            label, number = _label(record)
            expected = OUTCOMES.get(label, LETTER)
            if number != UNKNOWN:
                here = record.partition << SHIFT | record.offset
                found[number] |= places[number] in {here, SOMEWHERE}
                times[number] += 1
                if times[number] > 1:
                    self.sent_twice.append(f"event {number}: {record.partition}:{record.offset}")
            part.expected.append(expected)
            part.digests.append(self._digest(record, expected))
            if expected == LETTER:
                part.shortened[record.offset] = _shortened(record)
        for part in self._partitions.values():
            part.outcomes = bytearray(len(part.expected))
        for number, place in enumerate(places):
            if place != UNKNOWN and not found[number]:
                where = divmod(max(place, 0), 1 << SHIFT)
                there = "somewhere" if place == SOMEWHERE else "there"
                self._tell("input lost", f"event {number} was acknowledged {there}", *where)

    def check_results(self, records: Iterable[Record]) -> None:
        """Take in the committed results."""
        for record in records:
            self.seen["results"] += 1
            document: dict[str, Any] = json.loads(record.value or b"")
            place = document["input"]
            partition, offset = int(place["partition"]), int(place["offset"])
            part = self._take(partition, offset, f"result at {record.partition}:{record.offset}")
            if part is None:
                continue
            if self.outputs and record.partition != partition % self.outputs:
                text = f"its result is in partition {record.partition}"
                self._tell("other partition", text, partition, offset)
            self._check_order(part, part.last_result, record, offset)
            facts = document["id"], document.get("source"), record.key, record.headers
            expected = OUTCOMES[document["sentiment"]]
            if part.expected[offset] != expected or part.digests[offset] != hash(facts):
                text = f"its result is another one: {document}, {record.key!r}, {record.headers}"
                self._tell("mismatch", text, partition, offset)

    def check_letters(self, records: Iterable[Record]) -> None:
        """Take in the committed dead letters."""
        for record in records:
            self.seen["dead letters"] += 1
            own = {name: value for name, value in record.headers if name.startswith(OWN)}
            partition = int(own["__streams.errors.partition"] or -1)
            offset = int(own["__streams.errors.offset"] or -1)
            part = self._take(partition, offset, f"letter at {record.partition}:{record.offset}")
            if part is None:
                continue
            self._check_order(part, part.last_letter, record, offset)
            headers = tuple(pair for pair in record.headers if not pair[0].startswith(OWN))
            code = own.get("sentiment.error.code")
            facts: tuple[object, ...] = code, record.key, record.value, headers
            right = part.digests[offset]
            if size := own.get("sentiment.error.value.bytes"):
                facts += size, own.get("sentiment.error.value.sha256")
                right = part.shortened.get(offset, 0)
            if part.expected[offset] != LETTER or right != hash(facts):
                text = f"its dead letter is another one: {facts}"
                self._tell("mismatch", text, partition, offset)

    def check_tallies(self, records: Iterable[Record]) -> None:
        """Take in the committed tallies: each offset in exactly one, with the right sums."""
        for record in records:
            self.seen["tallies"] += 1
            tally = json.loads(record.value or b"")
            partition, first = int(tally["partition"]), int(tally["first_offset"])
            after = int(tally["next_offset"])
            part = self._partitions.setdefault(partition, _Partition(partition))
            if first != part.next_tally:
                kind = "tally gap" if first > part.next_tally else "tally overlap"
                text = f"a tally of {first}-{after} follows one that ends before {part.next_tally}"
                self._tell(kind, text, partition, first)
            part.next_tally = after
            counted = (
                *(
                    sum(row[name] for row in tally["counts"])
                    for name in ("positive", "negative", "dead_letters")
                ),
                tally["tombstones"],
            )
            there = tuple(part.expected[first:after].count(kind) for kind in range(4))
            if counted != there:
                text = f"a tally of {first}-{after} counts {counted}, there are {there}"
                self._tell("tally sum", text, partition, first)

    def finish(self) -> None:
        """Say what is missing at the end."""
        for partition, part in sorted(self._partitions.items()):
            offset = part.outcomes.find(0)
            while offset >= 0:
                if part.expected[offset] != TOMBSTONE:
                    self._tell("lost", "it has no outcome", partition, offset)
                offset = part.outcomes.find(0, offset + 1)
            if self.tallies and part.next_tally != len(part.expected):
                text = f"tallies end at {part.next_tally} of {len(part.expected)}"
                self._tell("tally gap", text, partition, part.next_tally)

    def ends(self) -> dict[int, int]:
        """The number of events by input partition."""
        return {number: len(part.expected) for number, part in self._partitions.items()}

    def _take(self, partition: int, offset: int, what: str) -> _Partition | None:
        part = self._partitions.get(partition)
        if part is None or not 0 <= offset < len(part.outcomes):
            self._tell("unknown input", f"a {what} names no event", partition, offset)
            return None
        if part.outcomes[offset]:
            times = part.outcomes[offset] + 1
            self._tell("doubled", f"outcome {times}: {what}", partition, offset)
        part.outcomes[offset] = min(part.outcomes[offset] + 1, MOST_OUTCOMES)
        return part

    def _check_order(
        self, part: _Partition, last: dict[int, int], record: Record, offset: int
    ) -> None:
        before = last.get(record.partition, -1)
        # What is done again comes late, and is told as doubled already.
        if offset < before and part.outcomes[offset] == 1:
            text = f"its outcome, {record.partition}:{record.offset}, comes after that of {before}"
            self._tell("reordered", text, part.number, offset)
        last[record.partition] = max(before, offset)

    def _digest(self, record: Record, expected: int) -> int:
        """What the outcome has to carry, as one number; see the facts above."""
        if expected == TOMBSTONE:
            return 0
        if expected == LETTER:
            return hash((_label(record)[0].encode(), record.key, record.value, record.headers))
        fields = json.loads(record.value or b"")
        name = fields.get("id") or f"{self.topic}-{record.partition}-{record.offset}"
        headers = tuple(pair for pair in record.headers if pair[0].startswith(TRAVELLING))
        return hash((name, fields.get("source"), record.key, headers))

    def _tell(self, kind: str, text: str, partition: int, offset: int) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= MOST_TOLD:
            self.violations.append(Violation(kind, text, partition, offset))


def _shortened(record: Record) -> int:
    """The same of a dead letter that is too large for its topic; our keys are short ones."""
    value = record.value or b""
    size, digest = str(len(value)).encode(), hashlib.sha256(value).hexdigest().encode()
    return hash((_label(record)[0].encode(), record.key, None, (), size, digest))


def _label(record: Record) -> tuple[str, int]:
    text = next(value for name, value in record.headers if name == HEADER)
    label, number = (text.decode() if isinstance(text, bytes) else str(text)).split(":")
    return label, int(number)
