"""The commands `sentiment train` and `sentiment release`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_FOLDER = click.Path(path_type=Path)


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both commands have."""
    command = click.option(
        "--data",
        type=_FOLDER,
        default=Path("data/prepared"),
        show_default=True,
        help="Folder with the tables that `sentiment preprocess` made.",
    )(command)
    return click.option(
        "--params",
        "file",
        type=_FOLDER,
        default=Path("params.yaml"),
        show_default=True,
        help="The file with the knobs.",
    )(command)


@click.command()
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@_shared
@click.option(
    "--output",
    "-o",
    type=_FOLDER,
    default=Path("models"),
    show_default=True,
    help="Folder for the models, a directory each; one that is there is replaced whole.",
)
def train(*, names: tuple[str, ...], file: Path, data: Path, output: Path) -> None:
    """Fit candidates on the training texts, and save each as an MLflow model directory.

    NAMEs are candidates of the parameters' file; without any, all of them are fitted. The same
    texts and parameters give the same bytes. Paths of the directories go to standard output.

    \b
    Examples:
      sentiment train
      sentiment train champion
      sentiment train champion --params other.yaml -o /tmp/models
    """  # noqa: D301 - click wants the backslash
    from trainer import params, tables
    from trainer.train import train as run

    knobs = params.read(file)
    frame = tables.read(data / "train.parquet", "preprocess")
    for name in names or knobs.candidates:
        click.echo(run(name, knobs, frame, output, lambda line: click.echo(line, err=True)))


@click.command()
@_shared
@click.option(
    "--raw",
    type=_FOLDER,
    default=Path("data/raw"),
    show_default=True,
    help="Folder with the report of `sentiment ingest`.",
)
@click.option(
    "--evaluation",
    type=_FOLDER,
    default=Path("evaluation"),
    show_default=True,
    help="Folder with what `sentiment evaluate` found.",
)
@click.option(
    "--output",
    "-o",
    type=_FOLDER,
    default=Path("models/release"),
    show_default=True,
    help="The model directory to make; replaced whole.",
)
def release(*, file: Path, data: Path, raw: Path, evaluation: Path, output: Path) -> None:
    """Fit the chosen candidate on all texts, and put its card and its evaluation beside it.

    The candidate is the parameters' `release`. What is known of it was found with a twin that saw
    the training texts alone. `sentiment register` publishes the directory.

    \b
    Examples:
      sentiment release
      sentiment release -o models/next && sentiment register models/next
    """  # noqa: D301 - click wants the backslash
    from trainer import params
    from trainer.release import release as run

    made = run(
        params.read(file),
        data=data,
        raw=raw,
        evaluation=evaluation,
        output=output,
        say=lambda line: click.echo(line, err=True),
    )
    click.echo(made)
