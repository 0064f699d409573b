"""One pass over the dead letters that stand on the topic now."""

from collections.abc import Callable, Iterator
from typing import Self

from sentiment import topics
from sentiment.dlq import letters, marks
from sentiment.dlq.letters import DeadLetter
from sentiment.dlq.marks import Marks
from sentiment.dlq.selection import Selection
from sentiment.reader import Start, TopicReader
from sentiment.settings import Settings


class Scan:
    """Reads committed dead letters, up to the end of the topic as it is now.

    Args:
        settings: Where Kafka is, and its topics.
        selection: Which of them are wanted.
        tell: Called at each record with how many were read, and their share of the whole.
        latest: Look at no more than about as many, the latest of each partition; None: at all.

    Attributes:
        redriven: Those that have been redriven already.
        missing: Ids of the selection that no dead letter was found for; complete at the end.
        topic_id: Id of the dead-letter topic.
        passed_over: How many offsets at the beginning are left out, because of `latest`.

    Raises:
        BrokerError: Kafka doesn't answer.
        TopicError: A topic doesn't exist.
    """

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        tell: Callable[[int, float], None] = lambda *_: None,
        *,
        latest: int | None = None,
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._tell = tell
        self.passed_over = 0
        self.missing = set(selection.ids)
        start: Start = "beginning" if selection.since is None else selection.since
        self._reader = TopicReader(settings.kafka, settings.topics.dead_letters, start)
        try:
            if latest is not None:
                self._skip(settings, latest)
            self._starts, self._ends = self._reader.positions(), self._reader.ends()
            self.redriven = Marks(self._starts, self._ends)
            self.topic_id = topics.identity(settings.kafka, settings.topics.dead_letters).id
            self.read_marks()
        except BaseException:
            self._reader.close()
            raise

    def read_marks(self) -> None:
        """Have `redriven` be all that have been redriven by now."""
        for mark in marks.read(self._settings, self.topic_id):
            self.redriven.add(mark)

    def letters(self) -> Iterator[DeadLetter]:
        """The selected dead letters, in order per partition; ends early when all ids are found."""
        selection = self._selection
        # An event's place may be that of several, if its topic was made anew: they all count.
        sought = set(selection.ids)
        for count, record in enumerate(self._reader.rest(), 1):
            self._tell(count, self._share())
            letter = letters.read(record)
            if selection.ids:
                named = selection.named(letter, self._reader.topic)
                if not named:
                    continue
                self.missing -= named
                sought -= {letter.id, f"{self._reader.topic}-{letter.id}"}
            if selection.matches(letter):
                yield letter
            if selection.ids and not sought:
                return

    def _skip(self, settings: Settings, latest: int) -> None:
        """Begin later where there are more than as many, with as many of each partition."""
        starts, ends = self._reader.positions(), self._reader.ends()
        if sum(ends.values()) - sum(starts.values()) <= latest:
            return
        each = max(1, latest // len(ends))
        later = {part: max(starts[part], end - each) for part, end in ends.items()}
        reader = TopicReader(settings.kafka, settings.topics.dead_letters, later)
        self._reader.close()
        self._reader = reader
        self.passed_over = sum(later.values()) - sum(starts.values())

    def _share(self) -> float:
        """How much of the topic has been read, from 0 to 1."""
        whole = sum(self._ends.values()) - sum(self._starts.values())
        done = sum(self._reader.positions().values()) - sum(self._starts.values())
        return min(1.0, done / whole) if whole else 1.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()
