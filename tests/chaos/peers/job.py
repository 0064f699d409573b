"""The job of a peer: what `sentiment worker` makes of an event, but dead letters and tallies."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.peers import job

# The worker's times under fire; see `tests.chaos.workers.ENVIRONMENT`.
SESSION_MS = 4000
TRANSACTION_MS = 3000
COMMIT_S = 0.5

Header = tuple[str, bytes]


def setting(name: str) -> str:
    """A setting, by the name that it has for the worker."""
    return os.environ[name]


@dataclass
class Job:
    """Makes results of events, and says when the first one has come."""

    _score: job.Score = field(default_factory=job.sklearn)
    _began: bool = False

    def result(self, topic: str, partition: int, offset: int, value: bytes) -> bytes:
        """The result of one event."""
        if not self._began:
            self._began = True
            # What the harness waits for before it hurts a worker.
            sys.stderr.write('"assigned"\n')
            sys.stderr.flush()
        event = json.loads(value)
        [score] = self._score([event["text"]])
        result = {
            "id": event.get("id") or f"{topic}-{partition}-{offset}",
            "sentiment": "positive" if score >= 0.5 else "negative",
            "score": score,
            "input": {"topic": topic, "partition": partition, "offset": offset},
        }
        if "source" in event:
            result["source"] = event["source"]
        return json.dumps(result).encode()


def passed_on(headers: Iterable[Header] | None) -> list[Header]:
    """The headers that travel from an event to its result."""
    return [pair for pair in headers or () if pair[0].startswith(("traceparent", "ce_"))]
