"""The long run: `python -m tests.chaos --faults 500 --events 1000000 --seed 1`, or `make chaos`."""

import json
import logging
import random
import shutil
import sys
import time
from pathlib import Path
from typing import get_args

import click

from tests.chaos import report, world
from tests.chaos.faults import FAULTS, kinds, plan
from tests.chaos.report import Outcome
from tests.chaos.round import Round
from tests.chaos.world import Protocol

PROTOCOLS: tuple[str, ...] = get_args(Protocol)


@click.command()
@click.option("--faults", type=click.IntRange(1), default=60, show_default=True, help="How many.")
@click.option("--events", type=click.IntRange(1), default=60_000, show_default=True, help="Same.")
@click.option("--seed", type=int, help="Of the schedule; by default a random one, which is told.")
@click.option(
    "--every", type=float, default=4.0, show_default=True, help="Mean seconds between two faults."
)
@click.option(
    "--protocol", "protocols", type=click.Choice(PROTOCOLS), multiple=True,
    help="Of the group; by default both. The faults are split between those given.",
)  # fmt: skip
@click.option(
    "--only", "names", type=click.Choice(list(FAULTS)), multiple=True, help="Kinds of faults."
)
@click.option(
    "--peer", type=click.Choice(list(world.PEERS)), help="Hurt this one instead of our worker."
)
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("build/chaos"),
    show_default=True, help="Where data, logs and reports go.",
)  # fmt: skip
def chaos(  # noqa: PLR0917 - an option is an argument
    faults: int,
    events: int,
    seed: int | None,
    every: float,
    protocols: tuple[Protocol, ...],
    names: tuple[str, ...],
    peer: str | None,
    folder: Path,
) -> None:
    """Hurt three brokers and their workers by a seeded schedule, then check every event.

    Ends with exit code 0 only if each event has exactly one outcome, the right one, in order.
    """
    logging.basicConfig(level=logging.CRITICAL)  # librdkafka's complaints are what we cause
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    engine = world.engine_of(peer)
    protocols = protocols or engine.protocols
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{peer or 'worker'}-seed-{seed}"
    home = folder.resolve() / run
    home.mkdir(parents=True)
    _say(f"seed {seed}; logs and reports in {home}")
    began = time.monotonic()
    outcomes: list[Outcome] = []
    histories = ""
    with world.running(home) as ground:
        for number, protocol in enumerate(protocols):
            count = _share(faults, number, len(protocols))
            steps = plan(seed + number, count, every, names or kinds(ours=engine.is_ours))
            of_it = _share(events, number, len(protocols))
            _say(f"{protocol}: {count} faults, {of_it:,} events")
            own = world.make(
                home / protocol, *ground, protocol=protocol, events=of_it, engine=engine
            )
            outcomes.append(Round(own, steps, protocol, _say).run())
            if outcomes[-1].counts:
                histories += report.histories(own, outcomes[-1])
    text = f"seed {seed}, {time.monotonic() - began:.0f} s\n{report.as_text(outcomes)}\n{histories}"
    (home / "report.txt").write_text(text)
    document = {"seed": seed, "rounds": [report.as_json(outcome) for outcome in outcomes]}
    (home / "report.json").write_text(json.dumps(document, indent=1))
    click.echo(text)
    if any(outcome.counts or outcome.tracebacks for outcome in outcomes):
        _say(f"FAILED; everything is kept in {home}")
        sys.exit(1)
    # Gigabytes that nobody needs when all is well; the logs stay.
    shutil.rmtree(home / "kafka")


def _share(whole: int, number: int, parts: int) -> int:
    return whole // parts + (number < whole % parts)


def _say(what: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {what}", err=True)


if __name__ == "__main__":
    chaos()
