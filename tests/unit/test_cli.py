import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from sentiment import apps, cli as module
from sentiment.cli import cli

COMMANDS = sorted(apps.commands())
# No broker listens there: the port is reserved.
NOWHERE = "127.0.0.1:1"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sentiment", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "KAFKA_CONNECT_TIMEOUT_S": "1", **environment},
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name: str) -> None:
    """Every command's `--help` exits with 0 and shows how the command is used."""
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Example" in result.output
    assert result.output.count(f"sentiment {name}") > 1, "an example besides the usage line"


def test_help_lists_every_command() -> None:
    """The first help names each command and says what it does."""
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    listed = [line.split() for line in result.output.partition("Commands:")[2].splitlines() if line]
    assert [words[0] for words in listed] == COMMANDS
    assert all(len(words) > 2 for words in listed)


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
    done = run(*arguments)
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
    done = run(*arguments, **environment)
    assert done.returncode == code
    assert done.stdout == ""
    error, hint = done.stderr.rstrip().splitlines()[-2:]
    assert error.startswith("Error: ")
    assert hint.startswith("  ")
    assert hint.strip()
    assert "Traceback" not in done.stderr


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed command whose app needs a library that isn't there."""
    app = apps.App(commands={"absent": "no_such_library.command:absent"})
    monkeypatch.setattr(apps, "installed", lambda: [app])


@pytest.mark.usefixtures("absent")
def test_missing_library_is_listed() -> None:
    """A command that can't be loaded doesn't take the help of the others with it."""
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    assert "absent  (not installed: needs no_such_library)" in result.output


@pytest.mark.usefixtures("absent")
def test_missing_library_is_an_error_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Using such a command says what to install."""
    monkeypatch.setattr(sys, "argv", ["sentiment", "absent", "--loud"])
    monkeypatch.setattr("sentiment.logs.configure", lambda: None)
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "'no_such_library'" in told
    assert "pip install" in told


def test_interrupt_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in a command without an ending of its own is no traceback."""

    @click.command()
    def sleep() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Commands, "get_command", lambda *_: sleep)
    monkeypatch.setattr("sentiment.logs.configure", lambda: None)
    monkeypatch.setattr(sys, "argv", ["sentiment", "sleep"])
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 130
    assert "Interrupted" in capsys.readouterr().err


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
