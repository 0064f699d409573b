"""Claims about Ctrl-C and SIGTERM, from a command's first moment on; each in real processes."""

import builtins
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import create_autospec

import psutil
import pytest

from local.process import free_ports
from producer.command import Plan, Run
from sentiment.kafka.producer import EventProducer
from tests.processes import python, run as run_to_end

# No broker listens there: the port is reserved.
NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_CONNECT_TIMEOUT_S": "2"}
# Python says each import when it has ended; what is imported after this one is imported by `run`.
FIRST = " sentiment.interrupts"
# Numbers of imports after which the signal is sent: from the first one to those that commands do in
# their midst. Those of a command that ends before are not sent.
MOMENTS = (1, 30, 440, 1300)
UNSHARE = shutil.which("unshare")


def run(
    arguments: Sequence[str],
    moment: int | str,
    environment: dict[str, str],
) -> tuple[int, str, bool]:
    """Run a command and send it a signal after so many imports, or when it says something.

    The signal is sent to the whole group of processes, as a terminal does.

    Returns:
        Exit code, standard error without the imports, and whether the signal was sent.
    """
    command = [sys.executable, "-X", "importtime", "-m", "sentiment", *arguments]
    seen, imports, sent, said = False, 0, False, []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **NOWHERE, **environment},
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            is_import = line.startswith("import time:")
            imports += seen and is_import
            seen = seen or (is_import and line.rstrip().endswith(FIRST))
            if not is_import:
                said.append(line)
            due = moment in line if isinstance(moment, str) else imports >= moment
            # It imports no more until somebody answers.
            due = due or '"waiting"' in line
            if due and not sent:
                sent = True
                os.killpg(process.pid, signal.SIGINT)
    return process.returncode, "".join(said), sent


def check_ending(code: int, said: str, *, sent: bool) -> None:
    """Interrupted with 130, or ended by itself in the meantime; never with a traceback."""
    assert "Traceback" not in said, said
    assert "Exception ignored" not in said, said
    if sent and "Error: " not in said:
        assert (code, "Interrupted." in said) == (130, True), said


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["topics"],
        ["produce", "a good film"],
        ["results", "--follow"],
        ["worker", "--http-port", "0"],
        ["trends"],
        ["dlq", "list"],
        ["models"],
        ["train"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_ctrl_c_while_a_command_imports(arguments: list[str], moment: int, tmp_path: Path) -> None:
    """At whatever import it comes: exit code 130, one word, no traceback."""
    registry = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MODEL_CACHE_DIR": str(tmp_path / "cache"),
    }
    code, said, sent = run(arguments, moment, registry)
    check_ending(code, said, sent=sent)


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_while_the_page_imports(moment: int) -> None:
    """The same of the page, which without an end of its own would run on: its port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said, sent = run(["web", "--port", port], moment, {})
    check_ending(code, said, sent=sent)


@pytest.mark.kafka
@pytest.mark.parametrize("moment", [30, 440, 700, "Starting Apache Kafka", "Starting the page"])
def test_ctrl_c_while_the_demo_starts(moment: int | str, tmp_path: Path) -> None:
    """The same of the demo, which leaves no process behind of what it had started."""
    [port] = free_ports(1)
    arguments = ["demo", "--headless", "--port", str(port), "--kafka-port", "0"]
    code, said, sent = run([*arguments, "--data-dir", str(tmp_path / "demo")], moment, {})
    assert sent
    check_ending(code, said, sent=sent)
    left = [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(one.info)]
    # One that was just being started ends by itself when it sees that the demo has.
    assert not psutil.wait_procs(left, timeout=60)[1]


def test_a_signal_that_is_ignored_stays_so() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored: it is another's."""
    code = "import signal, os; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(*{!r})"
    command = [sys.executable, "-m", "sentiment", "topics"]
    with subprocess.Popen(
        [sys.executable, "-c", code.format((sys.executable, command))],
        stderr=subprocess.PIPE, env={**os.environ, **NOWHERE, "LOG_FORMAT": "json"}, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        # It is being told that nobody listens there, and so beyond its imports.
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = first + process.stderr.read()
    assert process.returncode == 1
    assert "Error: No Kafka broker answers" in said


# Python could only print the interrupt, and go on.
CALLBACK = """
import signal, weakref
from sentiment import interrupts
class Thing: pass
def command():
    thing = Thing()
    kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    print('went on')
interrupts.run(command)
"""
IMPORT = "from sentiment import interrupts; interrupts.run(lambda: __import__('greedy'))"
# What a module catches while it is imported.
GREEDY = """
import signal
try:
    exec('signal.raise_signal(signal.SIGINT)')
except BaseException:
    print('went on')
"""


@pytest.mark.parametrize("code", [CALLBACK, IMPORT], ids=["callback", "module"])
def test_ctrl_c_that_is_swallowed_is_not_lost(code: str, tmp_path: Path) -> None:
    """Neither a callback nor a module that catches it keeps the command going."""
    (tmp_path / "greedy.py").write_text(GREEDY)
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "Interrupted."


UNDO = """
import time
from local.process import Stopping
stopping = Stopping()
try:
    import calm
    time.sleep(100)
except KeyboardInterrupt:
    print('undone', stopping.event.is_set())
"""


def test_what_is_being_started_is_undone_after_an_import(tmp_path: Path) -> None:
    """The demo, which has something to undo, is interrupted as soon as an import has ended."""
    calm = GREEDY.replace(
        "exec('signal.raise_signal(signal.SIGINT)')", "signal.raise_signal(signal.SIGINT)"
    )
    (tmp_path / "calm.py").write_text(calm)
    done = python("-c", UNDO, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "undone True\n", "")


def test_a_sender_ends_after_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`produce` sees the first Ctrl-C when the reader of a file has been imported, and raises none
    in it.
    """  # noqa: D205 - one claim
    sending = Run(Plan(), create_autospec(EventProducer, instance=True))
    vars(sending)["_reading"] = True
    with pytest.raises(KeyboardInterrupt):
        sending.interrupt(signal.SIGINT, None)
    (tmp_path / "reader.py").write_text("came()")
    monkeypatch.syspath_prepend(tmp_path)

    def came() -> None:
        sending.interrupt(signal.SIGINT, sys._getframe())  # noqa: SLF001 - as Python does it

    monkeypatch.setattr(builtins, "came", came, raising=False)
    importlib.import_module("reader")
    assert sending.interrupted


@pytest.mark.skipif(UNSHARE is None, reason="unshare is not installed")
@pytest.mark.parametrize("moment", [1, 250])
def test_the_first_process_of_a_container_hears_sigterm(moment: int) -> None:
    """Such a one has no default action for SIGTERM, and would go on for as long as it likes."""
    outside = [str(UNSHARE), "--map-root-user", "--pid", "--fork", "--kill-child"]
    if run_to_end(*outside, "true").returncode:
        pytest.skip("this machine lets nobody make a namespace of processes")
    program = [sys.executable, "-X", "importtime", "-m", "sentiment", "topics"]
    imports, seen = 0, False
    with subprocess.Popen(
        [*outside, *program], stderr=subprocess.PIPE, env={**os.environ, **NOWHERE}, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            imports += seen
            seen = seen or line.rstrip().endswith(FIRST)
            if imports >= moment:
                [inner] = psutil.Process(process.pid).children()
                inner.terminate()
                break
        said = process.stderr.read()
    assert process.returncode == 143
    assert "Traceback" not in said
