"""What the tests of `sentiment dlq` share: dead letters on the topic, and reading back."""

import json
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Message

from sentiment import wire
from sentiment.classify.assemble import error_headers
from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.wire import ErrorCode, EventError
from tests.integration.commands import records, sentiment


def bury(  # noqa: PLR0917 - the parts of a dead letter
    settings: Settings,
    values: Iterable[bytes],
    code: ErrorCode = "too_large",
    partition: int = 0,
    headers: wire.Headers | None = None,
    timestamp_ms: int = 0,
) -> None:
    """Put dead letters on their topic as the worker would, the n-th of the event at offset n.

    Args:
        settings: The topics.
        values: The events' values; also their keys.
        code: What is wrong with each.
        partition: Where the events, and so the dead letters, stand.
        headers: All headers, in place of those that the worker writes.
        timestamp_ms: When they became dead letters; 0: now.
    """
    names, producer = settings.topics, clients.new_producer(settings.kafka)
    for offset, value in enumerate(values):
        event = Message(
            topic=names.events, partition=partition, offset=offset, headers=[("own", b"\xff")]
        )
        written = (
            headers if headers is not None else error_headers(event, EventError(code, ""), "1")
        )
        producer.produce(
            names.dead_letters, value, value, partition, headers=written, timestamp=timestamp_ms
        )
        producer.poll(0)
    assert producer.flush(60) == 0


def event(number: int, **fields: object) -> bytes:
    """A valid event."""
    return json.dumps({"text": f"good {number}", **fields}).encode()


def sent(settings: Settings) -> list[bytes]:
    """The values on the events topic, sorted: each as often as it was sent."""
    return sorted(record.value() or b"" for record in records(settings, settings.topics.events))


def listed(*arguments: str) -> list[dict[str, Any]]:
    """What `sentiment dlq list --json` says, by the letters' places."""
    done = sentiment("dlq", "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return sorted(found, key=lambda said: [int(part) for part in said["id"].split("-")])
