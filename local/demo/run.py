"""Ties the demo together: parts, traffic, reading, showing, the end."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.demo.ledger import WINDOW_S, Ledger, quantile_ms
from local.demo.parts import Options, Parts
from local.demo.traffic import Traffic
from local.process import Stopping
from sentiment.errors import SetupError
from sentiment.kafka import clients
from sentiment.kafka.lag import Lag
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings

# A worker is up within ten seconds, and may find a backlog that somebody left.
FIRST_RESULT_S = 180.0
# Outcomes of the last events come within a second; a worker that restarts takes a few.
DRAIN_S = 30.0
# After Ctrl-C a person waits for nothing that takes longer.
DRAIN_AFTER_SIGNAL_S = 3.0
# A panel that changes more often can't be read.
REFRESH_S = 0.5
LAG_S = 2.0
LAG_TIMEOUT_S = 1.0
READ_S = 0.02


@dataclass(frozen=True)
class Show:
    """How long the demo runs, how fast, and how it is shown."""

    rate: float
    duration_s: float | None
    headless: bool
    as_json: bool


def run(options: Options, show: Show) -> int:
    """Run the demo.

    Returns:
        The exit code: 0 when nothing is missing or doubled, else 1.

    Raises:
        SentimentError: What could not be started, or ended by itself.
    """
    console = Console(stderr=True)
    stopping = Stopping()
    ledger = Ledger()
    with Parts(options, lambda what: console.print(what, highlight=False)) as parts:
        stopping.everything_runs()
        # Before anything is sent, so that nothing is missed.
        reading = _Reading(parts.settings, ledger)
        with Traffic(parts.settings, ledger, show.rate) as traffic:
            _follow(parts, ledger, reading, show, stopping, console)
            console.print("Stopping …")
            traffic.finish()
        _drain(parts, ledger, reading, stopping)
        reading.close()
    _tell(ledger, show)
    return 0 if ledger.open == 0 and ledger.duplicates == 0 and ledger.results > 0 else 1


def _follow(  # noqa: PLR0913, PLR0917 - the parts of one run
    parts: Parts,
    ledger: Ledger,
    reading: "_Reading",
    show: Show,
    stopping: Stopping,
    console: Console,
) -> None:
    """Read outcomes and show them until the time is over or somebody stops us."""
    lag = _Lag(parts.settings)
    live: Live | None = None
    if not show.headless and console.is_terminal:
        live = Live(render(ledger, None, parts), console=console, auto_refresh=False)
        live.start()
    try:
        shown, up = 0.0, time.monotonic()
        while not stopping.event.is_set():
            now = time.monotonic()
            first = ledger.first_result_s
            # The time that was asked for begins with the first result: a start is no traffic.
            begun = ledger.started + first if first is not None else None
            if show.duration_s and begun and now - begun >= show.duration_s:
                return
            parts.raise_if_dead()
            if first is None and now - up > FIRST_RESULT_S:
                raise SetupError(
                    f"No result came within {FIRST_RESULT_S:.0f} s.",
                    f"The logs in {parts.data_dir} may say why; `sentiment results` shows whether"
                    " a backlog is being worked off.",
                )
            reading.read()
            if live and now - shown >= REFRESH_S:
                live.update(render(ledger, lag(), parts), refresh=True)
                shown = now
            elif not live and now - shown >= LAG_S:
                console.print(line(ledger, lag()), highlight=False, soft_wrap=True)
                shown = now
    finally:
        if live:
            live.stop()
        lag.close()


def _drain(parts: Parts, ledger: Ledger, reading: "_Reading", stopping: Stopping) -> None:
    """Read until nothing is open; then, with the worker gone, whatever is there besides."""
    began = time.monotonic()
    while ledger.open:
        patience_s = DRAIN_AFTER_SIGNAL_S if stopping.event.is_set() else DRAIN_S
        if time.monotonic() - began > patience_s:
            break
        parts.raise_if_dead()
        reading.read()
    # Nobody writes any more: a double that is not there now never comes.
    parts.stop_processes()
    reading.read_rest()


def _tell(ledger: Ledger, show: Show) -> None:
    """The end of the run, as a sentence or as one JSON object on standard output."""
    results = ledger.all()
    report = {
        "produced": ledger.produced,
        "results": ledger.results,
        "dead_letters": ledger.dead_letters,
        "duplicates": ledger.duplicates,
        "missing": ledger.open,
        "events_per_second": round(ledger.per_second, 1),
        "p50_ms": quantile_ms(results, 0.5),
        "p99_ms": quantile_ms(results, 0.99),
        "model": ledger.model,
    }
    if show.as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(
            f"{ledger.produced:,} events sent: {ledger.results:,} results,"
            f" {ledger.dead_letters:,} dead letters, {ledger.open:,} missing,"
            f" {ledger.duplicates:,} doubled."
        )


class _Reading:
    """Reads results and dead letters into the ledger."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ways: list[tuple[TopicReader, Callable[..., None]]] = [
            (TopicReader(settings.kafka, settings.topics.results, "end"), ledger.saw_result),
            (
                TopicReader(settings.kafka, settings.topics.dead_letters, "end"),
                ledger.saw_dead_letter,
            ),
        ]

    def read(self) -> None:
        """Take in what is there; waits a moment when there is nothing."""
        for reader, saw in self._ways:
            for message in reader.poll(READ_S):
                saw(message)

    def read_rest(self) -> None:
        """Take in everything that has been written by now."""
        for reader, saw in self._ways:
            for message in reader.rest():
                saw(message)

    def close(self) -> None:
        """Let go of the connections."""
        for reader, _ in self._ways:
            reader.close()


class _Lag:
    """Events that the workers' group has not committed, asked for now and then."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.events
        self._partitions = list(
            clients.describe_cluster(settings.kafka).topics[self._topic].partitions
        )
        self._asker = Lag(settings.kafka, settings.worker.group_id)
        self._asked = 0.0
        self._lag: int | None = None

    def __call__(self) -> int | None:
        """The lag; None when the brokers don't tell it now."""
        if time.monotonic() - self._asked >= LAG_S:
            self._asked = time.monotonic()
            self._lag = self._asker.of(self._topic, self._partitions, LAG_TIMEOUT_S)
        return self._lag

    def close(self) -> None:
        """Let go of the connections."""
        self._asker.close()


# The ledger on a terminal.


WIDTH = 78


def render(ledger: Ledger, lag: int | None, parts: Parts) -> Panel:
    """One picture of the run as it stands.

    Args:
        ledger: The run's counts.
        lag: Events that the group has not committed yet; None before it is known.
        parts: For the addresses.
    """
    recent = ledger.recent()
    sent, read = ledger.rates()
    positive = sum(result.sentiment == "positive" for result in recent)
    figures = Table.grid(expand=True, padding=(0, 2))
    for _ in range(4):
        figures.add_column(ratio=1)
    figures.add_row(
        _figure("events/s", f"{sent:,.0f}"),
        _figure("results/s", f"{read:,.0f}"),
        _figure("lag", "…" if lag is None else f"{lag:,}"),
        _figure(
            "dead letters", f"{ledger.dead_letters:,}", "yellow" if ledger.dead_letters else ""
        ),
    )
    figures.add_row("", "", "", "")
    figures.add_row(
        _figure("p50", _ms(quantile_ms(recent, 0.5))),
        _figure("p99", _ms(quantile_ms(recent, 0.99))),
        _figure("positive", f"{positive / len(recent):.0%}" if recent else "…", "green"),
        _figure("doubled", f"{ledger.duplicates:,}", "red" if ledger.duplicates else "green"),
    )
    addresses = Table.grid(padding=(0, 2))
    addresses.add_row("page", Text(parts.page, style="bold cyan underline"))
    addresses.add_row("Kafka", parts.settings.kafka.bootstrap_servers)
    addresses.add_row("metrics", parts.metrics)
    addresses.add_row("model", ledger.model or "…")
    addresses.add_row("logs", str(parts.data_dir))
    note = Text(_note(ledger), style="dim")
    return Panel(
        Group(figures, Text(), addresses, Text(), note),
        title="[bold]sentiment demo[/bold]",
        subtitle="Ctrl-C ends everything",
        width=WIDTH,
        padding=(1, 2),
    )


def line(ledger: Ledger, lag: int | None) -> str:
    """The same in a line, for an output that is no terminal."""
    recent = ledger.recent()
    sent, read = ledger.rates()
    return (
        f"results {ledger.results:,}  dead letters {ledger.dead_letters:,}"
        f"  events/s {sent:,.0f}  results/s {read:,.0f}  lag {'…' if lag is None else lag}"
        f"  p50 {_ms(quantile_ms(recent, 0.5))}  p99 {_ms(quantile_ms(recent, 0.99))}"
        f"  doubled {ledger.duplicates}"
    )


def _figure(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{value}\n", f"bold {style}"), (name, "dim"))


def _ms(value: float | None) -> str:
    return "…" if value is None else f"{value:.0f} ms"


def _note(ledger: Ledger) -> str:
    if ledger.first_result_s is None:
        return "Waiting for the first result …"
    return (
        f"{ledger.results:,} results; the first one came {ledger.first_result_s:.1f} s"
        f" after the start. Latency is from sending to reading, the last {WINDOW_S:.0f} s."
    )
