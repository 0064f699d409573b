"""The events that every candidate classifies."""

import json
from collections.abc import Callable, Sequence

from confluent_kafka import Producer

from benchmarks.bench import Backlog, Bench
from benchmarks.texts import Writer
from sentiment import kafka
from sentiment.artifact import load_pipeline
from sentiment.publish import bundled_model
from sentiment.settings import Settings

# Words of a comment and of a film review.
LENGTHS = {"40-word texts": 40, "full reviews": 230}
# So many words are written, and their texts used over and over: far more than the processor's
# caches hold, and made in seconds.
WORDS = 1_000_000
# Long enough for every acknowledgement of a backlog, short enough to notice a dead broker.
FLUSH_S = 120.0
# The longest that brokers keep a transaction open by default, in milliseconds.
HELD_MS = 900_000


def write(seed: int = 1) -> dict[str, list[str]]:
    """Texts by the name of their length; the same seed gives the same texts."""
    writer = Writer(load_pipeline(bundled_model()), seed)
    return {
        name: [writer.text(words) for _ in range(WORDS // words)] for name, words in LENGTHS.items()
    }


def backlog(bench: Bench, name: str, texts: Sequence[str], count: int) -> Backlog:
    """Put events on a topic of their own, evenly over its partitions."""
    made = Backlog(name, bench.topic("events"), count)
    _fill(kafka.new_producer(bench.settings.kafka, linger_ms=50), bench.settings, made, texts)
    return made


def held_backlog(
    bench: Bench, name: str, texts: Sequence[str], count: int
) -> tuple[Backlog, Callable[[], None]]:
    """A backlog that readers of committed records see only when the second part is called.

    All of it appears at once then, so that workers can be waiting for it.
    """
    made = Backlog(name, bench.topic("events"), count)
    producer = kafka.new_producer(
        bench.settings.kafka,
        linger_ms=50,
        transactional_id=made.topic,
        transaction_timeout_ms=HELD_MS,
    )
    producer.init_transactions()
    producer.begin_transaction()
    _fill(producer, bench.settings, made, texts)
    return made, producer.commit_transaction


def _fill(producer: Producer, settings: Settings, made: Backlog, texts: Sequence[str]) -> None:
    for number in range(made.events):
        text = texts[number % len(texts)]
        value = json.dumps({"id": f"{number}", "text": text, "source": "bench"})
        while True:
            try:
                producer.produce(made.topic, value, partition=number % settings.topics.partitions)
            except BufferError:
                # A broker that takes nothing more would have us wait for ever.
                if not producer.poll(FLUSH_S):
                    raise RuntimeError(
                        f"the broker took {number} of {made.events} events"
                    ) from None
            else:
                break
    left = producer.flush(FLUSH_S)
    if left:
        raise RuntimeError(f"{left} of {made.events} events could not be delivered")
