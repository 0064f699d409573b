"""The commands `sentiment train` and `sentiment register`."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click


class Counts(click.ParamType):
    """Whole numbers with commas between."""

    name = "N,N,…"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse `2,3,3`; `min_df` must not fall and starts at 1 or above."""
        try:
            counts = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers such as 2,3,3", param, ctx)
        if counts[0] < 1 or list(counts) != sorted(counts):
            self.fail(f"{value!r} must start at 1 or above and never fall", param, ctx)
        return counts


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("models/sentiment"),
    show_default=True,
    help="Directory for the model; replaced whole.",
)
@click.option("--text", default="text", show_default=True, help="Column of the texts.")
@click.option("--label", default="label", show_default=True, help="Column of the labels, 0 or 1.")
@click.option(
    "--group",
    help="Column of what a text is about; never on both sides of a split."
    "  [default: movie, if the file has it]",
)
@click.option(
    "--about",
    type=click.File(encoding="utf-8"),
    help="Markdown about the data for the model card: source, licence, how to cite it.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
    default=5,
    show_default=True,
    help="Number of folds of the cross-validation.",
)
@click.option(
    "--min-df",
    type=Counts(),
    default="2,3,3",
    show_default=True,
    help="In how many texts an n-gram must be, for n = 1, 2, …",
)
@click.option(
    "--alpha",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Smoothing of the naive Bayes ratios.",
)
@click.option(
    "--c",
    "-C",
    "c",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Inverse strength of the classifier's penalty.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def train(
    *,
    data: Path,
    output: Path,
    text: str,
    label: str,
    group: str | None,
    about: TextIO | None,
    folds: int,
    min_df: tuple[int, ...],
    alpha: float,
    c: float,
    as_json: bool,
) -> None:
    """Train a model on DATA, a Parquet or CSV file of labelled texts.

    Cross-validates, fits on everything, and saves an MLflow model directory with a model card.
    With MLFLOW_TRACKING_URI set, the run's parameters and figures are logged there.

    \b
    Examples:
      sentiment train reviews.parquet
      sentiment train tickets.csv --text body --label is_happy --group customer -o models/tickets
      sentiment register models/tickets --name tickets
    """  # noqa: D301 - click wants the backslash
    from trainer.data import read
    from trainer.report import Params
    from trainer.train import train as train_model

    click.echo(f"Reading {data} …", err=True)
    dataset = read(data, text, label, group, about.read() if about else "")
    report = train_model(
        dataset, output, Params(min_df, alpha, c), folds, lambda line: click.echo(line, err=True)
    )
    if os.environ.get("MLFLOW_TRACKING_URI"):
        from trainer.runs import log_run

        click.echo(f"Logged as run {log_run(report)}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    for number, accuracy in enumerate(report.folds, start=1):
        click.echo(f"fold {number:<14} {accuracy:.4f}")
    for name, figure in report.figures.items():
        click.echo(f"{name:<19} {figure:.4f}")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--name", default="sentiment", show_default=True, help="Name in the registry.")
@click.option(
    "--alias",
    default="champion",
    show_default=True,
    help="Alias that points to the new version; the worker follows `champion`. Empty: none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def register(*, directory: Path | None, name: str, alias: str, as_json: bool) -> None:
    """Publish a model directory to the MLflow registry. By default the bundled model.

    The registry is the one that MLFLOW_TRACKING_URI names. The model passes the worker's own
    checks first; running workers take it over within seconds.

    \b
    Examples:
      sentiment register
      sentiment register models/tickets --name tickets
      sentiment register models/next --alias challenger
    """  # noqa: D301 - click wants the backslash
    from sentiment.publish import bundled_model, publish

    version = publish(directory or bundled_model(), name=name, alias=alias)
    if as_json:
        click.echo(json.dumps({"name": name, "version": version, "alias": alias or None}))
    else:
        click.echo(f"{name} version {version}" + (f" is now {name}@{alias}" if alias else ""))
