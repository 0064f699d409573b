"""The command `sentiment preprocess`."""

from pathlib import Path

import click

from trainer import layout
from trainer.commands import options
from trainer.commands.options import say


@click.command()
@options.params
@options.raw
@click.option(
    "--output",
    "-o",
    type=options.FOLDER,
    default=layout.PREPARED,
    show_default=True,
    help="Folder for train.parquet, test.parquet and report.json.",
)
@options.as_json
def preprocess(*, file: Path, raw: Path, output: Path, as_json: bool) -> None:
    """Clean the raw texts, drop copies, and split them into train and test.

    No group (a film, a product) is ever on both sides, and no text. Texts that occur with both
    labels are dropped. The same texts give the same files, byte for byte.

    \b
    Examples:
      sentiment preprocess
      sentiment preprocess --raw data/raw --output data/prepared --json
      sentiment preprocess --json | jq .sources
    """  # noqa: D301 - click wants the backslash
    import msgspec

    from trainer import params
    from trainer.preprocess import preprocess as run

    made = run(params.read(file).preprocess, raw, output, say)
    if as_json:
        click.echo(msgspec.json.encode(made))
        return
    names = list(made.total.__struct_fields__)
    click.echo(f"{'source':<20}" + "".join(f"{name:>12}" for name in names))
    for source, counts in {**made.sources, "total": made.total}.items():
        click.echo(f"{source:<20}" + "".join(f"{getattr(counts, name):>12,}" for name in names))
