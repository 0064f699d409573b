"""`sentiment produce`: texts from arguments, standard input and files onto the topic."""

import json
import signal
import sys
import time
from typing import Literal

import click

from producer.run import Plan, Run
from producer.sources import Columns
from sentiment.errors import InputError
from sentiment.kafka.producer import EventProducer
from sentiment.rows import FORMATS, Format
from sentiment.settings import Settings


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--file", "-f", "files", multiple=True, metavar="PATH",
    help="A file with texts; `-` is standard input. May be given several times.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["auto", *FORMATS]),
    default="auto", show_default=True,
    help="How the files are written; `auto` goes by the name, and standard input has lines.",
)  # fmt: skip
@click.option("--text-column", default="text", show_default=True, help="Column with the text.")
@click.option("--id-column", default="", help="Column with the id.  [default: id, if there is one]")
@click.option("--key-column", default="", help="Column with the key.  [default: the event's id]")
@click.option("--source", default="", help="Where the texts come from; a row's own source wins.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N",
    help="Events per second, evenly spread.  [default: as fast as possible]",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Most events to send.")
@click.option("--repeat", is_flag=True, help="Begin again at the end, until --limit or Ctrl-C.")
@click.option("--strict", is_flag=True, help="End at the first bad row instead of skipping it.")
@click.option("--raw", is_flag=True, help="Send each line's bytes as they are, valid or not.")
@click.option("--topic", help="The topic.  [default: TOPICS_EVENTS]")
@click.option("--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def produce(
    *,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    form: Format | Literal["auto"],
    text_column: str,
    id_column: str,
    key_column: str,
    source: str,
    rate: float | None,
    limit: int | None,
    repeat: bool,
    strict: bool,
    raw: bool,
    topic: str | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> int:
    """Send texts to be classified.

    Waits until Kafka has each of them. Without TEXT and --file, standard input is read, one text
    per line. Tables (CSV, TSV, Parquet) need a column with the text; an object of JSON or JSON
    Lines may be a whole event, whose further fields stay in it. Files may be compressed by gzip.
    Rows that are no valid event are reported and skipped.

    \b
    Examples:
      sentiment produce "What a lovely film." "Not for me."
      sentiment produce --file reviews.csv --text-column review --source shop
      sentiment produce --file reviews.parquet --rate 500 --limit 10000
      tail -F chat.log | sentiment produce --source chat
      sentiment produce --raw 'not an event'      # becomes a dead letter

    Exit code 0: everything was delivered; 1: something was not; 2: wrong use, or no usable row;
    130: ended by Ctrl-C, after what was sent had been delivered.
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    if raw and form not in {"auto", "lines", "jsonl"}:
        raise click.UsageError("--raw sends lines, and tables have none.")
    if repeat and "-" in (files or ("-",) * (not texts)):
        raise click.UsageError("--repeat needs files: standard input can't be read again.")
    if not texts and not files:
        files = ("-",)
        if sys.stdin.isatty():
            click.echo("Write one text per line; Ctrl-D ends.", err=True)
    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    plan = Plan(
        texts, files, form, Columns(text_column, id_column, key_column, source),
        rate, limit, repeat, strict, raw,
    )  # fmt: skip
    producer = EventProducer(settings, topic=topic)
    run = Run(plan, producer)
    # An orchestrator's end is like Ctrl-C: what was sent is delivered and counted.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, run.interrupt)
    started = time.monotonic()
    run.send()
    _summarise(run, producer, time.monotonic() - started, as_json=as_json)
    if run.error:
        raise run.error
    if run.skipped and not producer.sent:
        raise InputError(
            "Not one row could be sent; the warnings above say why.",
            "Name the right column with --text-column, or the right --format.",
        )
    return 130 if run.interrupted else 0


def _summarise(run: Run, producer: EventProducer, seconds: float, *, as_json: bool) -> None:
    if as_json:
        summary = {
            "topic": producer.topic,
            "sent": producer.sent,
            "delivered": producer.delivered,
            "skipped": run.skipped,
            "partitions": len(producer.partitions),
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(summary))
        return
    count = len(producer.partitions)
    where = f" ({count} partition{'s' if count > 1 else ''})" if count else ""
    click.echo(
        f"Delivered {producer.delivered:,} of {producer.sent:,} events to"
        f" {producer.topic}{where} in {seconds:.1f} s."
    )
    if run.skipped:
        click.echo(f"Skipped {run.skipped:,} bad row{'s' if run.skipped > 1 else ''}.")
