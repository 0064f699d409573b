import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from tests.integration.commands import PATIENCE_S, command, sentiment

Publish = Callable[..., list[bytes]]
NOW = datetime.now(UTC)


def result(name: str, number: int) -> bytes:
    """A result; every third is negative."""
    positive = number % 3 != 0
    return wire.encode(
        wire.SentimentResult(
            id=f"{name}-{number}",
            sentiment="positive" if positive else "negative",
            score=0.9 if positive else 0.1,
            confidence=0.9,
            model=wire.Model("sentiment", "1"),
            input=wire.Input("text-events", 0, number),
            received_at=NOW,
            processed_at=NOW,
        )
    )


@pytest.fixture
def publish(settings: Settings) -> Publish:
    """Publishes results in one transaction, which is committed unless said otherwise."""
    producer = clients.new_producer(settings.kafka, transactional_id=uuid.uuid4().hex)
    producer.init_transactions(30)

    def publish(name: str, count: int, *, commit: bool = True) -> list[bytes]:
        values = [result(name, number) for number in range(count)]
        producer.begin_transaction()
        for number, value in enumerate(values):
            producer.produce(settings.topics.results, value, partition=number % 4)
        assert producer.flush(30) == 0
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
        return values

    return publish


def lines(text: str) -> list[bytes]:
    """Lines of output, sorted: partitions come in any order."""
    return sorted(text.encode().splitlines())


def test_only_committed_results_are_shown(publish: Publish) -> None:
    """All committed results, byte for byte, one a line; none of an aborted transaction."""
    first = publish("first", 50)
    publish("aborted", 50, commit=False)
    second = publish("second", 5)
    done = sentiment("results")
    assert done.returncode == 0
    assert lines(done.stdout) == sorted(first + second)
    assert done.stderr == ""


def test_nothing_there_is_nothing_printed(settings: Settings) -> None:
    """An empty topic ends at once, without output and without an error."""
    del settings
    done = sentiment("results")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_filters(publish: Publish) -> None:
    """`--id`, `--sentiment` and `--limit` each narrow what is shown."""
    publish("a", 30)
    found = sentiment("results", "--id", "a-7", "--id", "a-12", "--id", "a").stdout
    assert {json.loads(line)["id"] for line in found.splitlines()} == {"a-7", "a-12"}
    negative = sentiment("results", "--sentiment", "negative").stdout.splitlines()
    assert {json.loads(line)["id"] for line in negative} == {f"a-{n}" for n in range(0, 30, 3)}
    assert len(sentiment("results", "--limit", "4").stdout.splitlines()) == 4


def test_since_a_time(publish: Publish) -> None:
    """`--since` takes a time, a duration or `beginning`."""
    old = publish("old", 8)
    time.sleep(0.05)
    start = datetime.now(UTC).isoformat()
    new = publish("new", 8)
    assert lines(sentiment("results", "--since", start).stdout) == sorted(new)
    for whole in ("beginning", "10m", "7d", "2026-01-31T08:00:00Z"):
        assert lines(sentiment("results", "--since", whole).stdout) == sorted(old + new)


def test_what_is_no_result_is_passed_over(settings: Settings, publish: Publish) -> None:
    """A foreign record is told by its place in the log, and the rest is shown."""
    values = publish("a", 3)
    producer = clients.new_producer(settings.kafka)
    producer.produce(settings.topics.results, b"SECRET", partition=2)
    producer.produce(settings.topics.results, None, partition=2)
    assert producer.flush(30) == 0
    done = sentiment("results")
    assert done.returncode == 0
    assert lines(done.stdout) == sorted(values)
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["partition"] for line in told] == [2, 2]
    assert "SECRET" not in done.stderr


def test_follow_shows_what_comes_and_ends_with_ctrl_c(publish: Publish) -> None:
    """From now on, each result when it is committed; Ctrl-C is its ordinary end."""
    old = publish("old", 4)
    with subprocess.Popen(
        command("results", "--follow"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        seen: set[bytes] = set()
        # It says nothing when it begins to read: publish until something arrives.
        os.set_blocking(process.stdout.fileno(), False)
        new: list[bytes] = []
        deadline = time.monotonic() + PATIENCE_S
        while not seen and time.monotonic() < deadline:
            new += publish(f"new{len(new)}", 4)
            time.sleep(0.2)
            seen.update((process.stdout.read() or b"").splitlines())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == b""
    assert seen
    assert seen <= set(new)
    assert not seen & set(old)


def test_a_reader_that_has_enough_ends_it_quietly(publish: Publish) -> None:
    """`| head -1` gets its line, and neither an error nor an exit code follows."""
    publish("a", 2000)
    shell = f"set -o pipefail; {' '.join(command('results'))} | head -1"
    done = subprocess.run(
        ["/bin/bash", "-c", shell], capture_output=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["id"].startswith("a-")
    assert done.stderr == b""


def test_missing_topic_is_told(settings: Settings) -> None:
    """A topic that doesn't exist is a sentence with a hint."""
    del settings
    done = sentiment("results", "--topic", "absent-topic")
    assert done.returncode == 1
    assert "Error: Topic 'absent-topic' does not exist" in done.stderr
    assert "sentiment topics" in done.stderr
