"""Work on what others wrote, in a process of its own with limits: `run` calls a function there.

A model's files may be made so that reading them takes all memory, never ends, or crashes native
code. Here that ends one child process, and its caller gets a sentence. As libraries take seconds to
import, a server forks the children: a process that has imported what they need, has seen nothing of
what others wrote, and ends soon after its last one.
"""

import atexit
import importlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from sentiment import errors
from sentiment.errors import SentimentError, SetupError

# Of a reason that is passed on: it may quote its input. A sentence has a tenth of it.
MOST_REASON = 500
# Of an answer: a reason or a few names.
_MOST_ANSWER = 65_536
# A call begins with so many bytes of its length, and has two descriptors and a few files.
_LENGTH, _MOST_FILES = 4, 8
# Pools of threads of the libraries that count.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


class Limits(NamedTuple):
    """What a child may take."""

    memory: int  # bytes of its data, beside the libraries that the server has imported
    cpu_s: int  # time of a processor
    file: int  # bytes of each file that it writes
    wall_s: float  # altogether


class Call(NamedTuple):
    """What a server is asked for; descriptors go with it: where the answer goes, and `files`."""

    function: str
    arguments: list[str]
    limits: Limits
    preload: list[str]
    path: list[str]
    folder: str
    environment: dict[str, str]


class BrokenLimitError(Exception):
    """A child broke a limit or crashed; the message says which."""


def run(
    function: str,
    arguments: Sequence[str],
    limits: Limits,
    *,
    files: Sequence[int] = (),
    preload: Sequence[str] = (),
) -> Any:  # noqa: ANN401 - whatever the function gives
    """Call `package.module:name`, which takes strings and gives JSON, in a child process.

    It is given descriptors of files too; their numbers there are its last arguments. The modules to
    preload are imported outside of the limits, and once for calls that come soon after one another.

    Raises:
        BrokenLimitError: It broke a limit, crashed, or raised what is no `SentimentError`.
        SentimentError: It raised this.
        SetupError: No further process can be started on this machine.
    """
    environment = dict(os.environ)
    call = Call(
        function, list(arguments), limits, list(preload), _path(), str(Path.cwd()), environment
    )
    # A server that ends just now takes the call with it, and answers nothing.
    for _ in range(2):
        # The child ends when this pipe does, and so with us, however we end.
        theirs, ours = os.pipe()
        answer_end, write_end = os.pipe()
        try:
            try:
                _server.ask(call, [write_end, theirs, *files])
            except OSError as error:
                raise SetupError(
                    f"No process can be started to look at a model: {error}",
                    "See how many processes and how much memory this machine allows.",
                ) from error
            finally:
                os.close(theirs)
                os.close(write_end)
            if found := _read_answer(answer_end, limits.wall_s):
                return answered(*found, limits)
        finally:
            os.close(answer_end)
            os.close(ours)
    raise BrokenLimitError("the process that looks at models ended without a word")


def _path() -> list[str]:
    """Where modules are found; an empty entry is the folder that we are in."""
    return [path or str(Path.cwd()) for path in sys.path]


def _read_answer(answer_end: int, wall_s: float) -> tuple[int, bytes] | None:
    """A child's code, as `subprocess` gives it, and the beginning of what it wrote.

    None where no child was ever started; a `BrokenLimitError` where it took too long.
    """
    written, last = b"", b""
    deadline = time.monotonic() + wall_s
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([answer_end], [], [], left)[0]:
            if group := written.partition(b"\n")[0]:
                with suppress(OSError):
                    os.killpg(int(group), signal.SIGKILL)
            raise BrokenLimitError(f"it took more than {wall_s:.0f} s")
        if not (data := os.read(answer_end, _MOST_ANSWER)):
            break
        if len(written) < _MOST_ANSWER:
            written += data
        last = (last + data)[-16:]
    _, _, answer = written.partition(b"\n")
    code = last.rpartition(b"\n")[2]
    if not code:
        return None
    return int(code), answer.partition(b"\n")[0]


class _Server:
    """The process that forks children, started when it is needed and ended when it isn't."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, call: Call, descriptors: Sequence[int]) -> None:
        """Have a child started; an `OSError` where there is no server, and none can be started."""
        with self._lock:
            # A fork of our own has our server's socket, and no say in it.
            if self._socket is None or self._owner != os.getpid():
                self._start()
            try:
                self._send(call, descriptors)
            except (BrokenPipeError, ConnectionResetError):
                self._start()
                self._send(call, descriptors)

    def end(self) -> None:
        """End it; children that are at work end too."""
        if self._socket is not None and self._process and self._owner == os.getpid():
            self._socket.close()
            try:
                # It sees at once that nobody asks any more, unless it is importing just then.
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _start(self) -> None:
        if self._owner == os.getpid():
            self.end()
        self._owner = os.getpid()
        self._socket, theirs = socket.socketpair()
        # One thread each: pools for all processors of a large machine would count as memory in use,
        # and a process with threads can't be forked. Modules are those of ours, see `Call.path`.
        environment = {
            **os.environ,
            **dict.fromkeys(_THREADS, "1"),
            "PYTHONPATH": os.pathsep.join(_path()),
        }
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-P", "-m", "sentiment.limited", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment, pass_fds=[theirs.fileno()], process_group=0,
            )  # fmt: skip
        # It ends by itself; unless its exit code is read here, it would stay a zombie process.
        threading.Thread(target=self._process.wait, name="fork server", daemon=True).start()

    def _send(self, call: Call, descriptors: Sequence[int]) -> None:
        assert self._socket is not None  # noqa: S101 - `_start` was called
        message = json.dumps(call).encode()
        socket.send_fds(self._socket, [len(message).to_bytes(_LENGTH)], descriptors)
        self._socket.sendall(message)


_server = _Server()
atexit.register(_server.end)


def answered(code: int, written: bytes, limits: Limits) -> Any:  # noqa: ANN401 - as above
    """What a child's answer means, by its code as `subprocess` gives it; raises as `run` does."""
    try:
        kind, value = json.loads(written[:_MOST_ANSWER])
    except (ValueError, TypeError, RecursionError):
        told = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise BrokenLimitError(
            f"it ended the process that looked at it ({told}; allowed are"
            f" {limits.memory >> 20} MiB and {limits.cpu_s} s of a processor)"
        ) from None
    if kind == "broken":
        raise BrokenLimitError(value)
    if kind != "done":
        raise getattr(errors, kind)(*value)
    return value


def read(path: Path, most: int) -> bytes:
    """A file of at most so many bytes; a `ValueError` where it is larger."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path.name} has more than {most >> 10} KiB")
    return content


def one_line(reason: object) -> str:
    """The part of a reason that may be passed on: one line, of bounded length."""
    text = " ".join(str(reason)[:MOST_REASON].split())
    return text if len(text) < MOST_REASON else f"{text} …"


def _limit(limits: Limits) -> None:
    in_use = 0
    # Where the system tells it.
    with suppress(OSError, IndexError):
        status = Path("/proc/self/status").read_text()
        in_use = int(status.partition("VmData:")[2].split()[0]) << 10
    wanted = (
        (resource.RLIMIT_DATA, in_use + limits.memory),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, value in wanted:
        # What the process was started with may be less, and a system may not know a kind.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def answer(limits: Limits, function: str, *arguments: str) -> NoReturn:
    """Be the child: call the function within limits, write what came of it, and end."""
    _limit(limits)
    module, _, name = function.partition(":")
    told: tuple[str, Any]
    try:
        told = "done", getattr(importlib.import_module(module), name)(*arguments)
    except SentimentError as error:
        told = type(error).__name__, [one_line(error.message), error.hint]
    except MemoryError:
        told = "broken", f"it takes more than {limits.memory >> 20} MiB of memory"
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent gets it
        told = "broken", one_line(f"{type(error).__name__}: {error}")
    os.write(1, json.dumps(told).encode())
    # At once: nothing else of this process is of use.
    os._exit(0)


def serve(asked: socket.socket) -> None:
    """Be the server: fork a child for each call, until nobody asks any more."""
    # Children of ours are nobody's business but their own.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # One version's download and check are as far apart; else a worker calls but some times a day.
    asked.settimeout(10)
    while True:
        try:
            length, descriptors, _, _ = socket.recv_fds(asked, _LENGTH, _MOST_FILES)
            message = b""
            while length and len(message) < int.from_bytes(length):
                if not (data := asked.recv(int.from_bytes(length) - len(message))):
                    return
                message += data
        except TimeoutError:
            return
        if not length:
            return
        call = Call(*json.loads(message))
        sys.path[:] = call.path
        for module in call.preload:
            # The child reports what is missing.
            with suppress(Exception):
                importlib.import_module(module)
        if os.fork() == 0:
            asked.close()
            _watch(call, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watch(call: Call, write_end: int, alive: int, *files: int) -> NoReturn:
    """Start the child, and report how it ended; both are a process group of their own."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.write(write_end, b"%d\n" % os.getpid())
    child = os.fork()
    if child == 0:
        os.dup2(write_end, 1)
        threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
        os.environ.clear()
        os.environ.update(call.environment, **dict.fromkeys(_THREADS, "1"))
        os.chdir(call.folder)
        answer(Limits(*call.limits), call.function, *call.arguments, *map(str, files))
    _, status = os.waitpid(child, 0)
    os.write(write_end, b"\n%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _end_with(alive: int) -> None:
    """End when the caller's process does: nothing is ever written to this pipe."""
    os.read(alive, 1)
    os._exit(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    # Taking apart all that it imported would be a quarter of a second of a processor.
    os._exit(0)
