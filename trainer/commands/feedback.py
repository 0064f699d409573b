"""The commands `sentiment feedback export` and `sentiment feedback accuracy`."""

from pathlib import Path

import click
import msgspec

from sentiment import times
from sentiment.settings import Settings
from trainer import tables
from trainer.commands import stages
from trainer.commands.stages import say

servers = click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT,…",
    help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]",
)

# Of a line of the export.
FIELDS = ("id", "text", "label", "sentiment", "model", "model_version", "given_at")


@click.group()
def feedback() -> None:
    """People's labels on results: as training texts, and what they say of each model.

    The last label of each event counts.

    \b
    Examples:
      sentiment feedback accuracy
      sentiment feedback export data/source/feedback.jsonl
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it


@feedback.command()
@click.argument("file", type=stages.FOLDER)
@servers
@stages.as_json
def export(*, file: Path, bootstrap_servers: str | None, as_json: bool) -> None:
    """Write labelled texts to FILE, as JSON Lines.

    Only labels that came with their text are of use for training: WEB_FEEDBACK_TEXT says whether
    the page keeps texts. Each line names the event, the model that had answered, what it said, and
    when the label was given. FILE is then a source in params.yaml as any other.

    \b
    Examples:
      sentiment feedback export data/source/feedback.jsonl

    \b
    The source in params.yaml; `auto` holds some of them out as test texts:
      - name: feedback
        uri: feedback.jsonl
        domain: feedback
        columns: {group: id}
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    from sentiment.feedback import read

    found = read(_settings(bootstrap_servers))
    lines = []
    for name, (label, given_ms) in found.items():
        if label.text is not None:
            model = label.model
            given = (label.text, label.label, label.sentiment)
            about = (model and model.name, model and model.version, times.date_of(given_ms))
            lines.append(dict(zip(FIELDS, (name, *given, *about), strict=True)))
    with tables.file(file) as part:
        part.write_bytes(msgspec.json.Encoder().encode_lines(lines))
    say(f"{len(lines):,} labelled texts in {file}; {len(found) - len(lines):,} labels have no text")
    if as_json:
        click.echo(msgspec.json.encode({"texts": len(lines), "labels": len(found)}))


@feedback.command()
@servers
@stages.as_json
def accuracy(*, bootstrap_servers: str | None, as_json: bool) -> None:
    """Accuracy, precision and recall of each model version, by people's labels.

    People rather label what is wrong, so that these are no estimates for all texts; of two versions
    that are shown alike, the better one has the better figures.

    \b
    Examples:
      sentiment feedback accuracy
      sentiment feedback accuracy --json | jq '.["7"].accuracy'
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    from sentiment import feedback as labels

    found = labels.accuracy(_settings(bootstrap_servers))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    click.echo(f"{'version':<10}{'labels':>8}{'accuracy':>10}{'precision':>11}{'recall':>8}")
    for version, figures in found.items():
        shares = figures.accuracy, figures.precision, figures.recall
        shown = ["-" if share is None else f"{share:.4f}" for share in shares]
        click.echo(f"{version:<10}{figures.labels:>8,}{shown[0]:>10}{shown[1]:>11}{shown[2]:>8}")
    if not found:
        say("Nobody has labelled a result yet.")


def _settings(bootstrap_servers: str | None) -> Settings:
    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    return settings
