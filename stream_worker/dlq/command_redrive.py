"""`sentiment dlq redrive`: dead letters back onto the events topic, each once."""

from typing import Any

import click

from stream_worker.dlq.options import refuse_missing, selecting, selection, settings_for

# A filter such as jq takes milliseconds; this is for one that asks another system.
TIME_LIMIT_S = 10.0


@click.command()
@selecting
@click.option("--all", "everything", is_flag=True, help="All that wait; without any selection.")
@click.option(
    "--through", metavar="COMMAND", default="",
    help="A shell's command that reads a value on standard input and writes the mended one;"
    " run once for each dead letter.",
)  # fmt: skip
@click.option(
    "--time-limit", type=click.FloatRange(min=0, min_open=True), default=TIME_LIMIT_S,
    show_default=True, metavar="SECONDS", help="How long COMMAND may take for one.",
)  # fmt: skip
@click.option("--again", is_flag=True, help="Send those too that were redriven before.")
@click.option("--dry-run", is_flag=True, help="Send nothing: show what would be sent.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per dead letter.")
def redrive(
    *,
    bootstrap_servers: str | None,
    everything: bool,
    through: str,
    time_limit: float,
    again: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - those of `selecting`
) -> int:
    """Send dead letters back to be classified, each of them once.

    Key, value and own headers are as they were, and the partition is the one that they came from;
    --through mends the value first. Each goes back in one transaction with a mark that it did:
    however often the command is run, killed or run twice at once, none goes back twice without
    --again. A dead letter that couldn't be classified this time either is left and told.

    \b
    Examples:
      sentiment dlq redrive --id 3-17
      sentiment dlq redrive --code too_large --since 1d
      sentiment dlq redrive --code missing_text --through 'jq -c ".text = .body"' --dry-run
      sentiment dlq redrive --code invalid_utf8 --through 'iconv -f latin1 -t utf-8'

    Exit code 0: all that were selected have been sent, now or before; 1: some are left; 2: wrong
    use; 3: another redrive took over; 4: a transaction failed.
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    from sentiment import topics
    from sentiment.dlq import describing
    from sentiment.dlq.redriving import Fate, Redrive
    from sentiment.dlq.scan import Scan
    from sentiment.dlq.sending import Sender
    from sentiment.progress import Progress
    from stream_worker.dlq import showing
    from stream_worker.dlq.mending import mend

    chosen = selection(**options)
    if chosen.everything != everything:
        raise click.UsageError(
            "--all goes without a selection."
            if everything
            else "Say which: --code, --source, --since, --until, --id; or --all."
        )
    settings = settings_for(bootstrap_servers)
    names = settings.topics
    topics.require(settings, names.events, names.dead_letters, names.redriven)
    # Before the scan, for the reason that stands in `sending`.
    sender = None if dry_run else Sender(settings)
    progress = Progress()
    with Scan(settings, chosen, progress.update) as scan:

        def tell(fate: Fate) -> None:
            progress.clear()
            if as_json:
                click.echo(showing.dumps(showing.fate(fate, dry_run=dry_run)))
            elif fate.outcome == "left":
                reason = describing.safe(fate.reason)
                click.echo(f"Left {fate.letter.id}: {reason}.", err=True)
            elif fate.ready and dry_run:
                click.echo(showing.plan(fate.ready))

        def mended(value: bytes) -> bytes:
            return mend(through, value, time_limit) if through else value

        run = Redrive(settings, scan, sender, mended, again=again, tell=tell)
        try:
            run.run()
        finally:
            progress.clear()
            if not as_json:
                click.echo(showing.outcome(run.counts, dry_run=dry_run))
        refuse_missing(scan.missing, names.dead_letters)
    return int(run.counts["left"] > 0)
