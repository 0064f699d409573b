"""`sentiment ingest`: the sources of params.yaml into one table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer import layout
from trainer.commands import options
from trainer.commands.options import say

if TYPE_CHECKING:
    from trainer.ingest import IngestReport


@click.command()
@options.params
@click.option(
    "--root",
    type=options.FOLDER,
    default=Path("data/source"),
    show_default=True,
    envvar="SENTIMENT_DATA",
    show_envvar=True,
    help="What relative files and folders of the sources are below.",
)
@click.option(
    "--output",
    "-o",
    type=options.FOLDER,
    default=layout.RAW,
    show_default=True,
    help="Folder for the table; what is there stays until all is done.",
)
@options.as_json
def ingest(*, file: Path, root: Path, output: Path, as_json: bool) -> None:
    """Collect labelled texts: from files, folders, S3 and web addresses into one table.

    Sources are CSV, JSON Lines and Parquet files, and the aclImdb archive as its authors publish
    it. Rows without a usable text and label are counted and written to rejected.jsonl with the
    reason; too many of them in a source end the stage and leave the old table in place.

    S3 is reached as `ingest.s3` in the parameters says (endpoint, region, profile, role_arn); who
    asks is found as every AWS tool does it. A download that was interrupted goes on where it was,
    and what is there is not fetched again: see the folder `cache` beside the output.

    \b
    Examples:
      sentiment ingest --root ~/reviews
      SENTIMENT_DATA=~/reviews sentiment ingest --json
      sentiment ingest --params other.yaml --output /tmp/raw

    \b
    A source in params.yaml:
      - name: shop
        uri: s3://reviews/2025/          # a prefix: all objects below it
        columns: {text: body, label: mood, group: product}
        labels: {sad: 0, happy: 1}
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    from trainer.ingest import ingest as run
    from trainer.params import read

    report = run(read(file).ingest, root, output, say)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(report, order="sorted"))
    else:
        _show(report)


def _show(report: "IngestReport") -> None:
    click.echo(f"{'source':<20} {'rows':>10} {'kept':>10} {'rejected':>10}")
    lines = [(source.name, source.rows, source.kept, source.rejected) for source in report.sources]
    for name, rows, kept, rejected in [*lines, ("total", report.rows, report.kept, {})]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(rejected.items()))
        click.echo(f"{name:<20} {rows:>10,} {kept:>10,} {rows - kept:>10,}  {reasons}".rstrip())
