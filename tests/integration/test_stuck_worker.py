import json
import time
import urllib.error

import pytest

from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.workers import PATIENCE_S, WorkerProcess, read_results, send

# A worker whose scorer hangs at its second batch: as Python code does, or as native code that keeps
# Python's lock. At the first one the watchdog may not have looked yet.
PROGRAM = """
import ctypes, itertools, sys, time
from stream_worker import worker

calls, scorer = itertools.count(), worker.answer

def hanging_scorer(*arguments):
    if next(calls):
        {hang}
    return scorer(*arguments)

worker.answer = hanging_scorer
from sentiment.cli import main
sys.argv = ["sentiment", "worker"]
main()
"""


# On a busy machine a worker that works may stand still for longer. What is told of that, before the
# scorer hangs, is no matter here.
STUCK_S = "3"
GOOD = b'{"text":"a good film"}'


def reports(worker: WorkerProcess) -> list[dict[str, list[str]]]:
    """What each complaint says: the calls of each thread, by the thread's name."""
    found: list[dict[str, list[str]]] = []
    # The last line may be half written.
    whole = [line for line in worker.log.splitlines(keepends=True) if line.endswith("}\n")]
    for entry in (json.loads(line) for line in whole if line.startswith("{")):
        if entry["event"].startswith("the loop is stuck"):
            found.append({})
        elif entry["event"] == "stack":
            found[-1][entry["thread"]] = entry["calls"]
    return found


def of_the_scorer(worker: WorkerProcess) -> list[dict[str, list[str]]]:
    """The complaints that name the scorer."""
    return [
        report
        for report in reports(worker)
        if any(calls[0].startswith("hanging_scorer (") for calls in report.values())
    ]


def test_a_stuck_worker_tells_what_it_is_stuck_in(
    settings: Settings, start_worker: StartWorker
) -> None:
    """A scorer that hangs is named in the log, once, with the other threads, and /livez fails."""
    program = PROGRAM.format(hang="time.sleep(3600)")
    worker = start_worker("-c", program, WORKER_STUCK_TIMEOUT_S=STUCK_S)
    send(settings, [GOOD])
    read_results(settings, 1)
    send(settings, [GOOD])
    deadline = time.monotonic() + PATIENCE_S
    # The watchdog's own thread is one of those that it tells of.
    while not any("watchdog" in report for report in of_the_scorer(worker)):
        assert time.monotonic() < deadline, worker.log
        time.sleep(0.1)
    with pytest.raises(urllib.error.HTTPError) as caught:
        worker.get("/livez")
    with caught.value as answer:
        assert answer.code == 503
        assert b"no progress" in answer.read()
    (found,) = of_the_scorer(worker)
    assert found["MainThread"][0].startswith("hanging_scorer (")
    assert any(call.startswith("_advance (") for call in found["MainThread"])


def test_a_worker_stuck_in_native_code_tells_it_too(
    settings: Settings, start_worker: StartWorker
) -> None:
    """Where native code keeps Python's lock, so that no Python can run, the stacks still come."""
    program = PROGRAM.format(hang="ctypes.PyDLL(None).sleep(3600)")
    worker = start_worker("-c", program, WORKER_STUCK_TIMEOUT_S=STUCK_S)
    send(settings, [GOOD])
    read_results(settings, 1)
    send(settings, [GOOD])
    # As `faulthandler` writes it; a complaint of Python's own would have brackets.
    worker.wait_for_log("in hanging_scorer")
    assert not of_the_scorer(worker)
    with pytest.raises(TimeoutError):
        worker.get("/livez", timeout_s=2)
