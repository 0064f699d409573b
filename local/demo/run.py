"""Ties the demo together: parts, traffic, reading, showing, the end."""

import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console
from rich.live import Live

from local.demo import panel
from local.demo.ledger import Ledger, quantile_ms
from local.demo.parts import Options, Parts
from local.demo.traffic import Traffic
from sentiment import kafka
from sentiment.reader import TopicReader
from sentiment.settings import Settings

# Outcomes of the last events come within a second; a worker that restarts takes a few.
DRAIN_S = 30.0
# After Ctrl-C a person waits for nothing that takes longer.
DRAIN_AFTER_SIGNAL_S = 3.0
# A panel that changes more often can't be read.
REFRESH_S = 0.5
LAG_S = 2.0
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
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    ledger = Ledger()
    with Parts(options, lambda what: console.print(what, highlight=False)) as parts:
        # Before anything is sent, so that nothing is missed.
        reading = _Reading(parts.settings, ledger)
        traffic = Traffic(parts.settings, ledger, show.rate)
        traffic.start()
        try:
            _follow(parts, ledger, reading, show, stopping, console)
        finally:
            traffic.stop()
        patience_s = DRAIN_AFTER_SIGNAL_S if stopping.is_set() else DRAIN_S
        elapsed_s = _drain(parts, ledger, reading, patience_s)
        reading.close()
        if not show.as_json:
            console.print("Stopping …")
    _tell(ledger, elapsed_s, show)
    return 0 if ledger.open == 0 and ledger.duplicates == 0 and ledger.results > 0 else 1


def _follow(  # noqa: PLR0913, PLR0917 - the parts of one run
    parts: Parts,
    ledger: Ledger,
    reading: "_Reading",
    show: Show,
    stopping: threading.Event,
    console: Console,
) -> None:
    """Read outcomes and show them until the time is over or somebody stops us."""
    lag = _Lag(parts.settings)
    live: Live | None = None
    if not show.headless and console.is_terminal:
        live = Live(panel.render(ledger, None, parts), console=console, auto_refresh=False)
        live.start()
    try:
        shown = 0.0
        while not stopping.is_set():
            now = time.monotonic()
            first = ledger.first_result_s
            # The time that was asked for begins with the first result: a start is no traffic.
            begun = ledger.started + first if first is not None else None
            if show.duration_s and begun and now - begun >= show.duration_s:
                return
            parts.raise_if_dead()
            reading.read()
            if live and now - shown >= REFRESH_S:
                live.update(panel.render(ledger, lag(), parts), refresh=True)
                shown = now
            elif not live and not show.as_json and now - shown >= LAG_S:
                console.print(panel.line(ledger, lag()), highlight=False)
                shown = now
    finally:
        if live:
            live.stop()
        lag.close()


def _drain(parts: Parts, ledger: Ledger, reading: "_Reading", patience_s: float) -> float:
    """Read until nothing is open; returns the seconds from the start of the run to then."""
    deadline = time.monotonic() + patience_s
    while ledger.open and time.monotonic() < deadline:
        parts.raise_if_dead()
        reading.read()
    outcomes = ledger.all()
    # A double of the very last event would come right behind it.
    reading.read()
    return outcomes[-1].at - outcomes[0].at if outcomes else 0.0


def _tell(ledger: Ledger, elapsed_s: float, show: Show) -> None:
    """The end of the run, as a sentence or as one JSON object on standard output."""
    outcomes = ledger.all()
    done = ledger.results + ledger.dead_letters
    report = {
        "produced": ledger.produced,
        "results": ledger.results,
        "dead_letters": ledger.dead_letters,
        "duplicates": ledger.duplicates,
        "missing": ledger.open,
        "events_per_second": round(done / elapsed_s, 1) if elapsed_s else 0.0,
        "p50_ms": quantile_ms(outcomes, 0.5),
        "p99_ms": quantile_ms(outcomes, 0.99),
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

    def close(self) -> None:
        """Let go of the connections."""
        for reader, _ in self._ways:
            reader.close()


class _Lag:
    """Events that the workers' group has not committed, asked for now and then."""

    def __init__(self, settings: Settings) -> None:
        self._parts = [
            TopicPartition(settings.topics.events, number)
            for number in range(settings.topics.partitions)
        ]
        self._consumer: Consumer = kafka.new_consumer(
            settings.kafka, group_id=settings.worker.group_id
        )
        self._asked = 0.0
        self._lag: int | None = None

    def __call__(self) -> int | None:
        """The lag; None when the brokers don't tell it now."""
        if time.monotonic() - self._asked >= LAG_S:
            self._asked = time.monotonic()
            try:
                self._lag = sum(
                    max(self._consumer.get_watermark_offsets(part, 1)[1] - max(part.offset, 0), 0)
                    for part in self._consumer.committed(self._parts, 1)
                )
            except KafkaException:
                self._lag = None
        return self._lag

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()
