import json
import urllib.error

import pytest

from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.workers import WorkerProcess, send

# A worker whose scorer hangs: as Python code does, or as native code that keeps Python's lock.
PROGRAM = """
import ctypes, sys, time
from stream_worker import worker

def hanging_scorer(*arguments):
    {hang}

worker.answer = hanging_scorer
from sentiment.cli import main
sys.argv = ["sentiment", "worker"]
main()
"""


def stacks(worker: WorkerProcess) -> dict[str, list[str]]:
    """The calls of each thread in its log, by the thread's name."""
    lines = [json.loads(line) for line in worker.log.splitlines() if line.startswith("{")]
    return {line["thread"]: line["calls"] for line in lines if line["event"] == "stack"}


def test_a_stuck_worker_tells_what_it_is_stuck_in(
    settings: Settings, start_worker: StartWorker
) -> None:
    """A scorer that hangs is named in the log, once, with the other threads, and /livez fails."""
    program = PROGRAM.format(hang="time.sleep(3600)")
    worker = start_worker("-c", program, WORKER_STUCK_TIMEOUT_S="1")
    send(settings, [b'{"text":"a good film"}'])
    worker.wait_for_log("the loop is stuck")
    with pytest.raises(urllib.error.HTTPError) as caught:
        worker.get("/livez")
    with caught.value as answer:
        assert answer.code == 503
        assert b"no progress" in answer.read()
    worker.wait_for_log('"thread": "watchdog"')
    found = stacks(worker)
    assert found["MainThread"][0].startswith("hanging_scorer (")
    assert any(call.startswith("_advance (") for call in found["MainThread"])
    assert "watchdog" in found
    assert worker.log.count("the loop is stuck") == 1


def test_a_worker_stuck_in_native_code_tells_it_too(
    settings: Settings, start_worker: StartWorker
) -> None:
    """Where native code keeps Python's lock, so that no Python can run, the stacks still come."""
    program = PROGRAM.format(hang="ctypes.PyDLL(None).sleep(3600)")
    worker = start_worker("-c", program, WORKER_STUCK_TIMEOUT_S="1")
    send(settings, [b'{"text":"a good film"}'])
    worker.wait_for_log("in hanging_scorer")
    assert "the loop is stuck" not in worker.log
    with pytest.raises(TimeoutError):
        worker.get("/livez", timeout_s=2)
