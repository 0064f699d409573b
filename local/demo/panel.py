"""The ledger on a terminal."""

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.demo.ledger import WINDOW_S, Ledger, quantile_ms
from local.demo.parts import Parts

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
