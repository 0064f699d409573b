"""The uploads of this process, and the thread that sends them."""

import threading
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue

from sentiment import logs
from sentiment.settings import WebSettings
from web.batches.batch import Batch
from web.errors import ApiError
from web.outbox import Outbox
from web.outcomes import Outcome

# How long one wait for work lasts before the end of the process is seen.
POLL_S = 0.2
# Between two tries to send what the brokers did not take: they are away for seconds, not for less.
RETRY_S = 1.0
# Of uploads that are still being sent one is done within about as long.
FULL_RETRY_AFTER_S = 10
JOIN_S = 2.0

log = logs.get(__name__)


class Batches:
    """Keeps uploads for a while, sends their events and takes in what became of them.

    Args:
        settings: How many are kept, and how long.
        outbox: Where their events go.
    """

    def __init__(self, settings: WebSettings, outbox: Outbox) -> None:
        self._limit = settings.max_batches
        self._kept_s = settings.batch_minutes * 60
        self._outbox = outbox
        self._lock = threading.Lock()
        self._batches: dict[str, Batch] = {}
        self._queue: SimpleQueue[Batch] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """End; what is not sent stays unsent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def require_room(self) -> None:
        """Look whether one more can be kept, before its bytes are read.

        Raises:
            ApiError: 503: as many as are kept are still waited for.
        """
        with self._lock:
            self._make_room()

    def add(self, batch: Batch) -> None:
        """Keep an upload and send it.

        Raises:
            ApiError: 503, as above.
        """
        with self._lock:
            self._make_room()
            self._batches[batch.name] = batch
        self._queue.put(batch)

    def get(self, name: str) -> Batch | None:
        """An upload; None if it was never here, or too long ago."""
        with self._lock:
            self._expire()
            return self._batches.get(name)

    def take(self, outcomes: Mapping[str, Outcome]) -> None:
        """Take in results and dead letters of any events, by their ids."""
        with self._lock:
            batches = dict(self._batches)
        if not batches:
            return
        for name, outcome in outcomes.items():
            batch_name, _, number = name.partition("-")
            batch = batches.get(batch_name)
            if batch is not None and number.isascii() and number.isdecimal():
                batch.take(int(number), outcome)

    def _make_room(self) -> None:
        self._expire()
        while len(self._batches) >= self._limit:
            # The oldest is the first: dictionaries keep the order of arrival.
            done = next((name for name, batch in self._batches.items() if batch.done), None)
            if done is None:
                raise ApiError(
                    503,
                    "too_many_batches",
                    "As many uploads as this server keeps are still waited for.",
                    retry_after_s=FULL_RETRY_AFTER_S,
                )
            del self._batches[done]

    def _expire(self) -> None:
        before = time.monotonic() - self._kept_s
        for name in [name for name, batch in self._batches.items() if batch.begun < before]:
            del self._batches[name]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                batch = self._queue.get(timeout=POLL_S)
            except Empty:
                continue
            try:
                self._send(batch)
            except Exception:
                # Nobody else would notice a dead thread: log what it was, and go on.
                log.exception("sending an upload failed", batch=batch.name)

    def _send(self, batch: Batch) -> None:
        for chunk in batch.chunks():
            left = chunk
            # One that is no longer kept is no longer wanted.
            while left and not self._stopping.is_set() and self.get(batch.name):
                failed = set(self._outbox.send(left, batch.headers))
                batch.add_sent(len(left) - len(failed))
                left = [event for event in left if event.id in failed]
                if left:
                    self._stopping.wait(RETRY_S)
