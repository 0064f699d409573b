"""Claims about redriving dead letters: to where, as what, and never twice by accident."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from sentiment import wire
from sentiment.dead_letters.command import dlq
from sentiment.dead_letters.scan import Scan
from sentiment.errors import FencedError
from sentiment.kafka import clients, topics
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings
from tests.integration.commands import PATIENCE_S, command, records, sentiment
from tests.integration.conftest import StartWorker
from tests.integration.dead_letters import bury, event, listed, sent
from tests.integration.workers import read_dead_letters, read_results, send

# Some transactions of the command, so that it can be met in the middle of them.
MANY = 30_000
KILLS = 5


def test_a_bad_event_is_mended_and_becomes_a_result(
    settings: Settings, start_worker: StartWorker
) -> None:
    """Bad event, dead letter, redrive through a command, result: with source, key and headers."""
    start_worker()
    headers = [("traceparent", b"00-1"), ("mine", b"\xfe")]
    bad = b'{"id": "7", "body": "a wonderful film", "source": "shop"}'
    send(settings, [bad, b"not JSON"], key=b"k", headers=headers)
    letters = read_dead_letters(settings, 2)
    done = sentiment("dlq", "redrive", "--code", "missing_text", "--through", "sed s/body/text/")
    assert (done.returncode, done.stdout) == (0, "Redriven: 1.\n"), done.stderr
    (result,) = read_results(settings, 1)
    assert (result.id, result.sentiment, result.source) == ("7", "positive", "shop")
    # The partition it came from, behind what stands there.
    assert (result.input.partition, result.input.offset > 0) == (0, True)
    (record,) = records(settings, settings.topics.results)
    assert record.key() == b"k"
    assert record.headers() == [("traceparent", b"00-1")]
    back = {record.value(): record for record in records(settings, settings.topics.events)}
    mended = back[bad.replace(b"body", b"text")]
    assert (mended.key(), mended.headers()) == (b"k", [*headers, (wire.ERROR_ATTEMPT, b"1")])
    assert [said["redriven"] for said in listed()] == [True, False]
    # The dead letters are where they were, as they were.
    after = records(settings, settings.topics.dead_letters)
    assert sorted(r.value() or b"" for r in after) == sorted(r.value() or b"" for r in letters)


def test_attempts_are_counted(settings: Settings, start_worker: StartWorker) -> None:
    """An event that fails again after each redrive is a new dead letter with the next number."""
    start_worker(WORKER_MAX_EVENT_BYTES="200")
    send(settings, [event(0, attributes={"long": "x" * 300})])
    for attempt in (1, 2):
        letters = read_dead_letters(settings, attempt)
        said = listed("--waiting")
        assert [(s["code"], s["attempt"]) for s in said] == [("too_large", attempt)]
        done = sentiment("dlq", "redrive", "--all")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Redriven: 1;" if attempt > 1 else "Redriven: 1.")
        assert len(letters) == attempt
    (*_, last) = read_dead_letters(settings, 3)
    attempts = [value for name, value in wire.headers_of(last) if name == wire.ERROR_ATTEMPT]
    assert attempts == [b"3"]


def test_run_twice_sends_once_and_again_on_purpose(settings: Settings) -> None:
    """The second run finds nothing to do, whatever is selected; `--again` sends once more."""
    values = sorted(event(number) for number in range(30))
    bury(settings, values[:20], partition=1)
    bury(settings, values[20:], "model_failed", partition=2)
    assert sentiment("dlq", "redrive", "--code", "model_failed").returncode == 0
    assert sent(settings) == values[20:]
    for _ in range(2):
        assert sentiment("dlq", "redrive", "--all").returncode == 0
        assert sent(settings) == values
    done = sentiment("dlq", "redrive", "--id", "1-0", "--again", "--json")
    assert json.loads(done.stdout) == {"id": "1-0", "code": "too_large", "outcome": "redriven"}
    assert sent(settings) == sorted([*values, values[0]])
    done = sentiment("dlq", "redrive", "--all", "--json")
    outcomes = {json.loads(line)["outcome"] for line in done.stdout.splitlines()}
    assert (outcomes, done.returncode) == ({"redriven_before"}, 0)


def test_killed_in_the_middle_and_run_again_sends_each_once(settings: Settings) -> None:
    """`kill -9` some times in the middle, then to the end: each once, in order, none left out."""
    values = [event(number) for number in range(MANY)]
    bury(settings, values)
    with TopicReader(settings.kafka, settings.topics.redriven, "end") as marks:
        for kill in range(KILLS):
            with subprocess.Popen(command("dlq", "redrive", "--all")) as run:
                deadline = time.monotonic() + PATIENCE_S
                while not marks.poll(0.01):
                    assert time.monotonic() < deadline
                # A transaction takes some tens of milliseconds: met at another point each time.
                time.sleep(kill / 100)
                run.kill()
            # Those of this run that nobody waited for.
            list(marks.rest())
    there = len(sent(settings))
    assert 0 < there < MANY
    done = sentiment("dlq", "redrive", "--all")
    assert done.returncode == 0, done.stderr
    assert [r.value() for r in records(settings, settings.topics.events)] == values


@pytest.mark.parametrize("committed", [True, False])
def test_an_open_transaction_of_a_dead_run_is_decided_first(
    settings: Settings, *, committed: bool
) -> None:
    """What a killed run has sent but not committed is sent; what it has committed is not."""
    values = sorted(event(number) for number in range(4))
    bury(settings, values)
    # The dead run: it has sent records and marks, which stand on the topics.
    left = clients.new_producer(settings.kafka, transactional_id=settings.topics.redriven)
    left.init_transactions(30)
    left.begin_transaction()
    topic = topics.identity(settings.kafka, settings.topics.dead_letters).id
    for offset, value in enumerate(values):
        left.produce(settings.topics.events, value, partition=0)
        left.produce(settings.topics.redriven, _mark(topic, offset))
    assert left.flush(30) == 0
    if committed:
        left.commit_transaction(30)
    done = sentiment("dlq", "redrive", "--all")
    assert done.returncode == 0, done.stderr
    assert sent(settings) == values


def test_of_two_at_once_the_older_is_fenced(settings: Settings, tmp_path: Path) -> None:
    """A run that began earlier ends with code 3, sends nothing of its own, and says why."""
    values = sorted(event(number) for number in range(3))
    bury(settings, values)
    begun, go = tmp_path / "begun", tmp_path / "go"
    wait = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.05; done; cat"
    with subprocess.Popen(
        command("dlq", "redrive", "--all", "--through", wait, "--time-limit", "60"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as older:  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while not begun.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        newer = sentiment("dlq", "redrive", "--all")
        go.touch()
        out, complaint = older.communicate(timeout=PATIENCE_S)
    assert (newer.returncode, newer.stdout) == (0, "Redriven: 3.\n")
    assert (older.returncode, out) == (3, "Redriven: 0.\n"), complaint
    assert "takes over" in complaint
    assert "Traceback" not in complaint
    assert sent(settings) == values


def test_whoever_has_read_the_marks_is_fenced_by_those_who_begin_after(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole run of another between reading the marks and sending: fenced, and none is doubled."""
    values = sorted(event(number) for number in range(3))
    bury(settings, values)
    enter = Scan.__enter__

    def meanwhile(scan: Scan) -> Scan:
        # Nothing but luck would bring another run into this moment.
        assert sentiment("dlq", "redrive", "--all").stdout == "Redriven: 3.\n"
        return enter(scan)

    monkeypatch.setattr(Scan, "__enter__", meanwhile)
    done = CliRunner().invoke(dlq, ["redrive", "--all"])
    assert isinstance(done.exception, FencedError)
    assert sent(settings) == values


def test_a_topic_made_anew_has_no_marks(settings: Settings) -> None:
    """Marks of an earlier topic of the same name don't count for the letters of this one."""
    bury(settings, [event(0)])
    producer = clients.new_producer(settings.kafka)
    producer.produce(settings.topics.redriven, _mark("of-another-topic", 0))
    producer.produce(settings.topics.redriven, b"no mark at all")
    assert producer.flush(30) == 0
    assert [said["redriven"] for said in listed()] == [False]
    done = sentiment("dlq", "redrive", "--all")
    assert done.stdout == "Redriven: 1.\n"
    assert "not a mark" in done.stderr


def test_a_lost_partition_s_letters_go_by_their_key(settings: Settings) -> None:
    """Where the events topic has fewer partitions now, the key decides: one key, one place."""
    place = {wire.ERROR_TOPIC: settings.topics.events.encode(), wire.ERROR_PARTITION: b"9",
             wire.ERROR_OFFSET: b"0"}  # fmt: skip
    bury(settings, [event(1)] * 3, headers=list(place.items()))
    assert sentiment("dlq", "redrive", "--all").returncode == 0
    back = records(settings, settings.topics.events)
    assert len(back) == 3
    assert len({record.partition() for record in back}) == 1


def _mark(topic: str, offset: int) -> bytes:
    return json.dumps({
        "topic_id": topic, "partition": 0, "offset": offset, "attempt": 1, "mended": False,
        "redriven_at": "2026-01-31T08:00:00Z",
    }).encode()  # fmt: skip
