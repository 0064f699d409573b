import sys

import click
import pytest
from click.testing import CliRunner

from sentiment import apps, cli as module
from sentiment.cli import cli

COMMANDS = sorted(apps.commands())


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
