"""The events that every candidate classifies."""

import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import Producer
from sklearn.pipeline import Pipeline

from benchmarks.bench import LONG, SHORT, Backlog, Bench
from sentiment.kafka import clients
from sentiment.model.formats.scikit_learn import load_pipeline
from sentiment.model.text import NEGATED
from sentiment.registry.publish import bundled_model
from sentiment.settings import Settings

# Words of a comment and of a film review.
LENGTHS = {SHORT: 40, LONG: 230}
# Used over and over: far more than the processor's caches hold, and made in seconds.
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
    _fill(clients.new_producer(bench.settings.kafka, linger_ms=50), bench.settings, made, texts)
    return made


def held_backlog(
    bench: Bench, name: str, texts: Sequence[str], count: int
) -> tuple[Backlog, Callable[[], None]]:
    """A backlog that shows at once, to workers that wait, when the second part is called."""
    made = Backlog(name, bench.topic("events"), count)
    producer = clients.new_producer(
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
    _flush(producer, made.events)


def _flush(producer: Producer, count: int) -> None:
    if left := producer.flush(FLUSH_S):
        raise RuntimeError(f"{left} of {count} events could not be delivered")


# `python -m benchmarks.events RATE SECONDS TOPIC TEXTS`, with a JSON list of texts in a file. One
# event in `PROBE_EVERY` has as its key when it was handed over, in ns since 1970.

# Enough probes for a p99 of each second, few enough that reading keys costs nothing.
PROBE_EVERY = 20
# Events due within it are sent together: far below what is measured, and a sleep that is kept.
TICK_S = 0.001


def main(rate: float, seconds: float, topic: str, texts: Path) -> None:
    """Send events at a rate, for a time."""
    settings = Settings()
    # As `sentiment produce` sends: its wait for a batch is part of what is measured.
    producer = clients.new_producer(settings.kafka)
    partitions = settings.topics.partitions
    values = [
        json.dumps({"id": f"{number}", "text": text, "source": "bench"})
        for number, text in enumerate(json.loads(texts.read_text()))
    ]
    sent, began = 0, time.monotonic()
    while (gone_s := time.monotonic() - began) < seconds:
        for number in range(sent, int(gone_s * rate)):
            key = None if number % PROBE_EVERY else str(time.time_ns())
            value = values[number % len(values)]
            try:
                # In turns of seven, so that probes, every twentieth event, come to each partition.
                producer.produce(topic, value, key, number // 7 % partitions)
            except BufferError:
                break
            sent += 1
        producer.poll(0)
        time.sleep(TICK_S)
    _flush(producer, sent)
    print(sent)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))


# Texts that read like those that a model learnt from, none of which may be handed on. The order of
# a vocabulary says which words are usual, and its pairs which follow which: a walk along them gives
# texts in which a model knows about as many n-grams as in real ones.

# Of all followers of a word, so many are drawn from; the usual ones come first.
FOLLOWERS = 200


class Writer:
    """Makes texts; the same model and seed make the same texts."""

    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        vectorizer = pipeline[0]
        self._words: list[str] = vectorizer.words()
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._next: defaultdict[int, list[int]] = defaultdict(list)
        for word, follower in zip(vectorizer.prefixes_[0], vectorizer.lasts_[0], strict=True):
            if len(self._next[word]) < FOLLOWERS:
                self._next[word].append(follower)

    def text(self, words: int) -> str:
        """A text of that many words and punctuation marks."""
        written: list[str] = []
        word = self._usual(len(self._words))
        while len(written) < words:
            written.append(self._words[word].removeprefix(NEGATED))
            followers = self._next.get(word)
            # A word in twenty is a new beginning, as names and rare words are.
            if followers and self._chance.random() > 0.05:  # noqa: PLR2004 - see above
                word = followers[self._usual(len(followers))]
            else:
                word = self._usual(len(self._words))
        return " ".join(written)

    def _usual(self, size: int) -> int:
        """One of so many, the first ones more often, by Zipf's law: the n-th 1/n times as often."""
        return int((size + 1) ** self._chance.random()) - 1
