"""`sentiment topics`: create or check the topics."""

import json
from dataclasses import asdict

import click

from sentiment.settings import Settings


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
    from sentiment import topics as shapes

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    states = shapes.check(settings) if only_check else shapes.create(settings)
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states]))
    else:
        width = max(len(state.name) for state in states)
        click.echo(f"{'topic':{width}}  partitions  state")
        for state in states:
            note = state.problem or ("created" if state.created else "ok")
            click.echo(f"{state.name:{width}}  {state.partitions:10}  {note}")
    return int(any(state.problem for state in states))
