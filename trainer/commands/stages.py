"""The stages that make a model: ingest, preprocess, train, evaluate, release."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from trainer import tables

if TYPE_CHECKING:
    from trainer.ingest import IngestReport


# What the stages' commands have in common.


FOLDER = click.Path(path_type=Path)
_folder = partial(click.option, type=FOLDER, show_default=True)
_output = partial(_folder, "--output", "-o")

params = _folder(
    "--params", "file", default=Path("params.yaml"), help="The file with the parameters."
)
data = _folder(
    "--data",
    default=tables.PREPARED,
    help="Folder with the tables that `sentiment preprocess` made.",
)
raw = _folder("--raw", default=tables.RAW, help="Folder with what `sentiment ingest` made.")
name = click.option("--name", default="sentiment", show_default=True, help="Name in the registry.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def say(line: str) -> None:
    """Print a progress line to standard error."""
    click.echo(line, err=True)


@click.command()
@params
@_folder(
    "--root",
    default=Path("data/source"),
    envvar="SENTIMENT_DATA",
    show_envvar=True,
    help="What relative files and folders of the sources are below.",
)
@_output(default=tables.RAW, help="Folder for the table; what is there stays until all is done.")
@as_json
def ingest(*, file: Path, root: Path, output: Path, as_json: bool) -> None:
    """Collect labelled texts: from files, folders, S3 and web addresses into one table.

    Sources are CSV, JSON Lines and Parquet files, and the aclImdb archive as its authors publish
    it. Rows without a usable text and label are counted and written to rejected.jsonl with the
    reason; too many of them in a source end the stage and leave the old table in place.

    S3 is reached as `ingest.s3` in the parameters says (endpoint, region, profile, role_arn); who
    asks is found as every AWS tool does it. A download that breaks off is begun again, and what is
    there is not fetched again: see the folder `cache` beside the output.

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
        click.echo(msgspec.json.encode(report, order="sorted"))
    else:
        _show(report)


def _show(report: "IngestReport") -> None:
    click.echo(f"{'source':<20} {'rows':>10} {'kept':>10} {'rejected':>10}")
    lines = [(source.name, source.rows, source.kept, source.rejected) for source in report.sources]
    for name, rows, kept, rejected in [*lines, ("total", report.rows, report.kept, {})]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(rejected.items()))
        click.echo(f"{name:<20} {rows:>10,} {kept:>10,} {rows - kept:>10,}  {reasons}".rstrip())


@click.command()
@params
@raw
@_output(default=tables.PREPARED, help="Folder for train.parquet, test.parquet and report.json.")
@as_json
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


@click.command()
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@params
@data
@_output(
    default=tables.MODELS,
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
    from trainer import params
    from trainer.train import train as run

    knobs = params.read(file)
    for name in names:
        # Before an hour is spent on the ones before it.
        knobs.candidate(name)
    frame = tables.read(data / tables.TRAIN, "preprocess")
    for name in names or knobs.candidates:
        click.echo(run(name, knobs, frame, output, say))


@click.command()
@params
@data
@raw
@_folder(
    "--evaluation", default=tables.EVALUATION, help="Folder with what `sentiment evaluate` found."
)
@_output(default=tables.RELEASE, help="The model directory to make; replaced whole.")
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


@click.command()
@click.argument("names", metavar="[NAME ...]", nargs=-1)
@params
@data
@_folder(
    "--models",
    default=tables.MODELS,
    help="Folder with a model directory per candidate, which `sentiment train` made.",
)
@_output(
    default=tables.EVALUATION,
    help="Folder for what is found, one folder per candidate; each is replaced whole.",
)
@as_json
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
    from trainer import params
    from trainer.evaluate import compare, evaluate as run, summary
    from trainer.train import make

    knobs = params.read(file)
    candidates = {name: make(name, knobs) for name in names or knobs.candidates}
    train = tables.read(data / tables.TRAIN, "preprocess")
    test = tables.read(data / tables.TEST, "preprocess")
    judge = partial(run, test=test, train=train, params=knobs.evaluate, output=output, say=say)
    reports = {
        name: judge(name, models / name, trusted=candidate.trusted_types)
        for name, candidate in candidates.items()
    }
    everybody = list(knobs.candidates)
    compared = None if names else compare(everybody, test, knobs.evaluate, output, say)
    if as_json:
        click.echo(msgspec.json.encode({"reports": reports, "comparison": compared}))
        return
    click.echo(summary(reports))
