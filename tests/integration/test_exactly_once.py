"""The claim that everything else rests on: nothing lost, nothing doubled, whatever is killed."""

import json
import signal
import threading
import time
from collections import Counter
from typing import Self

import pytest

from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.wire import decode_tally
from tests.integration.conftest import StartWorker
from tests.integration.workers import PATIENCE_S, read

KILLS = 10
RATE = 1000
# Enough to meet the worker in every state: starting, joining, classifying, committing.
BETWEEN_KILLS_S = 2.5
# Longer than the group's session of 6 s, so that the work is given to somebody else.
ASLEEP_S = 10.0


class Load:
    """Steady events on a thread of its own, until stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0
        self.failed = 0

    def _run(self) -> None:
        producer = clients.new_producer(self._settings.kafka)
        began = time.monotonic()
        while not self._stop.wait(0.01):
            while self.sent < (time.monotonic() - began) * RATE:
                value = json.dumps({"id": str(self.sent), "text": f"a good {self.sent}"})
                producer.produce(
                    self._settings.topics.events, value, str(self.sent), on_delivery=self._delivered
                )
                self.sent += 1
            producer.poll(0)
        assert producer.flush(PATIENCE_S) == 0

    def _delivered(self, error: object, message: object) -> None:
        del message
        self.failed += error is not None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_ten_kills_lose_and_double_nothing(
    settings: Settings, start_worker: StartWorker, protocol: str
) -> None:
    """Two workers under load, `kill -9` ten times in a row: each id has exactly one result."""
    workers = [
        start_worker(
            WORKER_GROUP_PROTOCOL=protocol,
            WORKER_TRANSACTIONAL_ID=f"{settings.worker.group_id}-{number}",
        )
        for number in range(2)
    ]
    with Load(settings) as load:
        for kill in range(KILLS):
            time.sleep(BETWEEN_KILLS_S)
            workers[kill % 2].kill_and_restart()
        time.sleep(BETWEEN_KILLS_S)
    assert load.failed == 0
    records = read(settings, settings.topics.results, lambda seen: len(seen) >= load.sent)
    results = [wire.decode_result(record.value() or b"") for record in records]
    times = Counter(int(result.id) for result in results)
    assert {i for i in range(load.sent) if not times[i]} == set(), "lost"
    assert {i: n for i, n in times.items() if n > 1} == {}, "doubled"
    for partition in range(settings.topics.partitions):
        offsets = [r.input.offset for r in results if r.input.partition == partition]
        assert offsets == sorted(offsets), "reordered"
    covered = [
        decode_tally(record.value() or b"")
        for record in read(settings, settings.topics.tallies, lambda seen: len(seen) > 0)
    ]
    assert sum(row.positive + row.negative for t in covered for row in t.counts) == load.sent


def test_a_fenced_worker_exits_and_loses_nothing(
    settings: Settings, start_worker: StartWorker
) -> None:
    """Of two workers with one transactional id the older one ends with code 3 and says why."""
    name = {"WORKER_TRANSACTIONAL_ID": f"{settings.worker.group_id}-same"}
    with Load(settings) as load:
        first = start_worker(**name)
        read(settings, settings.topics.results, lambda seen: len(seen) > 0)
        start_worker(**name)
        assert first.wait() == 3
    assert "WORKER_TRANSACTIONAL_ID" in first.log
    assert "Traceback" not in first.log
    records = read(settings, settings.topics.results, lambda seen: len(seen) >= load.sent)
    times = Counter(int(wire.decode_result(r.value() or b"").id) for r in records)
    assert times == Counter(range(load.sent))


def test_a_worker_that_slept_goes_on_and_doubles_nothing(
    settings: Settings, start_worker: StartWorker
) -> None:
    """A worker stopped for longer than its session and its transaction may last comes back."""
    short = {"WORKER_TRANSACTION_TIMEOUT_S": "3", "WORKER_COMMIT_TIMEOUT_S": "2"}
    sleeper = start_worker(**short)
    with Load(settings) as load:
        read(settings, settings.topics.results, lambda seen: len(seen) > 0)
        start_worker(**short)
        time.sleep(BETWEEN_KILLS_S)
        sleeper.send(signal.SIGSTOP)
        time.sleep(ASLEEP_S)
        sleeper.send(signal.SIGCONT)
        time.sleep(BETWEEN_KILLS_S)
    records = read(settings, settings.topics.results, lambda seen: len(seen) >= load.sent)
    times = Counter(int(wire.decode_result(r.value() or b"").id) for r in records)
    assert times == Counter(range(load.sent))
    sleeper.send(signal.SIGTERM)
    assert sleeper.wait() == 0, sleeper.log
