"""The command `sentiment register`."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option(
    "--bundled",
    is_flag=True,
    help="Publish the model that comes with this package instead; as `champion`, without gates.",
)
@click.option("--name", default="sentiment", show_default=True, help="Name in the registry.")
@click.option(
    "--alias",
    help="Alias that points to the new version. Empty: none.  [default: challenger]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def register(
    *, directory: Path | None, bundled: bool, name: str, alias: str | None, as_json: bool
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
    from trainer.register import CHALLENGER, RELEASE, register as run, register_bundled

    if bundled and directory is not None:
        raise click.UsageError("--bundled publishes its own directory; give one or the other.")
    if bundled:
        alias = "champion" if alias is None else alias
        version = register_bundled(name=name, alias=alias)
    else:
        alias = CHALLENGER if alias is None else alias
        version = run(
            directory or RELEASE,
            name=name,
            alias=alias,
            say=lambda line: click.echo(line, err=True),
        )
    if as_json:
        click.echo(json.dumps({"name": name, "version": version, "alias": alias or None}))
    else:
        click.echo(f"{name} version {version}" + (f" is now {name}@{alias}" if alias else ""))
