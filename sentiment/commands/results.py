"""`sentiment results`, results as JSON Lines; and `sentiment topics`."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import click

from sentiment import logs
from sentiment.settings import Settings
from sentiment.times import parse_since

if TYPE_CHECKING:
    from sentiment.kafka.reader import Start


log = logs.get(__name__)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with new results, until Ctrl-C.")
@click.option(
    "--since", metavar="WHEN",
    help="`beginning`, how long ago (30s, 10m, 2h, 7d), or a time (2026-01-31T08:00:00Z;"
    " without a zone, local time).  [default: beginning; with --follow: now]",
)  # fmt: skip
@click.option("--limit", "-n", type=click.IntRange(min=1), metavar="N", help="End after N results.")
@click.option("--id", "ids", multiple=True, help="Only this event's. May be given several times.")
@click.option(
    "--sentiment", type=click.Choice(["positive", "negative"]), help="Only those of one sentiment."
)
@click.option("--topic", help="The topic.  [default: TOPICS_RESULTS]")
@click.option("--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]")
def results(
    *,
    follow: bool,
    since: str | None,
    limit: int | None,
    ids: tuple[str, ...],
    sentiment: str | None,
    topic: str | None,
    bootstrap_servers: str | None,
) -> None:
    """Print results, one JSON object per line.

    Reads what is there and ends, or goes on with --follow. Only committed results are shown;
    reading disturbs nobody. They stand in order within a partition, not across partitions.

    \b
    Examples:
      sentiment results --since 10m
      sentiment results --follow --sentiment negative
      sentiment results --id order-1042 --limit 1
      sentiment results | jq -r '[.sentiment, .confidence] | @tsv'
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    start: Start = "end" if follow else "beginning"
    if since:
        start = parse_since(since, time.time(), tell=partial(click.echo, err=True))
    try:
        found = _matching(settings, topic, start, set(ids), sentiment, follow=follow)
        for line in islice(found, limit):
            sys.stdout.buffer.write(line + b"\n")
            # Whoever reads a pipe wants each result when it comes.
            sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        # The ordinary end of following.
        if not follow:
            raise


def _matching(
    settings: Settings,
    topic: str | None,
    start: "Start",
    ids: set[str],
    sentiment: str | None,
    *,
    follow: bool,
) -> Iterator[bytes]:
    import msgspec

    from sentiment.kafka.reader import TopicReader
    from sentiment.wire import decode_result

    with TopicReader(settings.kafka, topic or settings.topics.results, start) as reader:
        for record in reader.follow() if follow else reader.rest():
            value = record.value() or b""
            try:
                result = decode_result(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                log.warning(
                    "not a result", topic=reader.topic, partition=record.partition(),
                    offset=record.offset(),
                )  # fmt: skip
                continue
            if (not ids or result.id in ids) and sentiment in {None, result.sentiment}:
                yield value


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 on a problem.")
@click.option("--json", "as_json", is_flag=True, help="Print the topics as a JSON array.")
@click.option("--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]")
def topics(*, only_check: bool, as_json: bool, bootstrap_servers: str | None) -> int:
    """Create the topics that are missing, or check them.

    Topics that exist are left as they are. Names and sizes are the TOPICS_ settings. Exit code
    1: a topic is missing or has too few partitions.

    \b
    Examples:
      sentiment topics                    create what is missing
      sentiment topics --check --json     for a deployment's script
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    from sentiment.kafka import topics as shapes

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    states = shapes.check(settings) if only_check else shapes.create(settings)
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states]))
    else:
        width = max(len(state.name) for state in states)
        click.echo(f"{'topic':{width}}  partitions  state")
        for state in states:
            note = state.problem or ("created" if state.created else state.warning or "ok")
            click.echo(f"{state.name:{width}}  {state.partitions:10}  {note}")
    return int(any(state.problem for state in states))
