"""Child processes that end with their parent, whatever ends it."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# From Linux' <sys/prctl.h>; other systems have no such call, and there a killed parent leaves
# its children to whoever started it.
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

# Enough of a log to hold a stack trace, short enough to be read.
TAIL_LINES = 15


def start(
    command: Sequence[str],
    log: Path,
    when_parent_dies: signal.Signals = signal.SIGTERM,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child; call it from the main thread, whose end counts as the parent's.

    Args:
        command: Program and arguments.
        log: Where its output goes; begun anew.
        when_parent_dies: What the child receives when we are gone, even by `kill -9`.
        folder: Where it runs; by default where we do.
        environment: What it has beside our own environment.

    Returns:
        The child, in a session of its own: Ctrl-C on the terminal reaches us first.
    """
    parent = os.getpid()

    def tether() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, when_parent_dies)
        if os.getppid() != parent:
            # The parent died before the tether held.
            os._exit(1)

    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own commands
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=os.environ | (environment or {}),
            start_new_session=True,
            preexec_fn=tether,  # noqa: PLW1509 - nothing else can set the death signal in time
        )


def stop(processes: Sequence[subprocess.Popen[bytes]], timeout_s: float) -> None:
    """End children together: SIGTERM, and SIGKILL for those that are still there at the end.

    Args:
        processes: The children; those that have ended already are no error.
        timeout_s: How long all of them together may take, in seconds.
    """
    deadline = time.monotonic() + timeout_s
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            # With what it has started itself: each leads a session of its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def tail(log: Path) -> str:
    """The last lines of a log, for the sentence that says why its writer died."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-TAIL_LINES:])
