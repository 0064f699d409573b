"""Which dead letters have been redriven: marks on a topic of their own.

A mark is written in the transaction that puts the dead letter back, and nothing else is written
to that topic. Its records never expire, so that no dead letter is left without its mark.
"""

from collections.abc import Iterator, Mapping

import msgspec

from sentiment import events, logs
from sentiment.dlq.letters import DeadLetter
from sentiment.events import Redriven
from sentiment.reader import TopicReader
from sentiment.settings import Settings

log = logs.get(__name__)


def read(settings: Settings, topic: str) -> Iterator[Redriven]:
    """All committed marks about a dead-letter topic.

    Args:
        settings: Where Kafka is.
        topic: The id of the dead-letter topic.

    Raises:
        BrokerError: Kafka doesn't answer.
        TopicError: There is no topic of marks.
    """
    with TopicReader(settings.kafka, settings.topics.redriven, "beginning") as reader:
        for record in reader.rest():
            try:
                mark = events.decode_redriven(record.value() or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                log.warning(
                    "not a mark", topic=reader.topic, partition=record.partition(),
                    offset=record.offset(),
                )  # fmt: skip
                continue
            if mark.topic_id == topic:
                yield mark


class Marks:
    """The marks of a range of dead letters; a byte for each offset, however many are marked.

    Args:
        starts: First offset of the range by partition.
        ends: The offset after the last, by partition.
    """

    def __init__(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        self._starts = starts
        self._flags = {part: bytearray(max(0, end - starts[part])) for part, end in ends.items()}

    def add(self, mark: Redriven) -> None:
        """Take in a mark; one from outside of the range is passed over."""
        flags = self._flags.get(mark.partition, bytearray())
        index = mark.offset - self._starts.get(mark.partition, 0)
        if 0 <= index < len(flags):
            flags[index] = 1

    def __contains__(self, letter: DeadLetter) -> bool:
        """Whether a dead letter of the range has been redriven."""
        flags = self._flags[letter.partition]
        index = letter.offset - self._starts[letter.partition]
        return index < len(flags) and bool(flags[index])
