"""The command `sentiment evaluate`."""

from pathlib import Path

import click


@click.command()
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@click.option(
    "--params",
    "file",
    type=click.Path(path_type=Path),
    default=Path("params.yaml"),
    show_default=True,
    help="The file with the knobs; of them, `candidates` and `evaluate` are used.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("data/prepared"),
    show_default=True,
    help="Folder with the tables that `sentiment preprocess` made.",
)
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=Path("models"),
    show_default=True,
    help="Folder with a model directory per candidate, which `sentiment train` made.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("evaluation"),
    show_default=True,
    help="Folder for what is found, one folder per candidate; each is replaced whole.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON object.")
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

    from sentiment.errors import InputError
    from trainer import card, params, tables
    from trainer.candidates import make
    from trainer.comparison import compare
    from trainer.evaluate import evaluate as run

    def say(line: str) -> None:
        click.echo(line, err=True)

    knobs = params.read(file)
    unknown = [name for name in names if name not in knobs.candidates]
    if unknown:
        raise InputError(
            f"{file} has no candidate {' and no candidate '.join(map(repr, unknown))};"
            f" it has {', '.join(knobs.candidates)}."
        )
    train = tables.read(data / "train.parquet", "preprocess")
    test = tables.read(data / "test.parquet", "preprocess")
    reports = {}
    for name in names or knobs.candidates:
        trusted = make(name, knobs.candidates[name]).trusted_types
        reports[name] = run(
            name,
            models / name,
            test,
            train,
            knobs.evaluate,
            output=output,
            trusted=trusted,
            say=say,
        )
    compared = None
    if not names:
        compared = compare(list(knobs.candidates), test, knobs.evaluate, output, say)
    if as_json:
        click.echo(msgspec.json.encode({"reports": reports, "comparison": compared}))
        return
    click.echo(card.summary(reports))
