"""The commands that change or list the registry: register, promote, rollback, models."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from trainer import tables
from trainer.commands import stages
from trainer.commands.stages import say

if TYPE_CHECKING:
    from sentiment.registry.tracking import Version
    from trainer.promote import Decision


# Of a digest, as Git shows a commit; enough to distinguish data sets.
_SHORT = 12


@click.command()
@stages.name
@click.option(
    "--version",
    default="challenger",
    show_default=True,
    help="The version to promote, or an alias of it.",
)
@stages.params
@stages.data
@click.option("--dry-run", is_flag=True, help="Only say what the gates find; change nothing.")
@click.option(
    "--force",
    metavar="REASON",
    default="",
    help="Promote whatever the gates say, but for what workers refuse; the reason is kept.",
)
@stages.as_json
def promote(
    *,
    name: str,
    version: str,
    file: Path,
    data: Path,
    dry_run: bool,
    force: str,
    as_json: bool,
) -> None:
    """Make a version the champion, if it passes every gate.

    On the same test texts its main metric must be better than the champion's within the interval,
    no domain and no behaviour much worse, its compiled form equal to scikit-learn, its size and
    speed within bounds, and the worker's own check passed; where params.yaml asks for it, people's
    labels must agree with its answers. Running workers take a new champion over within seconds.
    What was decided, by whom and why stays in the registry's tags.

    Exits with 1 if a gate says no, and says what each of them found; the champion stays.

    \b
    Examples:
      sentiment promote --dry-run
      sentiment promote
      sentiment promote --version 7 --force "the champion leaks a customer's name"
    """  # noqa: D301 - click wants the backslash
    from sentiment import feedback
    from sentiment.settings import Settings
    from trainer import params
    from trainer.promote import promote as run

    knobs = params.read(file)
    asked = knobs.promote.min_feedback_accuracy is not None
    table = data / tables.TEST
    decision = run(
        name,
        version,
        params=knobs.promote,
        evaluate=knobs.evaluate,
        test=tables.read(table, "preprocess") if table.exists() else None,
        labels=feedback.accuracy(Settings()) if asked else None,
        dry_run=dry_run,
        force=force,
        say=say,
    )
    if as_json:
        document = {**msgspec.structs.asdict(decision), "passed": decision.passed}
        click.echo(msgspec.json.encode(document))
    else:
        for check in decision.checks:
            mark = "skip" if check.skipped else "ok" if check.passed else "FAIL"
            click.echo(f"{mark:<5} {check.gate:<11} {check.reason}")
        click.echo(_told(decision))
    if not decision.promoted and not (dry_run and decision.passed):
        click.get_current_context().exit(1)


@click.command()
@stages.name
@click.option("--to", metavar="VERSION", help="Another version that was champion once.")
@stages.as_json
def rollback(*, name: str, to: str | None, as_json: bool) -> None:
    """Make the version before the champion again, by the audit trail.

    Once more, and it is the version before that: the trail is a stack of promotions. The version is
    checked as a worker will check it; workers take it over within seconds. To go forward again,
    name the version with --to.

    \b
    Examples:
      sentiment rollback
      sentiment rollback --to 3
    """  # noqa: D301 - click wants the backslash
    from trainer.promote import rollback as run

    done = run(name, to, say=say)
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        click.echo(f"{name} version {done.version} is {name}@champion again (was: {done.replaced})")


@click.command()
@stages.name
@stages.as_json
def models(*, name: str, as_json: bool) -> None:
    """List the versions of a model in the registry, newest first.

    \b
    Examples:
      sentiment models
      sentiment models --json | jq '.[] | select(.aliases | index("champion"))'
    """  # noqa: D301 - click wants the backslash
    from sentiment.registry.publish import TIMEOUT_S
    from sentiment.registry.tracking import models as run

    found = run(name, TIMEOUT_S)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    head = "version,aliases,accuracy,macro,data,registered,champion,rolled back"
    rows = [head.split(","), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


def _told(decision: "Decision") -> str:
    name, version = decision.name, decision.challenger
    failed = len(decision.reasons)
    if decision.promoted:
        before = f" (was: {decision.champion})" if decision.champion else ""
        forced = f", by force over {failed} gates: {decision.forced}" if decision.forced else ""
        return f"{name} version {version} is now {name}@champion{before}{forced}"
    if decision.dry_run and decision.passed:
        return f"{name} version {version} would become {name}@champion"
    kept = f"version {decision.champion} stays" if decision.champion else "there is still none"
    return (
        f"{name} version {version} does not become {name}@champion, {kept}: {failed} of"
        f" {len(decision.checks)} gates say no"
    )


def _row(version: "Version") -> list[str]:
    figures = version.accuracy, version.macro_accuracy
    return [
        version.version,
        ",".join(version.aliases),
        *("" if figure is None else f"{figure:.4f}" for figure in figures),
        (version.train_sha256 or "")[:_SHORT],
        datetime.fromtimestamp(version.created_at, UTC).strftime("%Y-%m-%d %H:%M"),
        *(
            (at or "")[:16].replace("T", " ")
            for at in (version.promoted_at, version.rolled_back_at)
        ),
    ]


@click.command()
@click.argument("directory", type=stages.FOLDER, required=False)
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
@stages.name
@click.option(
    "--alias",
    help="Alias that points to the new version. Empty: none.  [default: challenger]",
)
@click.option(
    "--output", "-o", type=stages.FOLDER, help="File to which to write what --json prints, too."
)
@stages.as_json
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
    from sentiment.registry.publish import ALIAS, ensure_published

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
        from trainer.promote import CHALLENGER
        from trainer.register import register as run

        alias = CHALLENGER if alias is None else alias
        version = run(directory or tables.RELEASE, name=name, alias=alias, say=say)
    document = json.dumps({"name": name, "version": version, "alias": alias or None})
    if output:
        with tables.file(output) as part:
            part.write_text(document + "\n", encoding="utf-8")
    if as_json:
        click.echo(document)
    else:
        click.echo(f"{name} version {version}" + (f" is now {name}@{alias}" if alias else ""))
