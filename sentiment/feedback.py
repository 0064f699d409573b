"""People's labels on results: the last one for each event, and what they say of each model.

The topic is compacted by the event's id, so that it is its own table: whoever needs the labels
reads it from the beginning.
"""

import hashlib
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
from confluent_kafka import Message
from msgspec import Struct

from sentiment import logs
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from sentiment.wire import Feedback, decode_feedback

# Labels of the latest events that are kept in memory, some 60 MB. People give a few a minute, and a
# figure of accuracy is steady to a thousandth long before.
MOST = 200_000
# Versions that labels are kept of: a new one every day for half a year. Feedback may name any.
MOST_VERSIONS = 200
# Names and texts of feedback that are read at one time: a million texts of a few lines each.
MOST_BYTES = 1024 * 1024 * 1024

log = logs.get(__name__)


class Accuracy(Struct, frozen=True):
    """What people's labels say of a model; a share of nothing is None."""

    labels: int
    accuracy: float
    precision: float | None  # of `positive`, as recall
    recall: float | None
    f1: float | None


# Model version, what the model said, what is right.
Cell = tuple[str, str, str]
# By event id, in the order given: the feedback, and when it was given, in ms since 1970.
Found = dict[str, tuple[Feedback, int]]


class Labels:
    """The last label of each event, of the `most` latest; one thread may add while others ask."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        # By the digest of the event's name.
        self._cells: dict[bytes, Cell] = {}
        self._counts: Counter[Cell] = Counter()
        # How many labels each version has, the one that was labelled last at the end.
        self._versions: dict[str, int] = {}

    def take(self, records: Iterable[Message]) -> None:
        """Add records of the feedback topic; one that is none is logged and passed over."""
        for record in records:
            self.add(_name(record), _decoded(record))

    def add(self, name: str, feedback: Feedback | None) -> None:
        """Add the last word on an event; None takes it back."""
        # Of a name, which may be a megabyte, what tells it from 200,000 others.
        place = hashlib.blake2b(name.encode(), digest_size=16).digest()
        with self._lock:
            # Taken out first, so that it stands at the end again.
            self._drop(place)
            # Without the answer that it is about, a label says nothing of a model.
            if feedback is not None and feedback.model and feedback.sentiment:
                # One copy of a version for all of its labels.
                version = sys.intern(feedback.model.version)
                cell = version, feedback.sentiment, feedback.label
                self._cells[place] = cell
                self._counts[cell] += 1
                self._versions[cell[0]] = self._versions.pop(cell[0], 0) + 1
            if len(self._cells) > self._most:
                self._drop(next(iter(self._cells)))
            if len(self._versions) > MOST_VERSIONS:
                oldest = next(iter(self._versions))
                for other in [other for other, cell in self._cells.items() if cell[0] == oldest]:
                    self._drop(other)

    def _drop(self, place: bytes) -> None:
        cell = self._cells.pop(place, None)
        if cell is None:
            return
        self._counts[cell] -= 1
        self._versions[cell[0]] -= 1
        if not self._versions[cell[0]]:
            del self._versions[cell[0]]
            for other in [other for other in self._counts if other[0] == cell[0]]:
                del self._counts[other]

    def counts(self, versions: int | None = None) -> dict[Cell, int]:
        """How many events there are of each answer and label, of the versions labelled last."""
        with self._lock:
            latest = set(list(self._versions)[-versions:] if versions else self._versions)
            return {cell: count for cell, count in self._counts.items() if cell[0] in latest}

    def accuracy(self) -> dict[str, Accuracy]:
        """What the labels say of each model version that has any."""
        counts = self.counts()
        versions = sorted({version for (version, _, _), count in counts.items() if count})
        return {version: _accuracy(version, counts) for version in versions}


def accuracy(settings: Settings) -> dict[str, Accuracy]:
    """The same of the labels that are on the topic now."""
    labels = Labels()
    labels.take(_records(settings))
    return labels.accuracy()


def _accuracy(version: str, counts: dict[Cell, int]) -> Accuracy:
    def count(said: str, right: str) -> int:
        return counts.get((version, said, right), 0)

    hits, misses = count("positive", "positive"), count("negative", "positive")
    false_alarms, others = count("positive", "negative"), count("negative", "negative")
    labels = hits + misses + false_alarms + others
    return Accuracy(
        labels=labels,
        accuracy=(hits + others) / labels,
        precision=_share(hits, hits + false_alarms),
        recall=_share(hits, hits + misses),
        f1=_share(2 * hits, 2 * hits + misses + false_alarms),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _name(record: Message) -> str:
    return (record.key() or b"").decode(errors="replace")


def _decoded(record: Message) -> Feedback | None:
    """What a record says; None where it takes a label back, or is no feedback."""
    value = record.value()
    if value is None:
        return None
    try:
        return decode_feedback(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.warning(
            "not a feedback", partition=record.partition(), offset=record.offset(),
            reason=str(error),
        )  # fmt: skip
        return None


def _records(settings: Settings) -> Iterator[Message]:
    with TopicReader(settings.kafka, settings.topics.feedback, "beginning") as reader:
        yield from reader.rest()


def read(settings: Settings) -> Found:
    """The last feedback for each event that there is now; of the latest, see `MOST_BYTES`."""
    found: Found = {}
    size = left_out = 0
    for record in _records(settings):
        name, feedback = _name(record), _decoded(record)
        size -= _size(name, found.pop(name, None))
        if feedback is not None:
            found[name] = feedback, record.timestamp()[1]
            size += _size(name, found[name])
        while size > MOST_BYTES:
            oldest = next(iter(found))
            size -= _size(oldest, found.pop(oldest))
            left_out += 1
    if left_out:
        log.warning("older labels are left out", events=left_out, most_bytes=MOST_BYTES)
    return found


def _size(name: str, given: tuple[Feedback, int] | None) -> int:
    # Without name and text, a label has 600 bytes.
    return 600 + len(name) + len(given[0].text or "") if given else 0
