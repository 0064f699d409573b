"""The `sentiment` command, and `python -m sentiment`: the same."""

from sentiment import interrupts


def main() -> None:
    """Run the command line; see `sentiment.cli`."""
    interrupts.run(_command)


def _command() -> None:
    from sentiment.cli import main as command

    command()


if __name__ == "__main__":
    main()
