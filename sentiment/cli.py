"""The `sentiment` command: finds subcommands by entry point, turns errors into sentences."""

import sys
from importlib.metadata import EntryPoint, entry_points

import click

from sentiment import logs
from sentiment.errors import SentimentError, SettingsError

ENTRY_POINTS = "sentiment.commands"


class Commands(click.Group):
    """A group whose subcommands are the entry points of `sentiment.commands`."""

    def _entry_points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=ENTRY_POINTS)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the installed subcommands."""
        del ctx
        return sorted(self._entry_points())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one subcommand; a missing library becomes an error with the extra to install."""
        del ctx
        point = self._entry_points().get(cmd_name)
        if point is None:
            return None
        command: click.Command = point.load()
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sentiment-stream")
def cli() -> None:
    """Streaming sentiment classification on Apache Kafka, exactly once.

    \b
    Try it:    sentiment demo
    Run parts: sentiment kafka, topics, worker, web
    Use it:    sentiment produce, results, classify

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
    except BrokenPipeError:
        # The reader (`head`, say) closed our output: nothing more to do, and nothing to say.
        sys.stderr.close()
        code = 0
    except ModuleNotFoundError as error:
        code = fail(
            SettingsError(
                f"This command needs the Python module {error.name!r}, which is not installed.",
                "Install the extra for it, for example: pip install 'sentiment-stream[demo]'",
            )
        )
    except SentimentError as error:
        code = fail(error)
    sys.exit(code)


def fail(error: SentimentError) -> int:
    """Print an error for a person and return its exit code."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return error.exit_code
