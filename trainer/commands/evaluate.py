"""The command `sentiment evaluate`."""

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
    "--models",
    type=options.FOLDER,
    default=layout.MODELS,
    show_default=True,
    help="Folder with a model directory per candidate, which `sentiment train` made.",
)
@click.option(
    "--output",
    "-o",
    type=options.FOLDER,
    default=layout.EVALUATION,
    show_default=True,
    help="Folder for what is found, one folder per candidate; each is replaced whole.",
)
@options.as_json
def evaluate(
    *, names: tuple[str, ...], file: Path, data: Path, models: Path, output: Path, as_json: bool
) -> None:
    """Judge candidates on the test texts: figures with intervals, behaviours, speed and plots.

    NAMEs are candidates of the parameters' file. Without any, all of them are judged, and then
    compared with each other and with the figures reported of the earlier system.

    \b
    Examples:
      sentiment evaluate
      sentiment evaluate champion
      sentiment evaluate champion --json | jq .reports.champion.overall.accuracy
    """  # noqa: D301 - click wants the backslash
    import msgspec

    from trainer import card, params, tables
    from trainer.candidates import make
    from trainer.comparison import compare
    from trainer.evaluate import evaluate as run

    knobs = params.read(file)
    candidates = {name: make(name, knobs) for name in names or knobs.candidates}
    train = tables.read(data / layout.TRAIN, "preprocess")
    test = tables.read(data / layout.TEST, "preprocess")
    reports = {
        name: run(
            name,
            models / name,
            test,
            train,
            knobs.evaluate,
            output=output,
            trusted=candidate.trusted_types,
            say=say,
        )
        for name, candidate in candidates.items()
    }
    compared = None
    if not names:
        compared = compare(list(knobs.candidates), test, knobs.evaluate, output, say)
    if as_json:
        click.echo(msgspec.json.encode({"reports": reports, "comparison": compared}))
        return
    click.echo(card.summary(reports))
