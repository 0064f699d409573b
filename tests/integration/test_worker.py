"""Claims about a worker on a real Kafka with a real registry."""

import json
import math
import os
import random
import signal
import subprocess
import time
import urllib.error
from collections import Counter
from pathlib import Path

import pytest

from sentiment import wire
from sentiment.settings import Settings
from tests.integration.commands import command
from tests.integration.conftest import StartWorker
from tests.integration.workers import PATIENCE_S, read, read_dead_letters, read_results, send


def test_events_become_results_in_order(settings: Settings, start_worker: StartWorker) -> None:
    """Each event has one result, in order per partition, with the champion's name and headers."""
    start_worker()
    values = [
        json.dumps({"id": str(i), "text": "I loved it" if i % 2 else "I hated it"}).encode()
        for i in range(1000)
    ]
    send(settings, values, key="k", headers=[("traceparent", b"00-1"), ("secret", b"x")])
    records = read(settings, settings.topics.results, lambda seen: len(seen) >= len(values))
    results = [wire.decode_result(record.value() or b"") for record in records]
    assert sorted(int(result.id) for result in results) == list(range(1000))
    assert all((result.sentiment == "positive") == bool(int(result.id) % 2) for result in results)
    assert {(result.model.name, result.model.version) for result in results} == {("sentiment", "1")}
    for partition in range(settings.topics.partitions):
        offsets = [r.input.offset for r in results if r.input.partition == partition]
        assert offsets == sorted(offsets)
    assert {tuple(wire.headers_of(record)) for record in records} == {(("traceparent", b"00-1"),)}
    assert {record.key() for record in records} == {b"k"}


def test_explanations_come_to_those_who_ask(settings: Settings, start_worker: StartWorker) -> None:
    """Through a real worker: the parts of an explanation add up to its result's own score."""
    worker = start_worker()
    texts = ["I loved it \U0001f600, a wonderful film", "not good \u0130 dull", "wonderful " * 6000]
    values = [
        json.dumps({"id": str(i), "text": texts[i % 3], "explain": i % 2 == 0}).encode()
        for i in range(300)
    ]
    send(settings, values)
    found = read_results(settings, len(values))
    assert len(found) == len(values)
    for result in found:
        number, explanation = int(result.id), result.explanation
        assert (explanation is not None) == (number % 2 == 0)
        if explanation:
            assert explanation.parts
            total = explanation.intercept + explanation.rest
            total += sum(part.contribution for part in explanation.parts)
            assert total == pytest.approx(explanation.log_odds, abs=1e-6)
            assert 1 / (1 + math.exp(-total)) == pytest.approx(result.score, abs=1e-6)
            assert all(0 <= p.begin < p.end <= len(texts[number % 3]) for p in explanation.parts)
    assert "can't explain" not in worker.log, "it was not made ready at the start"


def test_a_worker_may_explain_all(settings: Settings, start_worker: StartWorker) -> None:
    """WORKER_EXPLAIN=always explains what doesn't ask."""
    start_worker(WORKER_EXPLAIN="always")
    send(settings, [b'{"text": "a wonderful film"}'])
    [result] = read_results(settings, 1)
    assert result.explanation
    places = [(part.begin, part.end) for part in result.explanation.parts]
    assert {(0, 1), (2, 11), (12, 16), (0, 11), (2, 16)} <= set(places)


def text(value: str | bytes | None) -> str:
    """A header's value as text."""
    assert isinstance(value, bytes)
    return value.decode()


BAD: list[tuple[str, bytes]] = [
    ("not_json", b"hello"),
    ("not_json", b'{"text": "a", "n": NaN}'),
    ("not_object", b'["text"]'),
    ("missing_text", b"{}"),
    ("text_not_string", b'{"text": 1}'),
    ("empty_text", b'{"text": ""}'),
    ("empty_text", b'{"text": " \\n\\t\\u3000"}'),
    ("too_large", b'{"text": "' + b"x" * 65536 + b'"}'),
    ("invalid_utf8", b'{"text": "\xff"}'),
    ("lone_surrogate", b'{"text": "\\ud800"}'),
    ("too_deep", b'{"text": "a", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    ("invalid_field", b'{"text": "a", "id": 1}'),
]


def test_bad_events_become_dead_letters(settings: Settings, start_worker: StartWorker) -> None:
    """Each kind of bad event is kept, byte for byte, with its reason; good ones have results."""
    start_worker()
    good = [b'{"text": "a\\u0000b \\u0007 good"}', b'{"text": "fine", "x": {"y": 1}}']
    values: list[bytes | None] = [good[0], *(value for _, value in BAD), None, good[1]]
    send(settings, values, key="k", headers=[("own", b"\x00\xff")])
    letters = read_dead_letters(settings, len(BAD))
    seen = {}
    for letter in letters:
        headers = dict(wire.headers_of(letter))
        assert (letter.key(), headers["own"]) == (b"k", b"\x00\xff")
        assert headers[wire.ERROR_TOPIC] == settings.topics.events.encode()
        assert headers[wire.ERROR_MESSAGE]
        assert headers[wire.ERROR_TIMESTAMP]
        place = text(headers[wire.ERROR_PARTITION]), text(headers[wire.ERROR_OFFSET])
        seen[int(place[0]), int(place[1])] = text(headers[wire.ERROR_CODE]), letter.value()
    partitions = settings.topics.partitions
    expected = {
        (number % partitions, number // partitions): case for number, case in enumerate(BAD, 1)
    }
    assert seen == expected
    assert len(read_results(settings, len(good))) == len(good)


def test_random_bytes_all_become_dead_letters(
    settings: Settings, start_worker: StartWorker
) -> None:
    """100,000 random byte strings end as 100,000 dead letters; none is lost or doubled."""
    start_worker(WORKER_DEAD_LETTER_MAX_SHARE="1")
    source = random.Random(7)  # noqa: S311 - repeatable, not secret
    values = [source.randbytes(source.randrange(64)) for _ in range(100_000)]
    send(settings, values)
    letters = read_dead_letters(settings, len(values))
    assert len(letters) == len(values)
    assert Counter(letter.value() for letter in letters) == Counter(values)
    places = {
        (headers[wire.ERROR_PARTITION], headers[wire.ERROR_OFFSET])
        for headers in (dict(wire.headers_of(letter)) for letter in letters)
    }
    assert len(places) == len(values)


def test_too_many_dead_letters_stop_the_worker(
    settings: Settings, start_worker: StartWorker
) -> None:
    """Above the allowed share the worker exits with its own code and drains nothing further."""
    worker = start_worker(
        WORKER_DEAD_LETTER_MAX_SHARE="0.5", WORKER_DEAD_LETTER_WINDOW="100", WORKER_MAX_BATCH="10"
    )
    send(settings, [b"?"] * 1000)
    assert worker.wait() == 5
    assert "WORKER_DEAD_LETTER_MAX_SHARE" in worker.log
    letters = read_dead_letters(settings, 0)
    assert len(letters) < 1000


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_sigterm_leaves_the_group_and_loses_nothing(
    settings: Settings, start_worker: StartWorker, protocol: str
) -> None:
    """SIGTERM under load ends with code 0; a second worker goes on where the first one stopped."""
    first = start_worker(WORKER_GROUP_PROTOCOL=protocol)
    values = [json.dumps({"id": str(i), "text": "good"}).encode() for i in range(20_000)]
    send(settings, values[:10_000])
    read_results(settings, 1)
    first.send(signal.SIGTERM)
    send(settings, values[10_000:])
    assert first.wait() == 0
    assert "worker has left the group" in first.log
    start_worker(WORKER_GROUP_PROTOCOL=protocol)
    ids = Counter(result.id for result in read_results(settings, len(values)))
    assert len(ids) == len(values)
    assert set(ids.values()) == {1}


def test_sigterm_during_the_start_is_an_ordinary_end() -> None:
    """A worker that is told to stop before it has begun ends with 0, at once."""
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    process = subprocess.Popen(command("worker"), env=environment)
    try:
        deadline = time.monotonic() + PATIENCE_S
        # Until Python itself has started there is nobody to hear it.
        while not _handles(process.pid, signal.SIGTERM):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()


def _handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, as Linux tells."""
    status = Path(f"/proc/{pid}/status").read_text()
    [caught] = [line for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_probes_and_metrics(settings: Settings, start_worker: StartWorker) -> None:
    """A working worker is alive and ready, and its metrics count what it has done."""
    worker = start_worker()
    send(settings, [b'{"text": "good"}'] * 10 + [b"?"] + [None])
    read_results(settings, 10)
    for path in ("/livez", "/readyz"):
        worker.get(path)
    worker.wait_for_metric('sentiment_results_total{model_version="1",sentiment="positive"} 10.0')
    worker.wait_for_metric('sentiment_dead_letters_total{code="not_json"} 1.0')
    worker.wait_for_metric("sentiment_tombstones_total 1.0")
    assert "good" not in worker.log, "a message text was logged"


def test_a_worker_waits_for_its_first_broker(start_worker: StartWorker) -> None:
    """Without a broker it stays up, not ready, and says what it waits for and what to do."""
    worker = start_worker(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", KAFKA_CONNECT_TIMEOUT_S="2")
    worker.wait_for_log("No Kafka broker answers at 127.0.0.1:1")
    assert worker.get("/livez") == "ok"
    with pytest.raises(urllib.error.HTTPError) as caught:
        worker.get("/readyz")
    with caught.value as answer:
        assert b"No Kafka broker answers at 127.0.0.1:1" in answer.read()
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert "sentiment kafka" in worker.log
    assert "Traceback" not in worker.log
