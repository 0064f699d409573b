"""Candidates as processes, which end with their block and leave nothing behind."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from local import process

# Above a worker's own time for the open batch, so that its end is a clean one.
STOP_S = 20.0
# As much of a log as has the last traceback in it.
TAIL = 2000


class CandidateError(Exception):
    """A candidate doesn't work.

    Args:
        why: A sentence.
        log: How its log ends.
    """

    def __init__(self, why: str, log: str) -> None:
        super().__init__(f"{why}; its log ends:\n{log}")
        lines = log.strip().splitlines()
        self.reason = f"{why}: {lines[-1]}" if lines else why


@contextmanager
def running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A candidate's process, ended with the block.

    Args:
        command: Program and arguments.
        folder: Where it runs and leaves its log; made if missing.
        environment: What it has beside our own environment.

    Raises:
        CandidateError: It did nothing within a limit of time that the block has set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    started = process.start(command, log, folder=folder, environment=environment)
    try:
        yield psutil.Process(started.pid)
    except TimeoutError as error:
        raise CandidateError(str(error), log.read_text(errors="replace")[-TAIL:]) from error
    finally:
        process.stop([started], STOP_S)
        # What it has started itself, where it ended without it.
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


def own(module: str, *arguments: str) -> list[str]:
    """The command of a module in our own environment."""
    return [sys.executable, "-m", module, *arguments]
