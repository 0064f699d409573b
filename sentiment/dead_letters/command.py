"""`sentiment dlq`: look at dead letters, and send mended ones back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from tempfile import TemporaryFile
from typing import Any, get_args

import click

from sentiment.dead_letters.dead_letter import Selection
from sentiment.dead_letters.redrive import LeftError
from sentiment.errors import InputError
from sentiment.settings import Settings
from sentiment.times import parse_since
from sentiment.wire import ErrorCode

Command = Callable[..., Any]


def selecting(command: Command) -> Command:
    """The options that say which dead letters a command is about."""
    for option in (
        click.option(
            "--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]"
        ),
        click.option(
            "--id", "ids", multiple=True, metavar="ID",
            help="This one: 3-17, its partition and offset; or its event's place,"
            " text-events-3-1042. May be given several times.",
        ),
        click.option(
            "--until", metavar="WHEN", help="Those that became dead letters before this time."
        ),
        click.option(
            "--since", metavar="WHEN",
            help="Those that became dead letters since: how long ago (30s, 10m, 2h, 7d), or a time"
            " (2026-01-31T08:00:00Z; without a zone, local time).",
        ),
        click.option(
            "--source", "sources", multiple=True,
            help="Those whose event has this source. May be given several times.",
        ),
        click.option(
            "--code", "codes", multiple=True, type=click.Choice(get_args(ErrorCode)),
            help="Those with this error. May be given several times.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def selection(
    codes: tuple[str, ...],
    sources: tuple[str, ...],
    since: str | None,
    until: str | None,
    ids: tuple[str, ...],
) -> Selection:
    """What the options of `selecting` ask for; an `InputError` where a time or an id is none."""
    now, tell = time.time(), partial(click.echo, err=True)
    given = [
        parse_since(text, now, option, tell) if text else None
        for text, option in ((since, "--since"), (until, "--until"))
    ]
    if given[1] == "beginning":
        raise InputError("--until beginning leaves no dead letter.")
    first, last = (None if moment == "beginning" else moment for moment in given)
    return Selection(frozenset(codes), frozenset(sources), first, last, frozenset(ids))


def settings_for(bootstrap_servers: str | None) -> Settings:
    """The settings, with the addresses that were given."""
    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    return settings


def refuse_missing(ids: set[str], topic: str) -> None:
    """Say which ids were not found, if any."""
    if ids:
        raise InputError(
            f"No dead letter {', '.join(sorted(ids))} stands on {topic!r}.",
            "`sentiment dlq list` shows those that do; old ones expire.",
        )


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


@dlq.command()
@selecting
@click.option("--all", "everything", is_flag=True, help="All that wait; without any selection.")
@click.option(
    "--through", metavar="COMMAND", default="",
    help="A shell's command that reads a value on standard input and writes the mended one;"
    " run once for each dead letter.",
)  # fmt: skip
@click.option(
    # A filter such as jq takes milliseconds; this is for one that asks another system.
    "--time-limit", type=click.FloatRange(min=0, min_open=True), default=10.0,
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
    from sentiment.cli import Progress
    from sentiment.dead_letters import show
    from sentiment.dead_letters.redrive import Fate, Redrive, Sender
    from sentiment.dead_letters.scan import Scan
    from sentiment.kafka import topics

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
                click.echo(show.dumps(show.fate(fate, dry_run=dry_run)))
            elif fate.outcome == "left":
                reason = show.safe(fate.reason)
                click.echo(f"Left {fate.dead_letter.id}: {reason}.", err=True)
            elif fate.ready and dry_run:
                click.echo(show.plan(fate.ready))

        mended = partial(mend, through, limit_s=time_limit) if through else bytes
        run = Redrive(settings, scan, sender, mended, again=again, tell=tell)
        try:
            run.run()
        finally:
            progress.clear()
            if not as_json:
                click.echo(show.outcome(run.counts, dry_run=dry_run))
        refuse_missing(scan.missing, names.dead_letters)
    return int(run.counts["left"] > 0)


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
    from sentiment.cli import Progress
    from sentiment.dead_letters import show
    from sentiment.dead_letters.scan import Scan

    settings, chosen = settings_for(bootstrap_servers), selection(**options)
    progress = Progress()
    numbers: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    with Scan(settings, chosen, progress.update) as scan:
        if not counts and not as_json:
            click.echo(show.HEADER)
        for dead_letter in scan.dead_letters():
            redriven = dead_letter in scan.redriven
            if waiting and redriven:
                continue
            numbers[redriven][dead_letter.code] += 1
            if not counts:
                progress.clear()
                tell = show.summary if as_json else show.row
                said = tell(dead_letter, redriven=redriven)
                click.echo(show.dumps(said) if as_json else said)
        progress.clear()
        if not as_json:
            totals = "\n".join(show.totals(*numbers.values()))
            click.echo(totals if counts else f"\n{totals}")
        elif counts:
            click.echo(show.dumps({"waiting": numbers[False], "redriven": numbers[True]}))
        refuse_missing(scan.missing, settings.topics.dead_letters)


@dlq.command("show")
@click.argument("name", metavar="ID")
@click.option(
    "--limit", type=click.IntRange(min=0), default=2000, show_default=True,
    help="Most characters of the value to show.",
)  # fmt: skip
@click.option("--raw", is_flag=True, help="Only the value, byte for byte, as a command reads it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with the whole value.")
@click.option("--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]")
def show_(
    *, name: str, limit: int, raw: bool, as_json: bool, bootstrap_servers: str | None
) -> None:
    """Show all about one dead letter.

    ID is its partition and offset, as `sentiment dlq list` shows it, or the place of its event.
    Characters that a terminal would act on are escaped; --raw escapes nothing.

    \b
    Examples:
      sentiment dlq show 3-17
      sentiment dlq show text-events-3-1042 --json
      sentiment dlq show 3-17 --raw | jq -c '.text = .body'
    """  # noqa: D301 - see dlq
    from sentiment.cli import Progress
    from sentiment.dead_letters import show
    from sentiment.dead_letters.dead_letter import marks_of
    from sentiment.dead_letters.scan import Scan

    settings = settings_for(bootstrap_servers)
    progress = Progress()
    with Scan(settings, Selection(ids=frozenset({name})), progress.update) as scan:
        found = list(scan.dead_letters())
        refuse_missing(scan.missing, settings.topics.dead_letters)
    for dead_letter in found:
        if raw:
            sys.stdout.buffer.write(dead_letter.value)
            continue
        about = marks_of(settings, scan.topic_id, dead_letter)
        if as_json:
            click.echo(show.dumps(show.details(dead_letter, about)))
        else:
            click.echo("\n".join(show.page(dead_letter, about, limit)))


# Twice what any of our producers can send: a command that never stops writing fills no memory.
MAX_OUTPUT = 4 * 1024 * 1024
# The line in which a command says why it failed, and not its whole output.
MAX_COMPLAINT = 200


class MendingError(LeftError):
    """The command gave no mended value; the text says why."""


def mend(command: str, value: bytes, limit_s: float) -> bytes:
    """Send a value through a command line of `/bin/sh`; what it wrote, without the last line feed.

    One process for one dead letter: many through one process would be faster, but a value may be
    any bytes, and a failure has to be that of one. After so many seconds it is killed with all that
    it has started.

    Raises:
        MendingError: It failed, wrote nothing or too much, or took too long.
    """
    failures: list[str] = []
    # Files, as a command may write before it has read, or never read at all.
    with TemporaryFile() as given, TemporaryFile() as complaints:
        given.write(value)
        given.seek(0)
        with subprocess.Popen(  # noqa: S603 - the operator's own command line
            ["/bin/sh", "-c", command],
            stdin=given, stdout=subprocess.PIPE, stderr=complaints, process_group=0,
        ) as process:  # fmt: skip

            def end(*why: str) -> None:
                failures.extend(why)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

            timer = threading.Timer(limit_s, end, [f"the command took longer than {limit_s:g} s"])
            timer.start()
            try:
                assert process.stdout is not None  # noqa: S101 - it is a pipe
                mended = process.stdout.read(MAX_OUTPUT + 1)
                if len(mended) > MAX_OUTPUT:
                    end(f"the command wrote more than {MAX_OUTPUT} bytes")
                process.wait()
            except BaseException:
                end()
                raise
            finally:
                timer.cancel()
        if failures:
            raise MendingError(failures[0])
        if process.returncode:
            complaints.seek(0)
            lines = complaints.read(MAX_COMPLAINT).strip().splitlines()
            complaint = lines[0].decode(errors="backslashreplace") if lines else ""
            code = process.returncode
            ending = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            raise MendingError(f"the command {ending}{complaint and ': '}{complaint}")
        mended = mended.removesuffix(b"\n")
        if not mended:
            raise MendingError("the command wrote nothing")
        return mended
