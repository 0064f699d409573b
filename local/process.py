"""Child processes that end with their parent, whatever ends it."""

import ctypes
import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from sentiment.errors import SetupError
from sentiment.interrupts import importing

# From Linux' <sys/prctl.h>; elsewhere a killed parent leaves its children behind.
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
    """Start a child whose output goes to a log; with an environment beside our own.

    Call it from the main thread, with whose end, even by `kill -9`, it gets `when_parent_dies`. In
    its session of its own, Ctrl-C on the terminal reaches us first.
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
    """End children together: SIGTERM, and SIGKILL for those that are still there at the end."""
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


# After so long it is seen again whether an import has ended.
AGAIN_S = 0.05


class Stopping:
    """Watches both signals from its making on; make it in the main thread.

    Until `everything_runs`, the first signal interrupts what is being started, which then is
    undone. From there on, signals only set `event`; nothing interrupts the end itself.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._interrupts = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._seen)

    def everything_runs(self) -> None:
        """Signals wait for whoever looks at the event."""
        self._interrupts = False

    def _seen(self, number: int, frame: FrameType | None) -> None:
        self.event.set()
        if self._interrupts and importing(frame):
            # An exception might be lost there, and what has been started must be undone.
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), number)).start()
        elif self._interrupts:
            self._interrupts = False
            raise KeyboardInterrupt


# Ports of this machine. Loopback only: nothing here asks who is there.
HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Different ports that nobody has at this moment."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        # All are held until the last one is found, so that none is given twice.
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port() -> int:
    """A port that nobody has at this moment."""
    return free_ports(1)[0]


def require_free_port(port: int, option: str = "--port") -> None:
    """Raise a `SetupError` when a port can't be had; the option chooses another one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is in use by another program" if taken else os.strerror(error.errno or 0)
            raise SetupError(
                f"Port {port} {reason}." if taken else f"Port {port} can't be opened: {reason}.",
                f"Choose another port with {option}"
                + (", or stop that program." if taken else "."),
            ) from None


# Kafka's own files take a few; the rest is for what is sent. Below it, brokers die in mid-work.
FREE_MB = 200


def lock(folder: Path, brokers: int) -> IO[str]:
    """Take a folder of brokers' data until the returned file is closed, or a `SetupError`."""
    with stored(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    with ExitStack() as stack:
        stack.callback(file.close)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                f"Another local Kafka runs on the data in {folder}.",
                "Stop it, or choose another folder with --data-dir.",
            ) from None
        require_space(folder)
        there = len(list(folder.glob("broker-*")))
        if there not in {0, brokers}:
            raise SetupError(
                f"The data in {folder} is that of {there} brokers, not of {brokers}.",
                f"Say --brokers {there}, or choose another folder with --data-dir.",
            )
        with stored(folder):
            for number in range(brokers):
                (folder / f"broker-{number}").mkdir(exist_ok=True)
        stack.pop_all()
    return file


@contextmanager
def stored(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder that is not ours into a sentence."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"Data can't be stored in {folder}: {error.strerror}.",
            "Make room, or choose another folder with --data-dir.",
        ) from None


def require_space(folder: Path) -> None:
    """Raise a `SetupError` when the disk is as good as full."""
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < FREE_MB:
        raise SetupError(
            f"Only {free_mb} MB are free in {folder}; at least {FREE_MB} are needed.",
            "Make room, or choose another folder with --data-dir.",
        )
