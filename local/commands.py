"""`sentiment kafka` and `sentiment demo`."""

import json
import signal
import threading
from pathlib import Path

import click

KAFKA_EXAMPLES = """
\b
Examples:
  sentiment kafka
  sentiment kafka --brokers 3
  sentiment kafka --port 0 --json        a free port, told as JSON
"""


@click.command(epilog=KAFKA_EXAMPLES, short_help="A real Apache Kafka here, from pip alone.")
@click.option("--brokers", type=click.IntRange(1, 9), default=1, show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=9092, show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Keeps the data between starts.")
@click.option("--json", "as_json", is_flag=True, help="Tell the address as JSON.")
def kafka(brokers: int, port: int, data_dir: Path | None, as_json: bool) -> None:
    """Run Apache Kafka on this machine until Ctrl-C or SIGTERM.

    No Docker and no installed Java are needed: the Java runtime comes from pip, and Kafka's jars
    are fetched once, checked against the sums that come with this program, and kept.
    """
    from local.broker import LocalKafka
    from sentiment.settings import Settings

    settings = Settings().local
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    folder = data_dir or settings.data_dir / f"kafka-{brokers}"
    with LocalKafka(folder, settings.cache_dir, _say, brokers, port) as cluster:
        address = cluster.bootstrap_servers
        shown = json.dumps({"bootstrap_servers": address}) if as_json else f"Kafka: {address}"
        click.echo(shown)
        cluster.wait_while_alive(stopping)


def _say(what: str) -> None:
    click.echo(what, err=True)
