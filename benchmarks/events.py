"""The events that every candidate classifies."""

import json
import random
from collections.abc import Iterator

from sentiment import kafka
from sentiment.settings import Settings

WORDS_PER_TEXT = 40
# Long enough for every acknowledgement of a backlog, short enough to notice a dead broker.
FLUSH_S = 120.0

# Common words and words of judgement, so that n-grams of the model are found at a natural rate.
WORDS = (  # noqa: SIM905 - a hundred quotation marks would hide the words
    "the a of and to in it is was this that with for but as film movie story plot actor scene "
    "music end time people life world year day man woman director script character dialogue "
    "good great wonderful brilliant loved enjoyed funny touching perfect superb excellent best "
    "bad poor terrible awful boring hated dull waste worst stupid weak predictable mess "
    "very really quite so too not never no hardly rather more most much only just even still "
    "watch see think feel know make go come take want look say tell show seem become again"
).split()


def texts(count: int, seed: int) -> Iterator[str]:
    """`count` texts of 40 words; the same seed gives the same texts."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        yield " ".join(source.choices(WORDS, k=WORDS_PER_TEXT)) + "."


def fill(settings: Settings, count: int, seed: int) -> None:
    """Put a backlog of events on the events topic, evenly over its partitions."""
    producer = kafka.new_producer(settings.kafka, linger_ms=50)
    for number, text in enumerate(texts(count, seed)):
        value = json.dumps({"id": f"{seed}-{number}", "text": text, "source": "bench"})
        while True:
            try:
                producer.produce(
                    settings.topics.events, value, partition=number % settings.topics.partitions
                )
            except BufferError:
                producer.poll(0.1)
            else:
                break
    left = producer.flush(FLUSH_S)
    if left:
        raise RuntimeError(f"{left} of {count} events could not be delivered")
