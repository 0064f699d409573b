"""Headers, keys, times, values and compression that are made up, through a real worker."""

import os
import re
import signal
import time
from collections import Counter

import pytest

from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from tests.fuzz.records import Hostile
from tests.integration import raw_records
from tests.integration.commands import records
from tests.integration.conftest import StartWorker
from tests.integration.raw_records import ZSTD, large
from tests.integration.replays import committed, ends
from tests.integration.test_compressed_batches import ATTENTIVE, GOOD
from tests.integration.workers import PATIENCE_S, WorkerProcess, configure

pytestmark = pytest.mark.kafka

# A fixed one in the suite; `make fuzz` gives another each time, and prints it.
SEED = int(os.environ.get("FUZZ_SEED", "1"))
# Of batches; some minutes of `make fuzz` are thousands.
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "300"))
SKIP = re.compile(r"WORKER_SKIP_BATCHES=(\S+:\d+:\d+-\d+) ")


@pytest.mark.parametrize("kind", ["ours", "as sent", "broker's time"])
def test_each_record_that_a_broker_takes_is_answered_once(
    request: pytest.FixtureRequest, start_worker: StartWorker, kind: str
) -> None:
    """A result or a dead letter for each, nothing for tombstones, and the worker lives.

    A batch that can't be read is told, and passed over once somebody says so.
    """
    settings: Settings = request.getfixturevalue("settings" if kind == "ours" else "kept_as_sent")
    topic, partitions = settings.topics.events, settings.topics.partitions
    if kind == "broker's time":
        configure(settings, topic, "message.timestamp.type", "LogAppendTime")
    hostile, taken, refused = Hostile(SEED), 0, 0
    worker = start_worker(*ATTENTIVE, WORKER_DEAD_LETTER_MAX_SHARE="1")
    now_ms = int(time.time() * 1000)
    for number in range(ROUNDS):
        content, count = hostile.batch(now_ms)
        # On three partitions, so that one start can be told of all of them.
        if kind != "ours" and number % (ROUNDS // 3 + 1) == ROUNDS // 10:
            content, count = large(110, ZSTD, 5), 5
        servers = settings.kafka.bootstrap_servers
        if raw_records.send(servers, topic, number % partitions, content):
            refused += 1
        else:
            taken += count
    assert refused < ROUNDS / 2
    _send_transactions(settings, hostile)
    ends(settings)
    # Behind the marks of the transactions: the last record of each partition.
    for partition in range(partitions):
        last = raw_records.batch(raw_records.record(GOOD))
        assert raw_records.send(settings.kafka.bootstrap_servers, topic, partition, last) == 0
    worker = _caught_up(settings, worker, start_worker)
    assert worker.get("/livez") == "ok"
    assert "Traceback" not in worker.log

    there = {(r.partition(), r.offset()): r.value() for r in records(settings, topic)}
    answers, passed_over = Counter[tuple[int, int]](), 0
    for result in records(settings, settings.topics.results):
        place = wire.decode_result(result.value() or b"").input
        answers[place.partition, place.offset] += 1
    for letter in records(settings, settings.topics.dead_letters):
        headers = {
            name: value.decode("latin-1")
            for name, value in wire.headers_of(letter)
            if isinstance(value, bytes)
        }
        if headers[wire.ERROR_CODE] == "unreadable_batch":
            [(first, last)] = re.findall(r"from (\d+) to (\d+)", headers[wire.ERROR_MESSAGE])
            passed_over += int(last) - int(first) + 1
        else:
            answers[int(headers[wire.ERROR_PARTITION]), int(headers[wire.ERROR_OFFSET])] += 1
    assert set(answers) == {place for place, value in there.items() if value is not None}
    assert set(answers.values()) == {1}
    # Two of each partition are sent beside those.
    assert len(there) + passed_over == taken + 2 * partitions
    assert bool(passed_over) == (kind != "ours")


def _send_transactions(settings: Settings, hostile: Hostile) -> None:
    """To each partition an aborted transaction, one that is committed, and an aborted one."""
    producer = clients.new_producer(settings.kafka, transactional_id=settings.topics.events)
    producer.init_transactions(PATIENCE_S)
    for end in (
        producer.abort_transaction,
        producer.commit_transaction,
        producer.abort_transaction,
    ):
        producer.begin_transaction()
        for partition in range(settings.topics.partitions):
            value = GOOD if end == producer.commit_transaction else hostile.value()
            producer.produce(settings.topics.events, value, partition=partition)
        producer.flush(PATIENCE_S)
        end(PATIENCE_S)


def _caught_up(
    settings: Settings, worker: WorkerProcess, start_worker: StartWorker
) -> WorkerProcess:
    """Wait until all that was sent is committed; what is told to be unreadable is passed over."""
    skips: set[str] = set()
    deadline = time.monotonic() + PATIENCE_S + ROUNDS
    sent = ends(settings)
    while committed(settings, settings.worker.group_id) != sent:
        if found := set(SKIP.findall(worker.log)) - skips:
            skips |= found
            worker.send(signal.SIGTERM)
            assert worker.wait() == 0
            worker = start_worker(
                *ATTENTIVE, WORKER_DEAD_LETTER_MAX_SHARE="1", WORKER_SKIP_BATCHES=",".join(skips)
            )
        assert time.monotonic() < deadline, worker.log
        time.sleep(0.5)
    return worker
