"""A command of the operator's that turns a dead letter's value into one that can be classified.

One process per dead letter, which reads the value on standard input and writes the mended one on
standard output. A stream of lines through one process would be faster, but a value may be any
bytes, line ends and broken UTF-8 among them, and a failure has to be that of one letter.
"""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO

from sentiment.dlq.redriving import LeftError

# Twice what any of our producers can send (`message.max.bytes`): a command that never stops
# writing is ended here instead of filling the memory.
MAX_OUTPUT = 4 * 1024 * 1024
# The line in which a command says why it failed, and not its whole output.
MAX_COMPLAINT = 200


class MendingError(LeftError):
    """The command gave no mended value; the text says why."""


def mend(command: str, value: bytes, limit_s: float) -> bytes:
    """Send a value through a shell's command line.

    Args:
        command: The command line; `/bin/sh` runs it, so that it may be a pipeline.
        value: What it reads.
        limit_s: It is killed after this long, with all that it has started; in seconds.

    Returns:
        What it wrote, without the line feed at the end.

    Raises:
        MendingError: It failed, wrote nothing or too much, or took too long.
    """
    # Files, as a command may write before it has read, or never read at all.
    with TemporaryFile() as given, TemporaryFile() as complaints:
        given.write(value)
        given.seek(0)
        with subprocess.Popen(  # noqa: S603 - the operator's own command line
            ["/bin/sh", "-c", command],
            stdin=given, stdout=subprocess.PIPE, stderr=complaints, process_group=0,
        ) as process:  # fmt: skip
            mended, late = _output(process, limit_s)
        if late:
            raise MendingError(f"the command took longer than {limit_s:g} s")
        if len(mended) > MAX_OUTPUT:
            raise MendingError(f"the command wrote more than {MAX_OUTPUT} bytes")
        if process.returncode:
            complaint = _first_line(complaints)
            code = process.returncode
            ending = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            raise MendingError(f"the command {ending}{complaint and ': '}{complaint}")
        mended = mended.removesuffix(b"\n")
        if not mended:
            raise MendingError("the command wrote nothing")
        return mended


def _output(process: "subprocess.Popen[bytes]", limit_s: float) -> tuple[bytes, bool]:
    """What the process writes until it ends, and whether it had to be ended for being late."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(limit_s, end)
    timer.start()
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        mended = process.stdout.read(MAX_OUTPUT + 1)
        if len(mended) > MAX_OUTPUT:
            _kill(process)
        process.wait()
    except BaseException:
        _kill(process)
        raise
    finally:
        timer.cancel()
    return mended, late.is_set()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _first_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read(MAX_COMPLAINT).strip().splitlines()
    return lines[0].decode(errors="backslashreplace") if lines else ""
