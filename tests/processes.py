"""Running programs to their end, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def run(
    *command: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    said: str | None = None,
    timeout: float = 600,
) -> "subprocess.CompletedProcess[str]":
    """What a program prints and how it ends; `said` is its input."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd, env=env, input=said, timeout=timeout, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip


def python(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> "subprocess.CompletedProcess[str]":
    """The same of a Python with these arguments, and `env` beside the test's own variables."""
    both = {**os.environ, **(env or {})}
    return run(sys.executable, *arguments, cwd=cwd, env=both, timeout=timeout)


def until(true: Callable[[], object], what: str, seconds: float = 60, pause_s: float = 0.1) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: It isn't in time.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it does not happen in {seconds:.0f} s that {what}")
        time.sleep(pause_s)
