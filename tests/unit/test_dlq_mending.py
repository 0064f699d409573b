"""Claims about the operator's mending command."""

import time
from pathlib import Path

import psutil
import pytest

from sentiment.dead_letters import command as dead_letters_command
from sentiment.dead_letters.command import MendingError, mend

# Far above what any command here takes on a busy machine.
PATIENCE_S = 60.0


def test_every_byte_goes_in_and_comes_out() -> None:
    """Any bytes pass unchanged, also more than a pipe holds; one line feed at the end is cut."""
    value = bytes(range(256)) * 4000
    assert mend("cat", value, PATIENCE_S) == value
    assert mend("cat", b"a\n\n", PATIENCE_S) == b"a\n"


def test_it_is_a_shell_s_command_line() -> None:
    """Pipelines work, and a command that reads nothing does too."""
    assert mend("tr a-z A-Z | sed s/BODY/text/", b'{"body"}', PATIENCE_S) == b'{"text"}'
    assert mend("echo new", b"x" * 1_000_000, PATIENCE_S) == b"new"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo half; echo 'no: such field' >&2; exit 5", "ended with code 5: no: such field"),
        ("exit 1", "ended with code 1$"),
        ("cat; kill -9 $$", "killed by signal 9"),
        ("no-such-command-here", "ended with code 127"),
        ("true", "wrote nothing"),
        ("echo", "wrote nothing"),
    ],
)
def test_failures_are_told(command: str, reason: str) -> None:
    """An exit code other than 0, a signal, no output: each is named, with its first complaint."""
    with pytest.raises(MendingError, match=reason):
        mend(command, b"x", PATIENCE_S)


def test_a_command_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    """At the limit the shell and what runs beneath it are killed, though they hold the pipe."""
    pids = tmp_path / "pids"
    command = f"sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; cat; wait"
    with pytest.raises(MendingError, match=r"longer than 0\.3 s"):
        mend(command, b"x", 0.3)
    deadline = time.monotonic() + PATIENCE_S
    for pid in map(int, pids.read_text().split()):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"{pid} still runs"
            time.sleep(0.05)


def test_output_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that never stops writing is ended at the limit of bytes, not of memory."""
    monkeypatch.setattr(dead_letters_command, "MAX_OUTPUT", 100_000)
    with pytest.raises(MendingError, match="more than 100000 bytes"):
        mend("yes", b"", PATIENCE_S)
    assert len(mend("head -c 100000 /dev/zero", b"", PATIENCE_S)) == 100_000
