"""The command `sentiment register`."""

import json
from pathlib import Path

import click

from trainer import layout
from trainer.commands import options
from trainer.commands.options import say


@click.command()
@click.argument("directory", type=options.FOLDER, required=False)
@click.option(
    "--bundled",
    is_flag=True,
    help="Publish the model that comes with this package instead; as `champion`, without gates.",
)
@options.name
@click.option(
    "--alias",
    help="Alias that points to the new version. Empty: none.  [default: challenger]",
)
@click.option(
    "--output", "-o", type=options.FOLDER, help="File to which to write what --json prints, too."
)
@options.as_json
def register(
    *,
    directory: Path | None,
    bundled: bool,
    name: str,
    alias: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Publish a released model to the MLflow registry as `challenger`.

    DIRECTORY is what `sentiment release` made, models/release by default. The model passes the
    worker's own checks first. Figures, plots and the card go to MLflow's tracking, digests of data
    and files and the code's version to the tags of the version.

    The registry is the one that MLFLOW_TRACKING_URI names, with MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD; or DagsHub's, with DAGSHUB_REPO (owner/name) and DAGSHUB_USER_TOKEN.

    \b
    Examples:
      sentiment register
      sentiment register --bundled
      sentiment register models/tickets --name tickets
      DAGSHUB_REPO=ada/reviews DAGSHUB_USER_TOKEN=… sentiment register
    """  # noqa: D301 - click wants the backslash
    from trainer import writing
    from trainer.register import CHALLENGER, register as run, register_bundled

    if bundled and directory is not None:
        raise click.UsageError("--bundled publishes its own directory; give one or the other.")
    if bundled:
        alias = "champion" if alias is None else alias
        version = register_bundled(name=name, alias=alias)
    else:
        alias = CHALLENGER if alias is None else alias
        version = run(directory or layout.RELEASE, name=name, alias=alias, say=say)
    document = json.dumps({"name": name, "version": version, "alias": alias or None})
    if output:
        with writing.file(output) as part:
            part.write_text(document + "\n", encoding="utf-8")
    if as_json:
        click.echo(document)
    else:
        click.echo(f"{name} version {version}" + (f" is now {name}@{alias}" if alias else ""))
