"""The `sentiment` command: the subcommands of all apps; turns errors into sentences."""

import os
import pkgutil
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from sentiment import apps, logs
from sentiment.errors import SentimentError, SettingsError, SetupError


class Commands(click.Group):
    """A group whose subcommands are those that the installed apps register."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the installed subcommands."""
        del ctx
        return sorted(apps.commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one subcommand; where its app is broken or lacks a library, one that says so."""
        del ctx
        place = apps.commands().get(cmd_name)
        if place is None:
            return None
        try:
            command: click.Command = pkgutil.resolve_name(place)
        except ModuleNotFoundError as error:
            return _unavailable(cmd_name, error, f"not installed: needs {error.name}")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others work
            kind = type(error).__name__
            told = SetupError(
                f"The command {cmd_name!r} is broken: {place} can't be loaded: {kind}: {error}.",
                "Install its app anew, or a version of it that fits.",
            )
            return _unavailable(cmd_name, told, f"broken: {kind}")
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - the base class's signature
        """Run the subcommand; a reader of our output that has enough (`head`) is no failure."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes standard output once more at its exit: something has to take it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code


def _unavailable(name: str, error: Exception, why: str) -> click.Command:
    """A subcommand that can't be loaded: listed in `--help`, an error when it is used."""

    def refuse() -> None:
        raise error

    return click.Command(
        name,
        callback=refuse,
        short_help=f"({why})",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sentiment-stream")
def cli() -> None:
    """Streaming sentiment classification on Apache Kafka, exactly once.

    \b
    Try it:    sentiment demo
    Run parts: sentiment kafka, topics, worker, web
    Use it:    sentiment produce, results, classify, dlq, replay
    Models:    sentiment ingest, preprocess, train, evaluate, release, register, promote

    Settings come from the environment; docs/operations.md lists each one.
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed (or the error's own), 2 wrong use."""
    try:
        logs.configure()
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Abort:
        # Ctrl-C where a command has no ending of its own; 130 is the shell's code for SIGINT.
        click.echo("Interrupted.", err=True)
        code = 130
    except ModuleNotFoundError as error:
        told = f"This command needs the Python module {error.name!r}, which is not installed."
        hint = "Install the extra for it, for example: pip install 'sentiment-stream[demo]'"
        code = fail(SettingsError(told, hint))
    except SentimentError as error:
        code = fail(error)
    sys.exit(code)


def fail(error: SentimentError) -> int:
    """Print an error for a person and return its exit code."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return error.exit_code


log = logs.get(__name__)

# Often enough to look alive, rarely enough to be read; a log is read afterwards.
TERMINAL_INTERVAL_S, LOG_INTERVAL_S = 0.2, 5.0


class Progress:
    """How far a command has come: a line that is written over on a terminal; log lines elsewhere.

    `total` is how many there are, if known, and `begun` how many of them an earlier start has done.
    `say` is told the lines, where neither the terminal nor the log shall have them.
    """

    def __init__(
        self,
        total: int | None = None,
        begun: int = 0,
        what: str = "events",
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._total = total
        self._begun = begun
        self._what = what
        self._say = say
        self._terminal = say is None and sys.stderr.isatty()
        self._started = self._last = time.monotonic()

    def update(self, done: int, share: float | None = None) -> None:
        """Say how many are done, with a share of 1 where `total` doesn't tell; not too often."""
        now = time.monotonic()
        if now - self._last < (TERMINAL_INTERVAL_S if self._terminal else LOG_INTERVAL_S):
            return
        self._last = now
        rate = (done - self._begun) / (now - self._started)
        if self._total:
            share = done / self._total
        percent = None if share is None else round(100 * share)
        left_s = round((self._total - done) / rate) if self._total and rate else None
        if not self._terminal and not self._say:
            known = {} if self._total is None else {"of": self._total, "seconds_left": left_s}
            log.info("progress", sent=done, rate=round(rate), percent=percent, **known)
            return
        of = f" of {self._total:,}" if self._total else ""
        line = f"{done:,}{of} {self._what}, {rate:,.0f} per second"
        line += "" if percent is None else f", {percent} %"
        line += "" if left_s is None else f", {timedelta(seconds=left_s)} left"
        if self._say:
            self._say(line)
        else:
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)

    def clear(self) -> None:
        """Clear the line before the summary is printed."""
        if self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
