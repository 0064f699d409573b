"""`sentiment dlq`: look at dead letters, and send mended ones back."""

import sys
from collections import Counter
from typing import Any

import click

from sentiment.dlq.selection import Selection
from stream_worker.dlq.command_redrive import redrive
from stream_worker.dlq.options import refuse_missing, selecting, selection, settings_for


@click.group()
def dlq() -> None:
    """Look at dead letters, and send mended ones back.

    A dead letter is an event that could not be classified, with the reason. It stays on its topic
    until it expires, redriven or not; what was redriven is remembered.

    \b
    Examples:
      sentiment dlq list --since 1d
      sentiment dlq show 3-17
      sentiment dlq redrive --code missing_text --through 'jq -c ".text = .body"' --dry-run
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it


@dlq.command("list")
@selecting
@click.option("--waiting", is_flag=True, help="Only those that were not redriven yet.")
@click.option("--counts", is_flag=True, help="Only the counts by error code.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(
    *,
    bootstrap_servers: str | None,
    waiting: bool,
    counts: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - those of `selecting`
) -> None:
    """Show dead letters, a line for each, and how many there are by error code.

    Reads what is committed by now and ends; reading disturbs nobody.

    \b
    Examples:
      sentiment dlq list
      sentiment dlq list --code not_json --source shop --since 2h
      sentiment dlq list --waiting --json | jq -r .id
    """  # noqa: D301 - see dlq
    from sentiment.dlq import describing
    from sentiment.dlq.scan import Scan
    from sentiment.progress import Progress
    from stream_worker.dlq import showing

    settings, chosen = settings_for(bootstrap_servers), selection(**options)
    progress = Progress()
    numbers: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    with Scan(settings, chosen, progress.update) as scan:
        if not counts and not as_json:
            click.echo(showing.HEADER)
        for letter in scan.letters():
            redriven = letter in scan.redriven
            if waiting and redriven:
                continue
            numbers[redriven][letter.code] += 1
            if counts:
                continue
            progress.clear()
            if as_json:
                click.echo(showing.dumps(describing.summary(letter, redriven=redriven)))
            else:
                click.echo(showing.row(letter, redriven=redriven))
        progress.clear()
        if not as_json:
            click.echo(("" if counts else "\n") + "\n".join(showing.totals(*numbers.values())))
        elif counts:
            click.echo(showing.dumps({"waiting": numbers[False], "redriven": numbers[True]}))
        refuse_missing(scan.missing, settings.topics.dead_letters)


@dlq.command()
@click.argument("name", metavar="ID")
@click.option(
    "--limit", type=click.IntRange(min=0), default=2000, show_default=True,
    help="Most characters of the value to show.",
)  # fmt: skip
@click.option("--raw", is_flag=True, help="Only the value, byte for byte, as a command reads it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with the whole value.")
@click.option("--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]")
def show(*, name: str, limit: int, raw: bool, as_json: bool, bootstrap_servers: str | None) -> None:
    """Show all about one dead letter.

    ID is its partition and offset, as `sentiment dlq list` shows it, or the place of its event.
    Characters that a terminal would act on are escaped; --raw escapes nothing.

    \b
    Examples:
      sentiment dlq show 3-17
      sentiment dlq show text-events-3-1042 --json
      sentiment dlq show 3-17 --raw | jq -c '.text = .body'
    """  # noqa: D301 - see dlq
    from sentiment.dlq import describing, marks
    from sentiment.dlq.scan import Scan
    from sentiment.progress import Progress
    from stream_worker.dlq import showing

    settings = settings_for(bootstrap_servers)
    progress = Progress()
    with Scan(settings, Selection(ids=frozenset({name})), progress.update) as scan:
        found = list(scan.letters())
        refuse_missing(scan.missing, settings.topics.dead_letters)
    for letter in found:
        if raw:
            sys.stdout.buffer.write(letter.value)
            continue
        place = letter.partition, letter.offset
        known = marks.read(settings, scan.topic_id)
        about = [mark for mark in known if (mark.partition, mark.offset) == place]
        if as_json:
            click.echo(showing.dumps(describing.details(letter, about)))
        else:
            click.echo("\n".join(showing.page(letter, about, limit)))


dlq.add_command(redrive)
