"""Claims about commands as processes: exit codes, sentences, and what they load."""

import os
import subprocess
import sys

import pytest

from tests.integration.commands import sentiment

# No broker listens there: the port is reserved.
NOWHERE = "127.0.0.1:1"


def test_help_is_light() -> None:
    """Asking for help loads no library of models, data frames or web pages."""
    heavy = "{'flask', 'jgo', 'mlflow', 'numpy', 'pandas', 'pyarrow', 'scipy', 'skops', 'sklearn'}"
    code = (
        "import sys; from sentiment.cli import cli; cli(['--help'], standalone_mode=False);"
        f"sys.exit(str(sorted({heavy} & set(sys.modules)) or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, text=True, timeout=60
    )
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("arguments", [["sing"], ["topics", "--loud"], ["results", "--limit", "0"]])
def test_wrong_use_exits_with_2(arguments: list[str]) -> None:
    """Unknown commands, options and values end with 2 and a sentence on standard error."""
    done = sentiment(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (["topics", "--bootstrap-servers", NOWHERE], {}, 1),
        (["results", "--bootstrap-servers", NOWHERE], {}, 1),
        (["produce", "--bootstrap-servers", NOWHERE, "good"], {}, 1),
        (["results", "--since", "yesterday"], {}, 2),
        (["topics"], {"KAFKA_SECURITY_PROTOCOL": "TLS"}, 2),
        (["topics"], {"LOG_LEVEL": "LOUD"}, 2),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list | dict) else None,
)
def test_errors_are_sentences(arguments: list[str], environment: dict[str, str], code: int) -> None:
    """A failure is one sentence and a hint, with its own exit code and never a traceback."""
    done = sentiment(*arguments, KAFKA_CONNECT_TIMEOUT_S="1", **environment)
    assert done.returncode == code
    assert done.stdout == ""
    error, hint = done.stderr.rstrip().splitlines()[-2:]
    assert error.startswith("Error: ")
    assert hint.startswith("  ")
    assert hint.strip()
    assert "Traceback" not in done.stderr


def test_closed_pipe_is_no_failure() -> None:
    """A reader that has enough, as `head` has, ends the command quietly with 0."""
    read, write = os.pipe()
    os.close(read)
    code = (
        "import click, sys; from sentiment import cli;"
        "cli.Commands.get_command = lambda *_: click.Command('x', callback=lambda: print('y'));"
        "sys.argv = ['sentiment', 'x']; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
