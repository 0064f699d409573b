"""`sentiment demo`: every part on this machine, with traffic, and a ledger that checks it."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local import process
from local.broker import LocalKafka
from local.jars import Say
from local.process import HOST, Stopping, free_port, require_free_port
from local.settings import LocalSettings
from local.traffic import WINDOW_S, Ledger, Traffic, quantile_ms
from sentiment.errors import SentimentError, SetupError
from sentiment.kafka import clients, topics
from sentiment.kafka.lag import Lag
from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings

# The first start makes the registry's tables, which takes a few seconds on a slow disk.
PUBLISH_S = 120.0
# Longer than the worker's own deadline, so that it is never killed while it ends its batch.
STOP_S = 25.0
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
WIDTH = 78


@dataclass(frozen=True)
class Options:
    """What the user asked for; see the command's help."""

    data_dir: Path
    port: int
    kafka_port: int
    bootstrap_servers: str | None
    rate: float
    duration_s: float | None
    headless: bool
    as_json: bool


def run(options: Options) -> int:
    """Run the demo; the exit code is 0 when nothing is missing or doubled, else 1.

    Raises:
        SentimentError: What could not be started, or ended by itself.
    """
    console = Console(stderr=True)
    stopping = Stopping()
    ledger = Ledger()
    with _Parts(options, lambda what: console.print(what, highlight=False)) as parts:
        stopping.everything_runs()
        # Before anything is sent, so that nothing is missed.
        reading = _Reading(parts.settings, ledger)
        with Traffic(parts.settings, ledger, options.rate) as traffic:
            _follow(parts, ledger, reading, stopping, console)
            console.print("Stopping …")
            traffic.finish()
        _drain(parts, ledger, reading, stopping)
        reading.close()
    _tell(ledger, as_json=options.as_json)
    return 0 if ledger.open == 0 and ledger.duplicates == 0 and ledger.results > 0 else 1


class _Parts:
    """Kafka, registry, worker, trends and page, each started as soon as what it needs is there.

    Stopped with the block in the reverse order.
    """

    def __init__(self, options: Options, say: Say) -> None:
        self.options = options
        self._say = say
        self._stack = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._broker: LocalKafka | None = None
        self.page = f"http://{HOST}:{options.port}"
        self._worker_port = free_port()
        self.metrics = f"http://{HOST}:{self._worker_port}/metrics"
        self.settings = Settings()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        options = self.options
        require_free_port(options.port)
        if not options.bootstrap_servers and options.kafka_port:
            require_free_port(options.kafka_port, "--kafka-port")
        with process.stored(options.data_dir):
            options.data_dir.mkdir(parents=True, exist_ok=True)
        process.require_space(options.data_dir)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{options.data_dir / 'mlflow.db'}"
        os.environ.pop("MLFLOW_REGISTRY_URI", None)
        # With the registry: a copy of another registry's model must not serve for this one's.
        os.environ["MODEL_CACHE_DIR"] = str(options.data_dir / "models")
        registry = _Publishing(os.environ["MLFLOW_TRACKING_URI"])
        registry.start()
        if options.bootstrap_servers:
            address = options.bootstrap_servers
        else:
            self._say("Starting Apache Kafka …")
            cache = LocalSettings().cache_dir
            folder = options.data_dir / "kafka"
            broker = LocalKafka(folder, cache, self._say, port=options.kafka_port)
            self._broker = stack.enter_context(broker)
            address = broker.bootstrap_servers
        # After Kafka, so that they end before it: a worker leaves its group with a word.
        stack.callback(self.stop_processes)
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = address
        self.settings = Settings()
        topics.create(self.settings)
        trends_port = free_port()
        os.environ["WEB_TRENDS_URL"] = f"http://{HOST}:{trends_port}"
        self._say("Starting the page …")
        self._run("web", "--port", str(options.port))
        registry.wait()
        self._say("Starting the worker …")
        self._run("worker", "--http-port", str(self._worker_port))
        self._run("trends", "--http-port", str(trends_port))

    def _run(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "sentiment", name, *arguments]
        self._processes[name] = process.start(command, self._log(name))

    def _log(self, name: str) -> Path:
        return self.options.data_dir / f"{name}.log"

    def raise_if_dead(self) -> None:
        """Raise a `SetupError` when a part has ended by itself."""
        if self._broker is not None:
            self._broker.raise_if_dead()
        for name, part in self._processes.items():
            if part.poll() is not None:
                raise SetupError(
                    f"The {name} ended with code {part.returncode}; see {self._log(name)}.",
                    process.tail(self._log(name)),
                )

    def stop_processes(self) -> None:
        """Stop worker, trends and page; Kafka runs on until the end of the block."""
        process.stop(list(self._processes.values()), STOP_S)


class _Publishing(threading.Thread):
    """Puts the bundled model into the registry while Kafka starts."""

    def __init__(self, tracking_uri: str) -> None:
        super().__init__(name="publish", daemon=True)
        self._tracking_uri = tracking_uri
        self._error: Exception | None = None

    def run(self) -> None:
        """Publish, and keep what goes wrong for `wait`."""
        from sentiment.registry.publish import ensure_published

        try:
            ensure_published(tracking_uri=self._tracking_uri)
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            self._error = error

    def wait(self) -> None:
        """Wait until the model is in the registry; raises why it isn't."""
        self.join(PUBLISH_S)
        if self.is_alive():
            raise SetupError(f"The registry at {self._tracking_uri} took over {PUBLISH_S:.0f} s.")
        if isinstance(self._error, SentimentError):
            raise self._error
        if self._error is not None:
            raise SetupError(
                f"The registry at {self._tracking_uri} can't be set up: {self._error}.",
                "Is the disk full? Else delete that file and start again.",
            ) from self._error


class _Reading:
    """Reads results and dead letters into the ledger."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        names = settings.topics
        ways = (names.results, ledger.saw_result), (names.dead_letters, ledger.saw_dead_letter)
        self._ways = [(TopicReader(settings.kafka, name, "end"), saw) for name, saw in ways]

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


def _follow(
    parts: _Parts, ledger: Ledger, reading: _Reading, stopping: Stopping, console: Console
) -> None:
    """Read outcomes and show them until the time is over or somebody stops us."""
    options, settings = parts.options, parts.settings
    topic = settings.topics.events
    partitions = list(clients.describe_cluster(settings.kafka).topics[topic].partitions)
    live = Live(render(ledger, None, parts), console=console, auto_refresh=False)
    on_terminal = not options.headless and console.is_terminal
    lag: int | None = None
    with ExitStack() as stack:
        asker = stack.enter_context(closing(Lag(settings.kafka, settings.worker.group_id)))
        if on_terminal:
            stack.enter_context(live)
        shown, asked, up = 0.0, 0.0, time.monotonic()
        while not stopping.event.is_set():
            now = time.monotonic()
            first = ledger.first_result_s
            # The time that was asked for begins with the first result: a start is no traffic.
            begun = ledger.started + first if first is not None else None
            if options.duration_s and begun and now - begun >= options.duration_s:
                return
            parts.raise_if_dead()
            if first is None and now - up > FIRST_RESULT_S:
                raise SetupError(
                    f"No result came within {FIRST_RESULT_S:.0f} s.",
                    f"The logs in {options.data_dir} may say why; `sentiment results` shows whether"
                    " a backlog is being worked off.",
                )
            reading.read()
            if now - shown < (REFRESH_S if on_terminal else LAG_S):
                continue
            shown = now
            if now - asked >= LAG_S:
                asked, lag = now, asker.of(topic, partitions, LAG_TIMEOUT_S)
            if on_terminal:
                live.update(render(ledger, lag, parts), refresh=True)
            else:
                console.print(line(ledger, lag), highlight=False, soft_wrap=True)


def _drain(parts: _Parts, ledger: Ledger, reading: _Reading, stopping: Stopping) -> None:
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


def _tell(ledger: Ledger, *, as_json: bool) -> None:
    """The end of the run, as a sentence or as one JSON object on standard output."""
    if not as_json:
        click.echo(
            f"{ledger.produced:,} events sent: {ledger.results:,} results,"
            f" {ledger.dead_letters:,} dead letters, {ledger.open:,} missing,"
            f" {ledger.duplicates:,} doubled."
        )
        return
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
    click.echo(json.dumps(report))


def render(ledger: Ledger, lag: int | None, parts: _Parts) -> Panel:
    """The run as it stands, on a terminal; the lag is None before it is known."""
    recent = ledger.recent()
    sent, read = ledger.rates()
    positive = sum(result.sentiment == "positive" for result in recent)
    letters, doubled = ledger.dead_letters, ledger.duplicates
    figures = Table.grid(expand=True, padding=(0, 2))
    for _ in range(4):
        figures.add_column(ratio=1)
    figures.add_row(
        _figure("events/s", f"{sent:,.0f}"),
        _figure("results/s", f"{read:,.0f}"),
        _figure("lag", "…" if lag is None else f"{lag:,}"),
        _figure("dead letters", f"{letters:,}", "yellow" if letters else ""),
    )
    figures.add_row("", "", "", "")
    figures.add_row(
        _figure("p50", _ms(quantile_ms(recent, 0.5))),
        _figure("p99", _ms(quantile_ms(recent, 0.99))),
        _figure("positive", f"{positive / len(recent):.0%}" if recent else "…", "green"),
        _figure("doubled", f"{doubled:,}", "red" if doubled else "green"),
    )
    addresses = Table.grid(padding=(0, 2))
    addresses.add_row("page", Text(parts.page, style="bold cyan underline"))
    addresses.add_row("Kafka", parts.settings.kafka.bootstrap_servers)
    addresses.add_row("metrics", parts.metrics)
    addresses.add_row("model", ledger.model or "…")
    addresses.add_row("logs", str(parts.options.data_dir))
    return Panel(
        Group(figures, Text(), addresses, Text(), Text(_note(ledger), style="dim")),
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
