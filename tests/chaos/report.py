"""What a run has shown, for programs and for people, and the history around a violation."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos import records
from tests.chaos.checker import Violation
from tests.chaos.records import Record
from tests.chaos.world import World

# How many offsets, and how many seconds of the timeline, are shown on each side of a violation.
NEAR = 3
NEAR_S = 15.0
# One history is a page; a broken run has thousands of violations with one cause.
MOST_HISTORIES = 3
MOST_CHARACTERS = 200


@dataclass
class Outcome:
    """What a round of faults has shown."""

    protocol: str
    # By what was done; then by the kind of a request, those that reached the brokers late.
    faults: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    # When each fault was done and undone, in seconds since 1970.
    timeline: list[tuple[float, str]] = field(default_factory=list)
    # Committed records by topic; `aborted` are those that a reader of uncommitted ones sees beside.
    seen: dict[str, int] = field(default_factory=dict)
    # How workers ended, and the trends, and how many were started anew.
    exits: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    # The longest time in which nothing was committed although there was input.
    longest_stall_s: float = 0.0
    # From the last undo to the last commit.
    recovery_s: float = 0.0
    # Violations by kind, and the first ones.
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    # Lines of the workers' logs that only a bug writes.
    tracebacks: list[str] = field(default_factory=list)
    # Events that the harness' own producer has doubled; see `Checker`.
    sent_twice: list[str] = field(default_factory=list)


def as_json(outcome: Outcome) -> dict[str, object]:
    """The outcome as JSON has it."""
    return {
        "protocol": outcome.protocol,
        "faults": dict(outcome.faults),
        "late_requests": dict(outcome.late),
        "records": outcome.seen,
        "worker_exits": outcome.exits,
        "worker_restarts": outcome.restarts,
        "longest_stall_s": round(outcome.longest_stall_s, 1),
        "recovery_s": round(outcome.recovery_s, 1),
        "violations": dict(outcome.counts),
        "first_violations": [vars(violation) for violation in outcome.violations],
        "tracebacks": outcome.tracebacks,
        "sent_twice": outcome.sent_twice,
        "timeline": outcome.timeline,
    }


def as_text(outcomes: Sequence[Outcome]) -> str:
    """All rounds together, as a few lines."""
    lines = [
        f"{sum(o.faults.total() for o in outcomes)} faults: " + _listed(outcomes, "faults"),
        "requests that came late: " + (_listed(outcomes, "late") or "none"),
        "records: " + _listed(outcomes, "seen"),
        "workers ended: " + _listed(outcomes, "exits"),
        f"longest stall: {max(outcome.longest_stall_s for outcome in outcomes):.0f} s",
        f"recovery at the end: {max(outcome.recovery_s for outcome in outcomes):.0f} s",
        f"doubled by the idempotent producer: {sum(len(one.sent_twice) for one in outcomes)}",
        "violations: " + (_listed(outcomes, "counts") or "none"),
        *(
            f"  {one.kind} at {one.partition}:{one.offset}: {one.text}"
            for o in outcomes
            for one in o.violations
        ),
        *(f"  bug in {line}" for o in outcomes for line in o.tracebacks),
    ]
    return "\n".join(lines)


def histories(world: World, outcome: Outcome) -> str:
    """All that happened around the first violations: records, faults and logs."""
    places = list(
        dict.fromkeys((v.partition, v.offset) for v in outcome.violations if v.partition >= 0)
    )[:MOST_HISTORIES]
    return "\n".join(_history(world, outcome, *place) for place in places)


def _history(world: World, outcome: Outcome, partition: int, offset: int) -> str:
    topics, settings = world.settings.topics, world.settings.kafka
    lines = [f"== history of {topics.events} {partition}:{offset}"]
    times: list[float] = []

    def note(what: str, record: Record) -> None:
        lines.append(f"{what} {_line(record)}")
        times.append(record.timestamp_ms / 1000)

    for record in records.committed(settings, topics.events):
        if record.partition == partition and abs(record.offset - offset) <= NEAR:
            note("event  ", record)
    for topic in (topics.results, topics.dead_letters):
        visible = {
            (record.partition, record.offset) for record in records.committed(settings, topic)
        }
        for record in records.uncommitted(settings, topic):
            if _is_near(record, partition, offset):
                committed = (record.partition, record.offset) in visible
                note(f"{topic} {'committed' if committed else 'ABORTED  '}", record)
    for record in records.committed(settings, topics.tallies):
        tally = json.loads(record.value or b"")
        if (
            tally["partition"] == partition
            and tally["first_offset"] - NEAR <= offset <= tally["next_offset"] + NEAR
        ):
            note("tally  ", record)
    if times:
        low, high = min(times) - NEAR_S, max(times) + NEAR_S
        lines += [f"{_time(at)} {what}" for at, what in outcome.timeline if low <= at <= high]
        lines += _log_lines(world, low, high)
    return "\n".join(lines)


def _is_near(record: Record, partition: int, offset: int) -> bool:
    """Whether an output is of an event near a place; JSON of any kind is looked at as text."""
    headers = dict(record.headers)
    if "__streams.errors.offset" in headers:
        own = headers["__streams.errors.partition"], headers["__streams.errors.offset"]
        place = tuple(int(value or -1) for value in own)
    else:
        found = json.loads(record.value or b"")["input"]
        place = found["partition"], found["offset"]
    return place[0] == partition and abs(place[1] - offset) <= NEAR


def _log_lines(world: World, low: float, high: float) -> list[str]:
    lines = []
    for log in world.fleet.logs():
        for line in log.read_text(errors="replace").splitlines():
            stamp = re.search(r'"timestamp": ?"([^"]+)"', line)
            if stamp and low <= datetime.fromisoformat(stamp[1]).timestamp() <= high:
                lines.append(f"{stamp[1]} {log.name}: {line}")
    return sorted(lines)


def _line(record: Record) -> str:
    value = (record.value or b"").decode(errors="replace")[:MOST_CHARACTERS]
    at = _time(record.timestamp_ms / 1000)
    return f"{at} {record.partition}:{record.offset} {record.key!r} {value}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _listed(outcomes: Sequence[Outcome], name: str) -> str:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(getattr(outcome, name))
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
