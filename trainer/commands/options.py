"""What the stages' commands have in common."""

from pathlib import Path

import click

from trainer import layout

FOLDER = click.Path(path_type=Path)

params = click.option(
    "--params",
    "file",
    type=FOLDER,
    default=Path("params.yaml"),
    show_default=True,
    help="The file with the knobs.",
)
data = click.option(
    "--data",
    type=FOLDER,
    default=layout.PREPARED,
    show_default=True,
    help="Folder with the tables that `sentiment preprocess` made.",
)
raw = click.option(
    "--raw",
    type=FOLDER,
    default=layout.RAW,
    show_default=True,
    help="Folder with what `sentiment ingest` made.",
)
name = click.option("--name", default="sentiment", show_default=True, help="Name in the registry.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def say(line: str) -> None:
    """Tell of progress, beside the results."""
    click.echo(line, err=True)
