"""The topic that takes a replay's results: made when missing, and never shared."""

import msgspec

from sentiment import events, kafka, topics
from sentiment.errors import InputError
from sentiment.progress import Progress
from sentiment.reader import TopicReader
from sentiment.settings import Settings
from stream_worker.replay.plan import Mark


def create(settings: Settings, name: str) -> int:
    """Create the output topic if it is not there; returns its number of partitions."""
    present = kafka.describe_cluster(settings.kafka).topics
    count = len(present[settings.topics.events].partitions)
    # As long as the live results are kept: comparing needs both.
    kept = {"retention.ms": str(7 * topics.DAY_MS)}
    return topics.create(settings, [topics.Topic(name, count, kept)])[0].partitions


def topic_id(settings: Settings, name: str) -> str:
    """Kafka's id of a topic; empty where there is none of that name."""
    if name not in kafka.describe_cluster(settings.kafka).topics:
        return ""
    return topics.identity(settings.kafka, name).id


def check_content(settings: Settings, output: str, marks: dict[int, Mark]) -> None:
    """Make sure that the topic holds this replay's results and nothing else.

    Raises:
        InputError: It holds something else.
    """
    seen = {partition: mark.start - 1 for partition, mark in marks.items()}
    progress = Progress(sum(mark.results for mark in marks.values()))
    with TopicReader(settings.kafka, output, "beginning") as reader:
        for count, record in enumerate(reader.rest(), 1):
            place = _place(record.value() or b"", settings.topics.events, marks)
            if place is None or not seen[place.partition] < place.offset:
                raise InputError(
                    f"Topic {output!r} holds what is not of this replay: partition"
                    f" {record.partition()}, offset {record.offset()}.",
                    "Give --output-topic a name that nothing else uses.",
                )
            seen[place.partition] = place.offset
            progress.update(count)
    progress.clear()


def _place(value: bytes, topic: str, marks: dict[int, Mark]) -> events.Input | None:
    """Which event a record of the output topic answers; None if it is none of this replay's."""
    try:
        result = events.decode_result(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    mark = marks.get(result.input.partition)
    ours = (
        mark is not None
        and result.input.topic == topic
        and result.model == mark.plan.model
        and mark.start <= result.input.offset < mark.next
    )
    return result.input if ours else None
