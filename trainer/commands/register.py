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
@click.option(
    "--if-missing",
    is_flag=True,
    help="With --bundled: only if the alias is missing or has an older bundled model.",
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
    if_missing: bool,
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
      sentiment register --bundled --if-missing      for a deployment's script
      sentiment register models/tickets --name tickets
      DAGSHUB_REPO=ada/reviews DAGSHUB_USER_TOKEN=… sentiment register
    """  # noqa: D301 - click wants the backslash
    from sentiment.publish import ALIAS, ensure_published

    if bundled and directory is not None:
        raise click.UsageError("--bundled publishes its own directory; give one or the other.")
    if if_missing and (not bundled or alias == ""):
        raise click.UsageError("--if-missing needs --bundled, and an alias to look at.")
    if if_missing:
        # Of what a worker's image has: no deployment needs the trainer's for its first model.
        alias = alias or ALIAS
        version = ensure_published(name=name, alias=alias)
    elif bundled:
        from trainer.register import register_bundled

        alias = ALIAS if alias is None else alias
        version = register_bundled(name=name, alias=alias)
    else:
        from trainer.register import CHALLENGER, register as run

        alias = CHALLENGER if alias is None else alias
        version = run(directory or layout.RELEASE, name=name, alias=alias, say=say)
    document = json.dumps({"name": name, "version": version, "alias": alias or None})
    if output:
        from trainer import writing

        with writing.file(output) as part:
            part.write_text(document + "\n", encoding="utf-8")
    if as_json:
        click.echo(document)
    else:
        click.echo(f"{name} version {version}" + (f" is now {name}@{alias}" if alias else ""))
