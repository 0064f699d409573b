"""What the commands for dead letters have in common: the options that select some of them."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import click

from sentiment.dlq.selection import Selection
from sentiment.errors import InputError
from sentiment.event_errors import ErrorCode
from sentiment.settings import Settings
from sentiment.times import parse_since

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
    """What the options of `selecting` ask for.

    Raises:
        InputError: A time or an id is none.
    """
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
    """Say which ids were not found.

    Raises:
        InputError: There are any.
    """
    if ids:
        raise InputError(
            f"No dead letter {', '.join(sorted(ids))} stands on {topic!r}.",
            "`sentiment dlq list` shows those that do; old ones expire.",
        )
