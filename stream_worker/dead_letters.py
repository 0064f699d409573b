"""What a dead letter carries, and when there are too many of them."""

from collections import deque
from datetime import UTC, datetime

from confluent_kafka import Message

from sentiment import events, metrics
from sentiment.errors import TooManyDeadLettersError
from sentiment.event_errors import EventError
from sentiment.events import Headers


def error_headers(message: Message, error: EventError, model_version: str) -> Headers:
    """The headers of a dead letter: the record's own, verbatim, and what went wrong.

    Args:
        message: The record that could not be classified.
        error: Why.
        model_version: The model that was serving.

    Returns:
        Headers; those of an earlier attempt, which a redriven record carries, are replaced.
    """
    own = events.headers_of(message)
    attempts = [value for key, value in own if key == events.ERROR_ATTEMPT]
    return [
        *((key, value) for key, value in own if key not in events.ERROR_HEADERS),
        (events.ERROR_EXCEPTION, b"sentiment.events.EventError"),
        (events.ERROR_MESSAGE, error.message.encode()),
        (events.ERROR_TOPIC, (message.topic() or "").encode()),
        (events.ERROR_PARTITION, str(message.partition()).encode()),
        (events.ERROR_OFFSET, str(message.offset()).encode()),
        (events.ERROR_CODE, error.code.encode()),
        (events.ERROR_TIMESTAMP, datetime.now(UTC).isoformat().encode()),
        (events.ERROR_ATTEMPT, str(_next_attempt(attempts)).encode()),
        (events.ERROR_MODEL_VERSION, model_version.encode()),
    ]


def _next_attempt(earlier: list[str | bytes | None]) -> int:
    last = earlier[-1] if earlier else None
    # Anybody can write this header: a value that is no count starts the count anew.
    return int(last) + 1 if last and last.isdigit() and len(last) < len("1000000") else 1


class ShareLimit:
    """Watches the share of dead letters among the latest events.

    Args:
        max_share: Share above which the worker stops; 1 never stops it.
        window: How many of the latest events count; nothing is said before there are as many.
    """

    def __init__(self, max_share: float, window: int) -> None:
        self._max_share = max_share
        self._window = window
        self._batches: deque[tuple[int, int]] = deque()
        self._events = self._bad = 0
        # The sums with the batch that was checked last, that batch, and how many leave for it.
        self._checked = (0, 0, (0, 0), 0)

    def check(self, events_count: int, bad_count: int) -> None:
        """Look at one batch, before anything of it is committed; once it is, `keep` it.

        Raises:
            TooManyDeadLettersError: With it, the share is above the limit.
        """
        seen, bad, leaving = self._events + events_count, self._bad + bad_count, 0
        for old_events, old_bad in self._batches:
            if seen - old_events < self._window:
                break
            seen, bad, leaving = seen - old_events, bad - old_bad, leaving + 1
        self._checked = seen, bad, (events_count, bad_count), leaving
        metrics.DEAD_LETTER_SHARE.set(bad / seen)
        if seen >= self._window and bad > self._max_share * seen:
            raise TooManyDeadLettersError(
                f"{bad} of the last {seen} events could not be classified, more than"
                f" the share of {self._max_share:g} that WORKER_DEAD_LETTER_MAX_SHARE allows.",
                "Nothing of the last batch was committed. Look at what the producers send, then"
                " start the worker again, with a share of 1 to let everything through.",
            )

    def keep(self) -> None:
        """The batch that was checked last is committed: it counts from now on."""
        self._events, self._bad, batch, leaving = self._checked
        for _ in range(leaving):
            self._batches.popleft()
        self._batches.append(batch)
