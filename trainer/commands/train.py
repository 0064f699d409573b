"""The commands `sentiment train` and `sentiment release`."""

from pathlib import Path

import click

from trainer import layout
from trainer.commands import options
from trainer.commands.options import say


@click.command()
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@options.params
@options.data
@click.option(
    "--output",
    "-o",
    type=options.FOLDER,
    default=layout.MODELS,
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
    for name in names:
        # Before an hour is spent on the ones before it.
        knobs.candidate(name)
    frame = tables.read(data / layout.TRAIN, "preprocess")
    for name in names or knobs.candidates:
        click.echo(run(name, knobs, frame, output, say))


@click.command()
@options.params
@options.data
@options.raw
@click.option(
    "--evaluation",
    type=options.FOLDER,
    default=layout.EVALUATION,
    show_default=True,
    help="Folder with what `sentiment evaluate` found.",
)
@click.option(
    "--output",
    "-o",
    type=options.FOLDER,
    default=layout.RELEASE,
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

    made = run(params.read(file), data=data, raw=raw, evaluation=evaluation, output=output, say=say)
    click.echo(made)
