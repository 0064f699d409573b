"""The public face for applications: send events, read results, classify without Kafka.

What is imported from here stays, in name and meaning, through all releases of a major version. All
settings come from the environment unless they are given; see `docs/operations.md`.

    >>> from sentiment.client import Classifier, EventProducer, ResultReader

    Send texts, and wait until the brokers have them:

    >>> with EventProducer() as events:
    ...     name = events.send("I loved every minute of it.", source="shop")

    Read results, each once; here the one of that event:

    >>> with ResultReader(since="beginning") as results:
    ...     result = results.wait_for(name, timeout_s=60)
    >>> result.sentiment, result.source
    ('positive', 'shop')

    Classify in this process, by the same rules and the same model:

    >>> answer = Classifier().classify(["Not for me, I was bored."])[0]
    >>> answer.sentiment
    'negative'

What goes wrong is a `SentimentError` of `sentiment.errors`: a sentence, and a hint.
"""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import msgspec

from sentiment import wire
from sentiment.errors import BrokerError, InputError
from sentiment.kafka.producer import EventProducer
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from sentiment.times import parse_since
from sentiment.wire import EventError, Explanation, Sentiment, SentimentResult, TextEvent

__all__ = [
    "Answer",
    "Classifier",
    "EventProducer",
    "ResultReader",
    "Sentiment",
    "SentimentResult",
    "TextEvent",
]

# Texts that are scored in one call: a megabyte or two of reviews.
BATCH = 1000


class ResultReader:
    """Reads committed results, in order per partition; disturbs nobody, and keeps no place.

    Use it as a context manager, or `close` it. An object belongs to one thread.

    Args:
        since: `now`, `beginning`, how long ago (`10m`, `2h`, `7d`), or a time as ISO 8601.
        settings: How to reach Kafka; by default from the environment.
        topic: The topic; by default `TOPICS_RESULTS`.

    Raises:
        BrokerError: Kafka can't be reached.
        TopicError: The topic doesn't exist.
        InputError: `since` is no such time.
    """

    def __init__(
        self, since: str = "now", settings: Settings | None = None, *, topic: str | None = None
    ) -> None:
        settings = settings or Settings()
        start = "end" if since == "now" else parse_since(since, time.time())
        self._reader = TopicReader(settings.kafka, topic or settings.topics.results, start)

    def __iter__(self) -> Iterator[SentimentResult]:
        """Results, without end; what is no result is passed over."""
        return self._results(None)

    def rest(self) -> Iterator[SentimentResult]:
        """Results up to the end that the topic has now.

        Raises:
            BrokerError: No broker sends anything, although there is more.
        """
        for record in self._reader.rest():
            if result := _result(record.value()):
                yield result

    def wait_for(self, name: str, timeout_s: float) -> SentimentResult:
        """The next result of the event with this id; results before it are passed over.

        Raises:
            BrokerError: It didn't come in time. The event may be a dead letter.
        """
        for result in self._results(time.monotonic() + timeout_s):
            if result.id == name:
                return result
        raise BrokerError(
            f"No result of {name!r} came within {timeout_s:g} s.",
            "See whether a worker runs, and `sentiment dlq list` for events that are none.",
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _results(self, deadline: float | None) -> Iterator[SentimentResult]:
        while deadline is None or time.monotonic() < deadline:
            for record in self._reader.poll(0.2):
                if result := _result(record.value()):
                    yield result


class Answer(NamedTuple):
    """What the model says of a text."""

    sentiment: Sentiment  # the likelier one
    score: float  # probability of positive
    confidence: float  # probability of the sentiment named
    explanation: Explanation | None = None  # only where it was asked for


class Classifier:
    """Classifies texts in this process, as a worker does. Any number of threads may share it.

    Args:
        model: `models:/NAME@ALIAS`, `models:/NAME/VERSION` or a directory; by default `MODEL_URI`
            where `MLFLOW_TRACKING_URI` or `DAGSHUB_REPO` is set, else the bundled model.

    Raises:
        ModelError: There is no such model, or it fails a check.
        InputError: There is no such directory.
    """

    def __init__(self, model: str | None = None) -> None:
        from sentiment.registry.registry import named_model

        # MLflow and scikit-learn are seconds of imports, and who only sends needs neither.
        self._model = named_model(model)

    @property
    def version(self) -> str:
        """The model's version."""
        return self._model.version

    def classify(self, texts: Sequence[str], *, explain: bool = False) -> list[Answer]:
        """An answer for each of any number of texts, in their order, with the reason if wanted.

        Raises:
            InputError: A text is empty, or the model fails on it; the error says which.
        """
        from sentiment.classify.score import answered, decide

        found: list[Answer] = []
        for first in range(0, len(texts), BATCH):
            contents = [_event(text) for text in texts[first : first + BATCH]]
            answers = answered(contents, "always" if explain else "never", self._model)
            for number, (score, why) in enumerate(answers, first):
                if isinstance(score, EventError):
                    raise InputError(f"Text {number}: {score.message} ({score.code}).")
                explanation = wire.decode_explanation(why) if why else None
                sentiment, confidence = decide(score)
                found.append(Answer(sentiment, score, confidence, explanation))
        return found


def _event(text: str) -> TextEvent | EventError:
    try:
        return wire.convert_event({"text": text})
    except EventError as error:
        return error


def _result(value: bytes | None) -> SentimentResult | None:
    try:
        return wire.decode_result(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
